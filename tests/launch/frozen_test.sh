#!/usr/bin/env bash
# A rank is frozen with SIGSTOP at a random moment: it is named, and ended at the deadline, and the others end the run with the
# bits of one that nobody disturbed. On a machine with twice as many busy processes as cores nobody is blamed.
#   frozen_test.sh PROGRAM LAUNCHER
# ELBOW_FROZEN_RUNS   how many runs (2)      ELBOW_FROZEN_SEED   which moments and ranks (1)
# ELBOW_LOADED_SECONDS   how long the run on the loaded machine is (5)
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_runs.sh"
[[ -n $ELBOW_OPEN_MPI ]] && ((${ELBOW_OPEN_MPI%%.*} >= 5)) || { echo "skipped: this MPI ends a job that loses a rank" && exit 77; }
runs=${ELBOW_FROZEN_RUNS:-2}
seed=${ELBOW_FROZEN_SEED:-1}
disturbed_recipe 1000
last_step=$((16 * steps_per_epoch))
"$program" train "${recipe[@]}" train.epochs=16 --out whole >out 2>&1
check "the undisturbed run ends" same $? 0

RANDOM=$seed
frozen=0 named=0 healed=0
for ((run = 1; run <= runs; ++run)); do
  start "$launcher" -n 3 train "${recipe[@]}" "${saves[@]}" train.epochs=16 train.hang_timeout=2 --out "$folder/run-$run"
  within 60 test -e run-$run/metrics.jsonl || { echo "run $run did not begin" && break; }
  step=$((RANDOM * (last_step - steps_per_epoch) / 32768))
  within 60 passed run-$run $step
  mapfile -t ranks < <(ranks_of "$folder/run-$run")
  rank=$((RANDOM % 3))
  kill -STOP "${ranks[$rank]:-999999999}" 2>/dev/null && frozen=$((frozen + 1))
  exit_code_of "$process"
  grep -q "^rank $rank on .* is in '.*' at step [0-9]* for [0-9]* s; .* is ended after 2 s" run-$run/hangs.txt &&
    grep -q "^elbow: rank $rank on .* its guard has ended it" stderr && named=$((named + 1))
  if ((code == 0)) && is_undisturbed run-$run; then
    healed=$((healed + 1))
  else
    echo "run $run (rank $rank, from step $step) ended with code $code" && cat stderr run-$run/hangs.txt
  fi
done
check "$named of $frozen frozen ranks (seed $seed) were named, $healed of $runs runs ended with the undisturbed bits" \
  test "$frozen" -gt 0 -a "$named" = "$frozen" -a "$healed" = "$runs"

busy=()
for ((i = 0; i < 2 * $(nproc); ++i)); do
  (while :; do :; done) &
  busy+=($!)
done
"$launcher" -n 2 train "${recipe[@]}" train.epochs=100000 train.max_time="${ELBOW_LOADED_SECONDS:-5}" train.hang_timeout=2 \
  --out "$folder/loaded" >out 2>err
code=$?
kill "${busy[@]}"
check "a run on a loaded machine ends when its time is up" same $code 75
check "and nobody was blamed" test ! -e loaded/hangs.txt
check "nor lost" same "$(value loaded/result.json healed)" "[]"
finish
