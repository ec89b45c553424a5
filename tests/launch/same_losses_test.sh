#!/usr/bin/env bash
# train.reproducible=fast: one rank and two agree on the loss over an epoch to 1e-4, and on the held-out loss after it, to
# which 469 steps of rounding have added up, to 5e-4.    same_losses_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"

for ranks in 1 2; do
  "${mpirun[@]}" -np "$ranks" "$program" train "$repository/configs/pytorch_examples.cfg" train.epochs=1 train.threads=1 \
    --out "np$ranks" --progress none >"np$ranks.out" 2>&1 || cat "np$ranks.out"
done
check "losses agree" "$python" - <<'PYTHON'
import json, sys
one, two = ([json.loads(line) for line in open(f"np{ranks}/metrics.jsonl")] for ranks in (1, 2))
assert len(one) == len(two) == 2, "an epoch has a line for each split"
for a, b in zip(one, two):
    assert a["examples"] == b["examples"] == {"train": 60000, "test": 10000}[a["split"]], a
    for name in ("loss", "recon_nats", "elbo_nats", "kl_nats"):
        apart = abs(a[name] - b[name]) / abs(a[name])
        print(f'{a["split"]:<5} {name:<10} {a[name]:.6f} {b[name]:.6f}  {apart:.1e} apart')
        if name in ("loss", "elbo_nats"):
            assert apart < {"train": 1e-4, "test": 5e-4}[a["split"]]
    assert a["loss"] != b["loss"], "the same bits: were there two ranks?"
PYTHON
check "two ranks took part" same "$(value np2/manifest.json backend)" mpi
finish
