#!/usr/bin/env bash
# What is measured, encoded, drawn and exported from a run folder, against the run's own log, NumPy and PyTorch.
# evaluate_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1500 700  # leaves of 256, 256 and 188 test images
settings=(data.source=idx data.dir="$folder/digits" model.encoder=32 model.decoder=24 model.latent=3 train.epochs=4
  data.validation=300 objective.anneal=linear objective.anneal_steps=90 objective.l2=1e-4)
for mode in fast exact; do
  "$program" train "$repository/configs/kl_vae.cfg" "${settings[@]}" train.reproducible=$mode train.threads=2 \
    --out $mode --progress none >$mode.out 2>&1 || cat $mode.out
done

# --- evaluate ------------------------------------------------------------------------------------------------------------
check "the table is printed" "$program" evaluate fast --split test
check "on any number of ranks the last checkpoint gives the logged line, to the last digit" "$python" - "$program" "$launcher" <<'PYTHON'
import json, subprocess, sys
program, launcher = sys.argv[1:]
took = ("seconds", "examples_per_s")
for mode in ("fast", "exact"):
    logged = json.loads(open(f"{mode}/metrics.jsonl").read().splitlines()[-1])
    seen = []
    for start in ([program], [launcher, "-n", "2"], [launcher, "-n", "3"]):
        out = subprocess.run(start + ["evaluate", mode, "--split", "validation", "--json", "train.threads=1",
                                      "--importance-samples", "300", "--examples", "17", "--out", f"{len(seen)}.npy"],
                             check=True, capture_output=True, text=True).stdout
        found = json.loads(out)
        assert {key: found[key] for key in logged if key not in took} == \
            {key: logged[key] for key in logged if key not in took}, (mode, start, found, logged)
        seen.append({key: value for key, value in found.items() if key not in took})
    assert seen[0] == seen[1] == seen[2], "other ranks, other digits"
    assert open("0.npy", "rb").read() == open("1.npy", "rb").read() == open("2.npy", "rb").read()
    assert seen[0]["importance_examples"] == 17 and seen[0]["mutual_information_bound"] > seen[0]["mutual_information_nats"]
    parts = sum(seen[0][key] for key in ("mutual_information_nats", "total_correlation_nats", "unit_kl_nats"))
    assert abs(parts - seen[0]["kl_nats"]) < 0.3, "the three parts are the KL, for one draw of the noise"
PYTHON
check "a step can be named" "$program" evaluate fast --checkpoint 40 --split train
check "and so can the best epoch" "$program" evaluate exact --checkpoint best

# --- encode, against NumPy -------------------------------------------------------------------------------------------------
"$launcher" -n 2 encode exact --data digits/t10k-images-idx3-ubyte --out codes.npy >encode.out
"$program" encode exact --split test --out split.npy >/dev/null
"$program" encode exact --split test --out codes.csv >/dev/null
check "a file and the split that it is give the same codes" cmp codes.npy split.npy
"$program" evaluate exact --json >exact.json
check "the posterior's statistics are NumPy's of the codes, to 1e-6" "$python" - <<'PYTHON'
import gzip, json
import numpy as np
codes = np.load("codes.npy")
assert codes.dtype == np.float32 and codes.shape == (700, 2, 3), codes.shape
csv = np.loadtxt("codes.csv", delimiter=",", skiprows=1, dtype=np.float32)
assert (csv.reshape(700, 2, 3) == codes).all() and open("codes.csv").readline() == "mu_0,mu_1,mu_2,sigma_0,sigma_1,sigma_2\n"
mu, sigma = codes.astype(np.float64).transpose(1, 0, 2)
found = json.load(open("exact.json"))
def same(name, expected):
    assert np.allclose(found[name], expected, rtol=1e-6, atol=1e-6), (name, found[name], expected)
same("mu_mean", mu.mean()), same("mu_std", mu.std()), same("sigma_mean", sigma.mean()), same("sigma_std", sigma.std())
same("sigma_min", sigma.min()), same("sigma_max", sigma.max())
same("mu_mean_by_unit", mu.mean(0)), same("mu_std_by_unit", mu.std(0))
same("sigma_mean_by_unit", sigma.mean(0)), same("sigma_std_by_unit", sigma.std(0))
kl = 0.5 * (mu**2 + sigma**2 - 1 - 2 * np.log(sigma))
same("kl_nats_by_unit", kl.mean(0)), same("kl_nats", kl.sum(1).mean())
assert found["active_units"] == (mu.var(0) > 0.01).sum() and found["active_units_kl"] == (kl.mean(0) > 0.01).sum()
covariance = np.cov(mu.T, bias=True) + np.diag((sigma**2).mean(0))
same("aggregate_covariance", covariance)
same("aggregate_kl_nats", 0.5 * ((mu.mean(0)**2).sum() + np.trace(covariance) - 3 - np.linalg.slogdet(covariance)[1]))
norms = np.linalg.norm(mu, axis=1)
same("mu_norm_quantiles", np.quantile(norms, [0, .05, .25, .5, .75, .95, 1]))
for radius in (1, 2, 5):
    same(f"mu_within_{radius}sd", (norms <= radius).mean())
def images(part):
    return np.frombuffer(open(f"digits/{part}-images-idx3-ubyte", "rb").read(), np.uint8, offset=16).reshape(-1, 784) / 255
mean, x = images("train")[:1200].mean(0).clip(1e-6, 1 - 1e-6), images("t10k").mean(0)
baseline = -(x * np.log(mean) + (1 - x) * np.log(1 - mean)).sum()
same("baseline_recon_nats", baseline)
assert found["collapsed"] == (found["recon_nats"] >= 0.99 * baseline)
PYTHON

# --- export, against PyTorch ---------------------------------------------------------------------------------------------
"$program" export exact --out exported >/dev/null
check "the weights are the checkpoint's" cmp exported/model.safetensors "$(newest_of exact)/model.safetensors"
"$python" -c "
import numpy as np
bytes = open('digits/t10k-images-idx3-ubyte', 'rb').read()
np.save('images.npy', np.frombuffer(bytes, np.uint8, offset=16).reshape(-1, 28, 28))"
OMP_NUM_THREADS=1 "$python" "$repository/docs/rebuild_in_pytorch.py" exported images.npy rebuilt.npy >rebuilt.out
check "PyTorch rebuilds the network from them" "$python" -c "
import numpy as np
assert np.allclose(np.load('rebuilt.npy'), np.load('codes.npy'), rtol=1e-5, atol=1e-5)"
check "in a script of at most 60 lines" test "$(wc -l <"$repository/docs/rebuild_in_pytorch.py")" -le 60
"$program" encode exact --data images.npy --out again.npy >/dev/null
check "a .npy file and an IDX file of the same images give the same codes" cmp again.npy codes.npy

# --- sample --------------------------------------------------------------------------------------------------------------
for kind in prior reconstruction interpolation traversal; do
  "$program" sample exact --kind $kind --count 24 --out $kind.npy >$kind.out
  "$launcher" -n 2 sample exact --kind $kind --count 24 --out again.npy >/dev/null
  check "$kind: the same pictures each time" cmp $kind.npy again.npy
done
check "pictures have their shapes and meanings" "$python" - <<'PYTHON'
import numpy as np
shapes = {"prior": (24, 28, 28), "reconstruction": (12, 2, 28, 28), "interpolation": (3, 8, 28, 28), "traversal": (3, 8, 28, 28)}
pictures = {kind: np.load(f"{kind}.npy") for kind in shapes}
assert {kind: values.shape for kind, values in pictures.items()} == shapes
assert all(values.dtype == np.float32 and values.min() >= 0 and values.max() <= 1 for values in pictures.values())
originals = np.load("images.npy")[:12] / 255
assert np.allclose(pictures["reconstruction"][:, 0], originals, atol=1e-6)
ends = pictures["interpolation"][:, [0, 7]].reshape(6, 28, 28)
assert np.allclose(ends, pictures["reconstruction"][:6, 1], atol=1e-5), "it begins and ends at reconstructions"
assert not np.allclose(pictures["prior"][0], pictures["prior"][1])
PYTHON

"$program" train exact/config.cfg train.reproducible=fast train.precision=bf16 --out rounded --progress none >rounded.out 2>&1 || cat rounded.out
"$program" sample rounded --kind reconstruction --count 24 --out rounded.npy >/dev/null
check "a model of bfloat16 products draws nearly what one of float32 products does" "$python" -c "
import numpy as np
ours, theirs = np.load('rounded.npy')[:, 1], np.load('reconstruction.npy')[:, 1]
assert 0 < abs(ours - theirs).mean() < 0.02, abs(ours - theirs).mean()"

# --- data.source = npy ---------------------------------------------------------------------------------------------------
"$python" -c "
import numpy as np
bytes = open('digits/train-images-idx3-ubyte', 'rb').read()
np.save('train.npy', np.frombuffer(bytes, np.uint8, offset=16).reshape(-1, 28, 28))
rng = np.random.default_rng(1)
np.save('colour.npy', rng.random((300, 6, 5, 3), dtype=np.float32))"
"$program" train exact/config.cfg data.source=npy data.dir= data.train_images=train.npy data.test_images=images.npy \
  --out npy --progress none >npy.out 2>&1 || cat npy.out
check "a run on NumPy's files is the run on IDX files" same "$(weights_of npy)" "$(weights_of exact)"
check "its folder can be opened again" "$program" evaluate npy
"$program" train model.encoder=8 model.decoder=8 data.source=npy data.train_images=colour.npy data.test_images=colour.npy \
  train.epochs=1 --out colour --progress none >colour.out 2>&1 || cat colour.out
"$program" sample colour --kind reconstruction --count 4 --out colours.npy >/dev/null
check "pictures with channels are trained on and drawn" "$python" -c "
import numpy as np
drawn = np.load('colours.npy')
assert drawn.shape == (2, 2, 6, 5, 3), drawn.shape
assert np.allclose(drawn[:, 0], np.load('colour.npy')[:2])"

# --- Collapse ------------------------------------------------------------------------------------------------------------
for weight in 1e-1 1e-3; do
  "$program" train objective.kl_wt=$weight train.epochs=1 --out kl_wt_$weight --progress none >collapse.out 2>&1 || cat collapse.out
done
check "a KL weight of 0.1 collapses the posterior" same "$(value kl_wt_1e-1/result.json final test collapsed)" true
check "and says so" contains kl_wt_1e-1/metrics.jsonl '"collapsed":true'
check "one of 0.001 does not" same "$(value kl_wt_1e-3/result.json final test collapsed)" false
check "MNIST's baseline is known" matches kl_wt_1e-3/metrics.jsonl '"baseline_recon_nats":205\.80'

# --- help ----------------------------------------------------------------------------------------------------------------
for verb in evaluate encode sample export; do
  "$program" $verb --help >help
  check "elbow $verb --help gives an example" contains help "elbow $verb runs/first"
done
finish
