#!/usr/bin/env bash
# Sweeps whose ranks are killed with SIGKILL at random moments, rank 0 as well as any other, or all at once, and that are resumed
# on other numbers of ranks and in other packs: each trial ends complete, once, with the bits that nobody's death has touched,
# and Optuna reads each ledger (where PyPI can be reached).    sweep_kill_slow_test.sh PROGRAM LAUNCHER
# ELBOW_SWEEPS   how many sweeps (3)      ELBOW_SWEEP_SEED   which moments and ranks (1)
source "$(dirname "$0")/../support/shell.sh" "$@"
source "$repository/tests/support/disturbed_sweeps.sh"
sweeps=${ELBOW_SWEEPS:-3}
seed=${ELBOW_SWEEP_SEED:-1}
trials=16
few_digits digits 1200 200
recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" data.binarise=stochastic model.encoder=32
  model.decoder=32 train.batch_size=32 train.leaves=4 train.shuffle=true train.epochs=3 optimizer.kind=adam
  train.reproducible=exact train.threads=1 checkpoint.every_steps=10 checkpoint.keep_last=2
  sweep.objective.kl_wt='logspace(1e-4, 1e-1, 8)' sweep.repeats=2 --progress plain)
optuna=$("$repository/tests/support/python_environment.sh" optuna "$repository/tests/optuna/requirements.txt" 2>pip.err) ||
  echo "without Optuna, which cannot be installed from PyPI: $(tail -n 1 pip.err)"

"$program" sweep "${recipe[@]}" sweep.rows_per_pack=1 --out whole >out 2>&1
check "the undisturbed sweep ends" same $? 0
check "with all its trials" same "$(value whole/result.json complete)" $trials

# A moment is so many lines of the ledger, and a part of the time that a few lines take.
lines_of() { cat "$1/ledger.jsonl" 2>/dev/null | wc -l; }
reached() { (($(lines_of "$1") >= $2)) || gone "$process"; }
wrong=0 kills=0 coordinators=0 restarts=0
complain() { echo "run $run (seed $seed): $1" && wrong=$((wrong + 1)); }

# strike RUN   kills one rank, or all.
strike() {
  local victims first
  mapfile -t victims < <(ranks_of "$1")
  ((${#victims[@]} > 0)) || return
  first=${victims[0]}  # rank 0 was started first, as long as it lives
  ((RANDOM % 3 > 0)) && victims=("${victims[RANDOM % ${#victims[@]}]}")
  kill -KILL "${victims[@]}" 2>/dev/null && kills=$((kills + ${#victims[@]}))
  [[ " ${victims[*]} " == *" $first "* ]] && coordinators=$((coordinators + 1))
}

RANDOM=$seed
since=$SECONDS
for ((run = 1; run <= sweeps; ++run)); do
  for ((launch = 1; launch <= 12; ++launch)); do
    ranks=3 group=$((RANDOM % 2 + 1)) rows=$((RANDOM % 4 + 1)) strikes=$((RANDOM % 2 + 1))
    ((launch > 1)) && ranks=$((RANDOM % 3 + 1)) && strikes=$((RANDOM % 2))
    ((launch > 3)) && strikes=0
    rm -f stdout
    start "$launcher" -n $ranks sweep "${recipe[@]}" sweep.ranks_per_group=$group sweep.rows_per_pack=$rows --resume auto \
      --out "$folder/run-$run"
    restarts=$((restarts + 1))
    within 60 test -s stdout  # Open MPI 5 may hang where a rank dies while communicators are made
    for ((i = 0; i < strikes; ++i)); do
      within 120 reached "run-$run" $(($(lines_of "run-$run") + RANDOM % 60 + 1))
      sleep "0.$((RANDOM % 10))"
      strike "$folder/run-$run"
    done
    exit_code_of "$process"
    within 30 none_left "$folder/run-$run" || { complain "ranks are left" && ranks_of "$folder/run-$run"; }
    [[ -e run-$run/result.json && $(value "run-$run/result.json" status) == complete ]] && break
    ((code == 75 || launch < 4)) || { complain "launch $launch ended with $code" && cat stderr; }
  done
  ((code == 0)) || { complain "it did not end: $code" && cat stderr; }
  [[ $(ends_of "run-$run") == "$trials [(1,)]" ]] || complain "the ledger has $(ends_of "run-$run")"
  different=$(differing_trials "run-$run")
  [[ -z $different ]] || complain "$different"
  untold=$(untold_epochs "run-$run")
  [[ -z $untold ]] || complain "not in the ledger: $untold"
  [[ -z $optuna ]] || "$optuna/bin/python" "$repository/tests/optuna/read_sweep.py" "run-$run" >read.out 2>&1 ||
    { complain "Optuna reads something else" && tail -n 3 read.out; }
done
check "$kills kills, $coordinators of who coordinated first, in $restarts launches of $sweeps sweeps (seed $seed), $((SECONDS - since)) s: \
every trial complete, once, with its bits" same $wrong 0
finish
