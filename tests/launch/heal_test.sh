#!/usr/bin/env bash
# One to three of four ranks are killed with SIGKILL at random moments, at once or one after another, in steps, evaluations and
# while checkpoints are written; the others go on, and the run ends, with code 0, with the bits of one that nobody disturbed.
#   heal_test.sh PROGRAM LAUNCHER
# ELBOW_HEAL_RUNS   how many runs (4)      ELBOW_HEAL_SEED   which moments and ranks (1)
source "$(dirname "$0")/../support/shell.sh" "$@"
[[ -n $ELBOW_OPEN_MPI ]] && ((${ELBOW_OPEN_MPI%%.*} >= 5)) || { echo "skipped: this MPI ends a job that loses a rank" && exit 77; }
runs=${ELBOW_HEAL_RUNS:-4}
seed=${ELBOW_HEAL_SEED:-1}
few_digits digits 1500 1000  # 47 steps an epoch
recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" data.binarise=stochastic model.encoder=64
  model.decoder=64 train.batch_size=32 train.leaves=4 train.shuffle=true train.epochs=6 objective.anneal=linear
  objective.anneal_steps=100 optimizer.kind=adam train.reproducible=exact train.threads=1 --progress none)
saves=(checkpoint.every_steps=3 checkpoint.keep_last=3)

"$program" train "${recipe[@]}" --out whole >out 2>&1
check "the undisturbed run ends" same $? 0
last_step=$((6 * 47))

# The ranks of a run, from 0 on; their guards have another name.
ranks_of() { pgrep -f -- "^$program train .*--out $1\$" | while read -r p; do
  [[ $(cat "/proc/$p/comm" 2>/dev/null) == elbow-guard ]] || echo "$p"; done; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# A moment is a step, not a time: a fast machine would have ended before it.
saved_step() { local newest && newest=$(newest_of "$1") && newest=${newest##*_} && echo "$((10#${newest:-0}))"; }
passed() { [[ -e $1/result.json ]] || (($(saved_step "$1" 2>/dev/null) >= $2)); }

RANDOM=$seed
wrong=0 kills=0 late=0 slowest=0 first_rank=0
for ((run = 1; run - 1 - late < runs && late <= runs; ++run)); do
  victims=$((RANDOM % 3 + 1)) at_once=$((RANDOM % 2)) step=$((RANDOM * last_step / 32768)) gap=$((RANDOM * 60 / 32768))
  "$launcher" -n 4 train "${recipe[@]}" "${saves[@]}" --out "$folder/run-$run" >stdout 2> >(while read -r line; do echo "$(now_ms) $line"; done >stderr) &
  process=$!
  within 60 test -e run-$run/metrics.jsonl || { echo "run $run did not begin" && wrong=$((wrong + 1)) && break; }
  mapfile -t ranks < <(ranks_of "$folder/run-$run")
  mapfile -t chosen < <(shuf -i 0-3 -n $victims --random-source=<(yes "$RANDOM"))
  killed=0 at=$step
  for rank in "${chosen[@]}"; do
    within 60 passed run-$run $at
    kill -KILL "${ranks[$rank]:-999999999}" 2>/dev/null && killed=$((killed + 1)) && last_kill=$(now_ms)
    ((at_once)) || at=$((at + gap))
  done
  exit_code_of $process
  [[ -e run-$run/result.json ]] || { echo "run $run has no result" && wrong=$((wrong + 1)) && cat stderr && continue; }
  healed=$(value run-$run/result.json healed)
  [[ $healed == "[]" ]] && late=$((late + 1))  # the others had no work left: another run takes its place
  kills=$((kills + killed))
  [[ $healed == *"writes the run from here"* ]] && first_rank=$((first_rank + 1))
  if [[ $healed != "[]" ]] && ms=$(($(grep 'on from step' stderr | tail -n 1 | cut -d' ' -f1) - last_kill)) && ((ms > slowest)); then slowest=$ms; fi
  if ((code != 0)) || [[ $(weights_of run-$run) != "$(weights_of whole)" || $(metrics_of run-$run) != "$(metrics_of whole)" ]]; then
    echo "run $run (killed ${chosen[*]} from step $step, $((at_once ? 0 : gap)) steps apart) ended with code $code: $healed"
    cat stderr
    wrong=$((wrong + 1))
  fi
done
check "$((run - 1 - late - wrong)) of $runs runs (seed $seed) healed to the undisturbed weights and metrics, after $kills kills, $first_rank times of \
rank 0; at most $slowest ms from a kill to the next step; $late more had ended before" same "$wrong $((run - 1 - late))" "0 $runs"
finish
