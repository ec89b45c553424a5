#!/usr/bin/env bash
# TensorBoard from PyPI shows all trials of a sweep with all keys. Skips where PyPI cannot be reached.
# sweep_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
if ! environment=$("$repository/tests/support/python_environment.sh" tensorboard "$repository/tests/tensorboard/requirements.txt" 2>pip.err); then
  echo "skipped: TensorBoard cannot be installed from PyPI: $(tail -n 1 pip.err)"
  exit 77
fi
few_digits digits 300 100
# Trials whose settings differ in kind: what the later ones have, the first one has too.
"$program" sweep "$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=16 model.decoder=16 \
  train.epochs=1 sweep.search=list sweep.objective.kl_wt='1e-3, 1e-2, 1e-1' sweep.objective.anneal='none, linear, none' \
  sweep.objective.anneal_steps='0, 10, 0' sweep.optimizer.kind='rmsprop, rmsprop, adam' --out kl >out 2>&1
check "a sweep ends" same $? 0 || cat out
check "TensorBoard's table has all trials and keys" "$environment/bin/python" "$repository/tests/tensorboard/read_sweep.py" kl
finish
