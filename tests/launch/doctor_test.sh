#!/usr/bin/env bash
# `elbow doctor` with faults that are really there (binding, folders, data, /dev/shm, fault tolerance), or pretended where this
# machine cannot have them (GPUs, versions): each is found and comes with its remedy, and a healthy launch is silent.
#   doctor_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
mkdir runs a b
few_digits a/digits 256 64
cp -r a/digits b/digits
small=(model.encoder=16 model.decoder=16 train.threads=1 --seconds 0.05)
healthy=("${small[@]}" --out runs)

# found WHAT CODE CHECK "WORD|WORD..." : the exit code, one finding of that check, and words of it, remedies among them.
found() {
  local what=$1 wanted=$2 check=$3 rest=$4
  check "$what: exit code" same "$code" "$wanted"
  [[ $code == "$wanted" ]] || tail -n 30 out err
  check "$what: the finding" matches out "^(FAULT |advice)  $check: "
  while [[ -n $rest ]]; do
    check "$what: it says '${rest%%|*}'" contains out "${rest%%|*}"
    [[ $rest == *"|"* ]] && rest=${rest#*|} || rest=
  done
}
doctor() { "$@" >out 2>err </dev/null; code=$?; }
only() { same "$(grep -cE '^(FAULT |advice)  ' out)" "$1"; }

# --- Healthy -----------------------------------------------------------------------------------------------------------------
doctor "$program" doctor "${healthy[@]}"
check "one process is healthy" same "$code $(tail -n 1 out)" "0 healthy: nothing was found"
doctor "$launcher" -n 2 doctor "${healthy[@]}" data.source=idx data.dir="$folder/a/digits"
check "so are two ranks" same "$code $(tail -n 1 out)" "0 healthy: nothing was found"
[[ $code == 0 ]] || cat out err
check "it tells what training takes" matches out '^time +about .*: 20 steps of .* ms, 10 evaluations'
check "and measures sums" matches out '^sums .* us for 8 bytes, .* GB/s'
check "nothing is left in the folder" same "$(ls -A runs)" ""
doctor "$launcher" -n 2 doctor "${healthy[@]}" --json
cp out json
check "JSON says so too" same "$(value json healthy) $(value json findings)" "true []"
check "with the facts of each rank" same "$(value json ranks 1 rank) $(value json ranks 1 mpi thread_level)" \
  "1 MPI_THREAD_MULTIPLE"

# --- Binding -----------------------------------------------------------------------------------------------------------------
if (($(nproc) > 1)); then
  core=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
  doctor taskset -c "$core" "$launcher" -n 2 doctor "${healthy[@]}"
  found "one core for two ranks" 1 cores "2 ranks share core $core|--bind-to none"
else
  echo "skipped: one core alone cannot be shared out badly"
fi
if (($(nproc) >= 4)); then  # what mpirun does unasked
  doctor "$ELBOW_MPIRUN" --bind-to core -n 2 "$program" doctor "${healthy[@]}"
  found "a core for each rank beside idle ones" 1 cores "2 ranks are each bound to one core|launch/elbow -n RANKS"
fi

# --- Missing fault tolerance, in the launch or in the MPI ----------------------------------------------------------------------
doctor "${mpirun[@]}" -n 2 "$program" doctor "${healthy[@]}"
if [[ ${ELBOW_OPEN_MPI%%.*} -ge 5 ]]; then
  found "no --with-ft" 1 mpi "ULFM|--with-ft ulfm|done again"
  check "is one finding" only 1
else
  found "no ULFM" 0 mpi "ULFM|Open MPI 5"
fi

# --- Folders and data that are not the same for all ranks ----------------------------------------------------------------------
# /proc/self/cwd is another folder for a rank that starts elsewhere.
apart() { doctor "${mpirun[@]}" "${ft[@]}" -n 1 --wdir "$1" "$program" doctor "${@:3}" : -n 1 --wdir "$2" "$program" doctor "${@:3}"; }
ft=()
[[ ${ELBOW_OPEN_MPI%%.*} -ge 5 ]] && ft=(--with-ft ulfm)
mkdir a/runs b/runs
apart "$folder/a" "$folder/b" "${small[@]}" --out /proc/self/cwd/runs
found "a folder that is not shared" 1 folder "is not the same folder|rank 1 on|file system that all hosts share"
apart "$folder/a" /proc "${small[@]}" --out /proc/self/cwd
found "a folder that cannot be written" 1 folder "nothing can be written into|rank 1 on|you may write on every host"
check "is one finding" only 1
check "and nothing is left behind" same "$(ls -A a/runs b/runs)" "a/runs:

b/runs:"
printf '\1' | dd of=b/digits/train-images-idx3-ubyte bs=1 seek=1000 conv=notrunc status=none
apart "$folder/a" "$folder/b" "${small[@]}" data.source=idx data.dir=/proc/self/cwd/digits --out "$folder/runs"
found "data that differs" 1 data "train-images-idx3-ubyte is another file there|rank 1 on|copy the same file to all hosts"
check "is one finding" only 1
rm b/digits/t10k-labels-idx1-ubyte
apart "$folder/a" "$folder/b" "${small[@]}" data.source=idx data.dir=/proc/self/cwd/digits --out "$folder/runs"
found "data that a rank lacks" 1 data "t10k-labels-idx1-ubyte|No such file|rank 1 on|same path"

# --- /dev/shm ------------------------------------------------------------------------------------------------------------------
if unshare -m true 2>/dev/null; then
  doctor unshare -m bash -c 'mount -t tmpfs -o size=24m tmpfs /dev/shm && exec "$@"' in \
    "$launcher" -n 2 doctor "${healthy[@]}"
  found "a small /dev/shm" 1 limits "/dev/shm has|of 24 MiB|--shm-size=2g|remount"
else
  echo "skipped: no mount namespace can be made here, so /dev/shm stays as it is"
fi

# --- What this machine cannot have ---------------------------------------------------------------------------------------------
gpu='{"gpus": {"visible": [{"uuid": "GPU-0badf00d", "name": "H100"}]}, "cores": {"threads": 1}}'
echo "{\"all\": $gpu}" >gpus.json
doctor "$launcher" -n 2 doctor "${healthy[@]}" --pretend gpus.json
found "one GPU for two ranks" 1 gpus "2 ranks compute on one GPU, GPU-0badf00d|ranks 0,1 on|CUDA_VISIBLE_DEVICES"
check "is one finding" only 1
echo '{"1": {"versions": {"mpi": "Open MPI v4.1.4"}}}' >versions.json
doctor "$launcher" -n 2 doctor "${healthy[@]}" --pretend versions.json
found "versions that differ" 1 versions "MPI is not the same on all ranks|Open MPI v4.1.4 (rank 1 on|load the same modules"
check "is one finding" only 1

# --- A configuration that this launch cannot train ------------------------------------------------------------------------------
doctor "$launcher" -n 3 doctor "${healthy[@]}" train.reproducible=exact train.leaves=2
found "more ranks than leaves" 1 configuration "leaves|elbow config"
finish
