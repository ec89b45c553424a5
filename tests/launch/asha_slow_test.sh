#!/usr/bin/env bash
# ASHA finds a trial within 1 % of the full grid's best ELBO, with at most 35 % of the grid's epochs.
#   asha_slow_test.sh PROGRAM LAUNCHER       ELBOW_SWEEP_RANKS=2 ranks; ELBOW_ASHA_OUT=FOLDER keeps the sweeps there
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 3000 500
out=${ELBOW_ASHA_OUT:-$folder}
ranks=${ELBOW_SWEEP_RANKS:-2}

cat >search.cfg <<CFG
[data]
source = idx
dir = $folder/digits
validation = 500
binarise = none
[model]
encoder = 128
decoder = 128
latent = 8
[optimizer]
kind = adam
[train]
batch_size = 100
epochs = 27
threads = 1
[log]
tensorboard = false
[sweep]
search = grid
objective.kl_wt = logspace(1e-4, 3e-2, 8)
optimizer.lr    = logspace(1e-4, 3e-2, 8)
CFG

# sweep NAME WORD...
sweep() {
  local name=$1
  shift
  "$launcher" -n "$ranks" sweep search.cfg "$@" --out "$out/$name" --progress plain >"$name.out" 2>"$name.err" </dev/null
  check "the sweep '$name' ends" same $? 0
}
sweep grid
sweep asha sweep.pruning=asha sweep.min_epochs=1 sweep.reduction=3

"$python" - "$out/grid" "$out/asha" <<'PYTHON'
import csv, sys
def read(folder):
    rows = [row for row in csv.DictReader(open(f"{folder}/results.csv"))]
    epochs = sum(int(float(row["epochs"])) for row in rows)
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["elbo_nats"]))
    return rows, epochs, best
print(f"{'':6s} {'trials':>6s} {'complete':>8s} {'pruned':>6s} {'epochs':>6s} {'best ELBO':>10s}  of")
found = {}
for folder in sys.argv[1:]:
    rows, epochs, best = read(folder)
    name = folder.rsplit("/", 1)[1]
    found[name] = (epochs, float(best["elbo_nats"]))
    count = lambda state: sum(row["state"] == state for row in rows)
    print(f"{name:6s} {len(rows):6d} {count('complete'):8d} {count('pruned'):6d} {epochs:6d} {found[name][1]:10.3f}  "
          f"kl_wt {best['objective.kl_wt']}, lr {best['optimizer.lr']}")
share = found["asha"][0] / found["grid"][0]
worse = found["asha"][1] / found["grid"][1] - 1  # both are negative
print(f"ASHA took {100 * share:.1f} % of the grid's epochs; its best ELBO is {100 * worse:.2f} % worse")
sys.exit(0 if share <= 0.35 and worse <= 0.01 else 1)
PYTHON
check "ASHA is within 1 % of the grid's best ELBO with at most 35 % of its epochs" same $? 0
finish
