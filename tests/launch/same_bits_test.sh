#!/usr/bin/env bash
# train.reproducible=exact: the final weights and all metrics are the same bits on 1 to 4 ranks with 1 and 2 threads.
# same_bits_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 3000 400  # 24 steps an epoch; the last batch has 56 examples, fewer than 4 leaves of 32

small=(data.source=idx data.dir=digits model.encoder=64 model.decoder=64 train.reproducible=exact train.epochs=8)
recipe=("$repository/configs/kl_vae.cfg" "${small[@]}")
hard=(optimizer.kind=adam model.activation=relu train.shuffle=true data.binarise=stochastic data.validation=300
  objective.l2=1e-3 objective.anneal=linear objective.anneal_steps=100)

# run NAME RANKS WORD...
run() {
  local name=$1 ranks=$2
  shift 2
  "${mpirun[@]}" -np "$ranks" "$program" train "$@" --out "$name" --progress none >"$name.out" 2>&1 || cat "$name.out"
}

# same_as REFERENCE RANKS THREADS WORD...
same_as() {
  local reference=$1 ranks=$2 threads=$3
  shift 3
  run other "$ranks" "$@" train.threads="$threads"
  check "$reference: $ranks ranks with $threads threads give the same weights" \
    same "$(weights_of other)" "$(weights_of "$reference")"
  check "and the same metrics" same "$(metrics_of other)" "$(metrics_of "$reference")"
  rm -rf other
}

run plain 1 "${recipe[@]}" train.threads=1
check "192 steps were made" same "$(value plain/result.json steps_done)" 192
check "16 lines of metrics were written" same "$(metrics_of plain | wc -l)" 16
check "the summary's weights are there" differ "$(weights_of plain)" ""
for world in "1 2" "2 1" "2 2" "3 1" "3 2" "4 1" "4 2"; do
  # shellcheck disable=SC2086
  same_as plain $world "${recipe[@]}"
done

run hard 1 "${recipe[@]}" "${hard[@]}" train.threads=1
check "other settings give other weights" differ "$(weights_of hard)" "$(weights_of plain)"
for world in "2 1" "3 2" "4 1"; do
  # shellcheck disable=SC2086
  same_as hard $world "${recipe[@]}" "${hard[@]}"
done

run seed 1 "${recipe[@]}" train.seed=2
check "another seed gives other weights" differ "$(weights_of seed)" "$(weights_of plain)"

"$launcher" -n 3 train "${recipe[@]}" train.leaves=2 --out refused >stdout 2>stderr
check "more ranks than leaves is a configuration error" same $? 2
check "told in one sentence" one_sentence stderr
check "that names the leaves needed" matches stderr "train.leaves.* 4"
check "and leaves no folder" fails test -e refused
finish
