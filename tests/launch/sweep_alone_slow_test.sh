#!/usr/bin/env bash
# Every trial of configs/sweep_kl.cfg ends as the same trial trained alone: in exact mode with the same weights, bit for bit; in
# fast mode, in groups of one rank, with the same loss to 1e-4, relative. (More ranks than alone round otherwise in fast mode, and
# this recipe amplifies that, most of all where it collapses: README, expected numbers.)
#   sweep_alone_slow_test.sh PROGRAM LAUNCHER
# ELBOW_SWEEP_VALUES=12 of kl_wt, ELBOW_SWEEP_EPOCHS=3, ELBOW_SWEEP_RANKS=2; ELBOW_SWEEP_OUT=FOLDER keeps the sweeps
source "$(dirname "$0")/../support/shell.sh" "$@"
values=${ELBOW_SWEEP_VALUES:-3} epochs=${ELBOW_SWEEP_EPOCHS:-2} ranks=${ELBOW_SWEEP_RANKS:-2}
out=${ELBOW_SWEEP_OUT:-$folder}
words=("sweep.objective.kl_wt=logspace(1e-4,1e-1,$values)" log.tensorboard=false)

# sweep NAME WORD...
sweep() {
  local name=$1
  shift
  "$launcher" -n "$ranks" sweep "$repository/configs/sweep_kl.cfg" "${words[@]}" "$@" --out "$out/$name" \
    --progress plain >"$name.out" 2>"$name.err" </dev/null
  check "the sweep '$name' ends" same $? 0
  check "with all trials complete" same "$(value "$out/$name/result.json" complete)" $((2 * values))
}
alone() {  # NAME TRIAL
  "$program" train "$(printf '%s/trials/%06d' "$out/$1" "$2")/config.cfg" --out alone train.threads=1 \
    --progress none >alone.out 2>&1 || cat alone.out
}

sweep exact "train.epochs=$epochs" train.reproducible=exact sweep.rows_per_pack=3
for ((trial = 0; trial < 2 * values; ++trial)); do
  run=$(printf '%s/trials/%06d' "$out/exact" $trial)
  alone exact $trial
  check "exact, trial $trial: weights $(weights_of "$run" | cut -c1-16)" same "$(weights_of "$run")" "$(weights_of alone)"
  check "and metrics are those that it has alone" same "$(metrics_of "$run")" "$(metrics_of alone)"
  rm -rf alone
done

sweep fast "train.epochs=$epochs" train.threads=1 sweep.ranks_per_group=1 sweep.rows_per_pack=2
for ((trial = 0; trial < 2 * values; ++trial)); do
  run=$(printf '%s/trials/%06d' "$out/fast" $trial)
  alone fast $trial
  check "fast, trial $trial: the loss is that which it has alone, to 1e-4" "$python" -c '
import json, sys
first, second = ([json.loads(line)["loss"] for line in open(f"{run}/metrics.jsonl")] for run in sys.argv[1:])
apart = max(abs(a - b) / abs(b) for a, b in zip(first, second, strict=True))
print(f"{apart:.1e} relative", file=sys.stderr)
sys.exit(apart > 1e-4)' "$run" alone
  rm -rf alone
done
finish
