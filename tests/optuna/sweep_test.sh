#!/usr/bin/env bash
# Optuna from PyPI reads the ledger of a sweep with trials that completed, were pruned and failed, and its dashboard serves it.
# Skips where PyPI cannot be reached.    sweep_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
if ! environment=$("$repository/tests/support/python_environment.sh" optuna "$repository/tests/optuna/requirements.txt" 2>pip.err); then
  echo "skipped: Optuna cannot be installed from PyPI: $(tail -n 1 pip.err)"
  exit 77
fi
few_digits digits 300 100
# The last trial's weights become NaN: RMSprop with such a rate, and a posterior without a bound.
"$program" sweep "$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=16 model.decoder=16 \
  model.activation=identity model.posterior=softplus_squared train.batch_size=64 train.epochs=4 log.tensorboard=false \
  sweep.search=list sweep.objective.kl_wt='1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 1e-3' sweep.optimizer.lr='1e-3, 1e-3, 2e-3, 1e-3, 1e-3, 1e-3, 100' \
  sweep.pruning=asha sweep.reduction=2 sweep.rows_per_pack=7 --out kl >out 2>&1
check "a sweep ends" same $? 0 || cat out
check "with trials that completed, were pruned, and failed" same \
  "$(for what in complete pruned failed; do (($(value kl/result.json $what) > 0)) && echo -n "$what "; done)" "complete pruned failed "
check "Optuna sees the states and values of the trials' own folders" "$environment/bin/python" "$repository/tests/optuna/read_sweep.py" kl

# --- The dashboard -----------------------------------------------------------------------------------------------------------
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
start "$environment/bin/optuna-dashboard" kl/ledger.jsonl --host 127.0.0.1 --port "$port"
served() { "$python" -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())' \
  "http://127.0.0.1:$port$1" 2>served.err; }
listed() { served /api/studies >studies.json; }
check "optuna-dashboard begins to serve the ledger" within 60 listed
check "it has the study" matches studies.json '"study_name": *"kl_vae"'
served /api/studies/0?after=0 >study.json
check "with all trials and their states" same "$("$python" -c '
import collections, json
print(sorted(collections.Counter(t["state"] for t in json.load(open("study.json"))["trials"]).items()))')" "$("$python" -c '
import json
result = json.load(open("kl/result.json"))
print(sorted({"Complete": result["complete"], "Pruned": result["pruned"], "Fail": result["failed"]}.items()))')"
finish
