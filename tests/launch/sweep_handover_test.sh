#!/usr/bin/env bash
# A sweep outlives whoever coordinates it: when rank 0 dies the lowest rank that is left goes on with the ledger, the other
# groups do not stop, and every trial ends once with the bits that it has alone. A moment is a line of the ledger, not a time.
#   sweep_handover_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_sweeps.sh"
if [[ -z $ELBOW_OPEN_MPI ]] || ((${ELBOW_OPEN_MPI%%.*} < 5)); then
  echo "skipped: this MPI cannot go on without a rank"
  exit 77
fi
few_digits digits 600 100
trials=8
recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" data.validation=100 data.binarise=stochastic
  model.encoder=24 model.decoder=24 train.batch_size=64 train.leaves=4 train.shuffle=true train.epochs=3 optimizer.kind=adam
  train.reproducible=exact train.threads=1 sweep.objective.kl_wt='logspace(1e-4, 1e-1, 8)' --progress plain)
slow=(checkpoint.every_steps=2 log.pictures_every=1)  # some seconds, so that no machine is done before it loses a rank

"$program" sweep "${recipe[@]}" sweep.rows_per_pack=1 --out whole >out 2>&1
check "the undisturbed sweep ends" same $? 0

lines() { cat "$1/ledger.jsonl" 2>/dev/null | grep -c "$2"; }    # NAME PATTERN
has() { (($(lines "$1" "$2") >= $3)); }                          # NAME PATTERN COUNT
epoch_told='"op_code":7' trial_begun='"op_code":4' trial_ended='"op_code":6'

# handover NAME RANKS PATTERN COUNT RANK... -- WORD...   kills the ranks, one after another, when the ledger has so many lines more.
handover() {
  local name=$1 ranks=$2 pattern=$3 count=$4 victims=()
  shift 4
  while [[ $1 != -- ]]; do victims+=("$1") && shift; done
  shift
  start "$launcher" -n "$ranks" sweep "${recipe[@]}" "${slow[@]}" "$@" --out "$name"
  local wanted=$count rank
  for rank in "${victims[@]}"; do
    within 120 has "$name" "$pattern" "$wanted" || echo "no $wanted lines: $(lines "$name" "$pattern")"
    kill -KILL "$(rank_of "$name" "$rank")"
    wanted=$((wanted + count))
  done
  exit_code_of "$process"
  check "$name: it ends" same $code 0
  ((code == 0)) || tail -n 5 stdout stderr
  check "$name: rank $((rank + 1)) has taken over" matches stdout "rank $((rank + 1)) on .* coordinates the sweep from now on"
  is_whole "$name" "$name"
  check "$name: result.json says complete" same "$(value "$name/result.json" status) $(value "$name/result.json" complete)" "complete $trials"
}
handover at-the-first-trial 3 "$trial_begun" 1 0 -- sweep.rows_per_pack=1
handover at-an-epoch 3 "$epoch_told" 5 0 -- sweep.rows_per_pack=2
handover near-the-end 3 "$trial_ended" 6 0 -- sweep.rows_per_pack=1
handover in-a-group 3 "$epoch_told" 3 0 -- sweep.ranks_per_group=2 sweep.rows_per_pack=2
handover twice 3 "$trial_ended" 2 0 1 -- sweep.rows_per_pack=1

# --- What is torn is cut off, and one that was cut off from the others writes no more ---------------------------------------
start "$launcher" -n 2 sweep "${recipe[@]}" "${slow[@]}" sweep.rows_per_pack=1 --out fenced
within 120 has fenced "$trial_ended" 1
owner=$(cat fenced/sweep.lock)
printf '%d other 1\n' $((${owner%% *} + 1)) >fenced/sweep.lock  # as another host would that has the lock now
exit_code_of "$process"
check "a coordinator whose lock another has taken ends with 75" same $code 75
check "and says so" contains stderr "belongs to process 1 on other now"
check "without a result" fails test -e fenced/result.json
"$launcher" -n 2 resume fenced >fenced.out 2>&1 </dev/null
check "it can be gone on with" same $? 0
is_whole fenced "after the fence"
finish
