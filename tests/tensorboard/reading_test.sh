#!/usr/bin/env bash
# TensorBoard from PyPI reads what a run wrote. Skips where PyPI cannot be reached; launch/tensorboard_test.sh always runs.
# reading_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
if ! environment=$("$repository/tests/support/python_environment.sh" tensorboard "$repository/tests/tensorboard/requirements.txt" 2>pip.err); then
  echo "skipped: TensorBoard cannot be installed from PyPI: $(tail -n 1 pip.err)"
  exit 77
fi
few_digits digits 1000 200
"$program" train data.source=idx data.dir="$folder/digits" model.encoder=32 model.decoder=24 train.epochs=4 \
  log.every_steps=3 log.pictures_every=2 --out run >/dev/null
check "TensorBoard sees scalars, histograms, images and hyper-parameters" "$environment/bin/python" \
  "$repository/tests/tensorboard/read.py" run
finish
