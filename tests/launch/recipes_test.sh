#!/usr/bin/env bash
# Every recipe of configs/ trains some steps, and says in its head what to run.    recipes_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 400 50

for config in "$repository"/configs/*.cfg; do
  name=$(basename "$config" .cfg)
  data=(data.source=idx data.dir=digits data.validation=50)
  [[ $name == synthetic ]] && data=(data.examples=400 data.test_examples=50)
  if [[ $name == sweep_* ]]; then
    "$program" sweep "$config" "${data[@]}" train.steps=3 train.threads=2 sweep.objective.kl_wt='1e-3, 1e-2' --out "$name" \
      --progress none >"$name.out" 2>&1 || cat "$name.out"
    check "$name completes its trials" same "$(value "$name/result.json" complete)" 4
    check "... and its head gives the command" contains "$config" "sweep configs/$name.cfg"
    check "... and what to expect" matches "$config" "^# .*Expected"
    check "... and configs/README.md lists it" contains "$repository/configs/README.md" "$name"
    continue
  fi
  "$program" train "$config" "${data[@]}" train.steps=3 train.threads=2 --out "$name" --progress none >"$name.out" 2>&1 ||
    cat "$name.out"
  check "$name makes three steps" same "$(value "$name/result.json" steps_done)" 3
  check "... whose numbers are finite" fails grep -q nonfinite "$name/metrics.jsonl"
  check "... and its head gives the command" contains "$config" "train configs/$name.cfg"
  check "... and what to expect" matches "$config" "^# .*Expected"
  check "... and configs/README.md lists it" contains "$repository/configs/README.md" "$name"
done
finish
