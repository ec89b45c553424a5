#!/usr/bin/env bash
# All ranks of a run are killed with SIGKILL at random moments, again and again, while it saves every few steps; each time it
# is resumed on another number of ranks, and in the end it has the bits of a run that nobody disturbed.
#   kill_test.sh PROGRAM LAUNCHER
# ELBOW_KILL_CYCLES   how often (6)      ELBOW_KILL_SEED   which moments and ranks (1)
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_runs.sh"
cycles=${ELBOW_KILL_CYCLES:-6}
seed=${ELBOW_KILL_SEED:-1}
disturbed_recipe 200
recipe+=(train.epochs=4)

since=$(now_ms)
"${mpirun[@]}" -np 1 "$program" train "${recipe[@]}" "${saves[@]}" --out whole >out 2>&1
whole_ms=$(($(now_ms) - since))
check "the undisturbed run ends" same $? 0

RANDOM=$seed
run=0 killed=0 early=0 restarts=0
since=$SECONDS
while ((killed < cycles)); do
  run=$((run + 1))
  while [[ ! -e run-$run/result.json ]]; do
    ranks=$((RANDOM % 3 + 1)) delay_ms=$((RANDOM * (whole_ms + 300) / 32768))
    restarts=$((restarts + 1))
    start "${mpirun[@]}" -np $ranks "$program" train "${recipe[@]}" "${saves[@]}" --resume auto --out run-$run
    if ((killed < cycles)); then
      sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
      mapfile -t victims < <(ranks_of run-$run)
      if ((${#victims[@]} > 0)) && kill -KILL "${victims[@]}" 2>/dev/null; then
        killed=$((killed + 1))
        [[ -d run-$run/checkpoints ]] || early=$((early + 1))
      fi
    fi
    exit_code_of "$process"
    within 20 none_left run-$run || { echo "ranks are left"; break 2; }
    if ((restarts > 20 * cycles)); then echo "no progress"; break 2; fi
  done
  if ! is_undisturbed run-$run; then
    echo "run $run differs from the undisturbed run"
    cat stderr
    failures=$((failures + 1))
  fi
  check "run $run: nothing of killed writers is left" same "$(leftovers_of run-$run)" ""
done
check "$killed kills (seed $seed) over $run runs, $early of them before the first save, $((SECONDS - since)) s" test $killed -ge $cycles
check "all of whose runs have the undisturbed run's weights and metrics" same $failures 0
finish
