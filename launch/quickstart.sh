#!/usr/bin/env bash
# From a fresh checkout to a first trained model: installs what is missing, builds, trains on two MPI ranks.
#   launch/quickstart.sh [key=value …]     settings for the training, such as train.epochs=10
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup/stages.sh"
cd "$repository"

run=runs/quickstart-$(date +%Y%m%d-%H%M%S)
epochs=3

set_up_and_build elbow
stage "training on two ranks" launch/elbow -n 2 train configs/kl_vae.cfg "train.epochs=$epochs" "$@" --out "$run"

cat <<TEXT

Trained: the lines above say what was reached, and $run/ holds the run (README.md, "What you get").
Next:
  launch/elbow train configs/kl_vae.cfg objective.kl_wt=1e-2     another weight of the KL
  launch/elbow -n 2 train configs/pytorch_examples.cfg           20 latents, 105.5 nats after 10 epochs
  launch/elbow config configs/kl_vae.cfg                         every setting and where its value came from
  tests/run.sh                                                   all tests
TEXT
