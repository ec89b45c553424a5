#!/usr/bin/env bash
# Optuna from PyPI reads a ledger, adds to it, and elbow reads it again. Skips where PyPI cannot be reached;
# launch/sweep_ledger_test.cpp always runs.    reading_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
if ! environment=$("$repository/tests/support/python_environment.sh" optuna "$repository/tests/optuna/requirements.txt" 2>pip.err); then
  echo "skipped: Optuna cannot be installed from PyPI: $(tail -n 1 pip.err)"
  exit 77
fi
# ledger_test NAME   runs that test of launch/sweep_ledger_test.cpp on ./ledger.jsonl.
ledger_test() {
  ELBOW_LEDGER=ledger.jsonl "$(dirname "$program")/tests/launch_sweep_ledger_test" --gtest_filter="$1" >test.out 2>&1 &&
    grep -q '\[  PASSED  \] 1 test' test.out || { cat test.out && false; }
}
read_py() { "$environment/bin/python" "$repository/tests/optuna/read.py" ledger.jsonl "$@"; }
check "a ledger is written" ledger_test LedgerTest.AnExampleOfEverythingIsWritten
check "Optuna sees the study, its trials, parameters, values and states" read_py
printf '{"op_code": 7, "worker_id": "elbow", "trial_' >>ledger.jsonl
check "... and also behind a torn last line" read_py
check "elbow cuts the torn line off" ledger_test LedgerTest.TheExampleIsGoneOnWith
check "Optuna and its dashboard may write attributes and notes" read_py --write
check "... and elbow reads them, and goes on" ledger_test LedgerTest.TheExampleIsGoneOnWith
check "... and Optuna reads that" read_py
finish
