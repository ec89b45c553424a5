#!/usr/bin/env bash
# The weights that a run saves give, in plain PyTorch, the reconstruction and the KL that the run reported.
set -euo pipefail
elbow=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for configuration in kl_vae pytorch_examples; do
  "$elbow" train "$here/../../configs/$configuration.cfg" train.epochs=1 --out "$work/$configuration" --progress none
  OMP_NUM_THREADS=1 "${ELBOW_PYTHON:-python3}" "$here/forward_pass.py" "$work/$configuration"
done
"$elbow" train "$here/../../configs/kl_vae.cfg" train.epochs=1 data.validation=10000 \
  --out "$work/validation" --progress none
OMP_NUM_THREADS=1 "${ELBOW_PYTHON:-python3}" "$here/forward_pass.py" "$work/validation" --split validation
