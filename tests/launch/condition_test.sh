#!/usr/bin/env bash
# Conditional models from outside: the same bits on any number of ranks, what evaluate says of the condition, and samples of an
# asked condition.    condition_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1500 200

small=(data.source=idx data.dir=digits model.encoder=48 model.decoder=48 model.latent=4 model.activation=relu optimizer.lr=3e-3
  train.reproducible=exact train.epochs=12 train.threads=1)
label=(model.condition=label model.prior=learned model.condition_dropout=0.1)
column=(model.condition=mask data.mask=column:13 data.condition_binarise=stochastic model.path=48 model.join=add)

# run NAME RANKS WORD...
run() {
  local name=$1 ranks=$2
  shift 2
  "${mpirun[@]}" -np "$ranks" "$program" train "${small[@]}" "$@" --out "$name" --progress none >"$name.out" 2>&1 ||
    cat "$name.out"
}
run label 1 "${label[@]}"
run column 1 "${column[@]}"
run regressor 1 "${column[@]}" model.kind=regressor
for ranks in 2 3; do
  run other "$ranks" "${column[@]}"
  check "$ranks ranks give the same weights" same "$(weights_of other)" "$(weights_of column)"
  check "and the same metrics" same "$(metrics_of other)" "$(metrics_of column)"
  rm -rf other
done
small=("${small[@]/train.epochs=12/train.epochs=5}")
run half 1 "${column[@]}"
small=("${small[@]/train.epochs=5/train.epochs=12}")
"$launcher" -n 2 resume half train.epochs=12 --progress none >resumed.out 2>&1 || cat resumed.out
check "a resumed run ends with the same weights" same "$(weights_of half)" "$(weights_of column)"
check "the settings are told" matches column.out '^condition  mask column:13, binarised stochastic, path 48, added'
check "a regressor leaves no trace of posteriors" fails test -e regressor/traces

# --- evaluate ------------------------------------------------------------------------------------------------------------
for name in label column regressor; do
  "$program" evaluate $name --importance-samples 50 --json >$name.json
done
"$launcher" -n 2 evaluate column --importance-samples 50 --json >again.json
without_time() { sed -E 's/"seconds":[^,]*,"examples_per_s":[^,]*,//' "$1"; }
check "two ranks measure the same" same "$(without_time again.json)" "$(without_time column.json)"
check "the measures of the condition are there" "$python" - <<'PYTHON'
import json
label, column, regressor = (json.load(open(f"{name}.json")) for name in ("label", "column", "regressor"))
for run in (label, column):
    assert run["condition_use_nats"] > 3 * run["condition_use_standard_error"] > 0, run
    assert run["sample_diversity_pixels"] > 1
    assert run["nll_nats"] < -run["elbo_nats"], "many samples bound better than one"
    assert run["best_of_samples_nats"] < run["prior_nll_nats"]
    assert run["nll_nats"] < run["prior_nll_nats"], "samples of the posterior hit where the prior's do not"
assert regressor["kl_nats"] == 0 and regressor["elbo_nats"] == -regressor["recon_nats"]
assert abs(regressor["nll_nats"] - regressor["recon_nats"]) < 1e-3
assert "sample_diversity_pixels" not in regressor and "active_units" not in regressor
assert regressor["condition_use_nats"] > 0
PYTHON
"$program" evaluate regressor >table
check "a table tells of the condition" contains table "condition   worth"

# --- sample --------------------------------------------------------------------------------------------------------------
"$program" sample label --condition label=3 --count 6 --out threes.npy >/dev/null
"$program" sample label --condition label=7 --count 6 --out sevens.npy >/dev/null
"$program" sample label --condition none --count 6 --out any.npy >/dev/null
"$program" sample label --kind classes --count 20 --out classes.npy >/dev/null
"$program" sample column --count 4 --out column.npy >/dev/null
"$program" sample column --kind completion --count 24 --regressor regressor --out completion.npy >/dev/null
"$program" sample column --complete digits/t10k-images-idx3-ubyte --count 2 --out complete.npy >/dev/null
check "samples follow what is asked" "$python" - <<'PYTHON'
import numpy as np
threes, sevens, any, classes = (np.load(f"{name}.npy") for name in ("threes", "sevens", "any", "classes"))
assert threes.shape == (6, 28, 28) and classes.shape == (2, 10, 28, 28)
assert np.abs(threes - sevens).sum((1, 2)).min() > 5, "another label, another digit"
assert np.abs(threes[0] - threes[1]).sum() > 1, "another z, another three"
assert not np.allclose(any, threes)
assert np.allclose(classes[0, 3], threes[0], atol=1e-5) and np.allclose(classes[1, 7], sevens[1], atol=1e-5)
truth = np.frombuffer(open("digits/t10k-images-idx3-ubyte", "rb").read(), np.uint8, offset=16).reshape(-1, 28, 28) / 255
complete, completion, column = np.load("complete.npy"), np.load("completion.npy"), np.load("column.npy")
assert complete.shape == (200, 2, 28, 28) and completion.shape == (3, 11, 28, 28)
assert np.isin(complete[:, :, :, 13], (0, 1)).all(), "what is given is copied in"
assert np.allclose(complete[:, 0, :, 13], complete[:, 1, :, 13])
assert (np.abs(complete[:, 0, :, 13] - truth[:, :, 13]) < 1).all()
assert np.allclose(completion[:, 10, :, :13], truth[:3, :, :13], atol=1e-6), "the truth stands last"
assert np.allclose(completion[:, 0, :, :13], 0.5) and np.allclose(completion[:, 0, :, 13], completion[:, 10, :, 13])
assert np.abs(completion[:, 1] - completion[:, 2]).sum() > 1
assert np.allclose(column[0, :, 13], completion[0, 0, :, 13])
PYTHON
"$program" sample label --condition label=3 --count 64 >told
check "without --out a picture lies in the run's folder" contains told label/figures/sample_prior.png
check "which is a PNG" same "$(head -c 4 label/figures/sample_prior.png | tail -c 3)" PNG
"$program" report label >/dev/null && "$program" report regressor >/dev/null
check "a report draws the classes" test -s label/figures/conditions.png
check "and a regressor's reconstructions" test -s regressor/figures/reconstructions.png

# --- Attributes beside the data --------------------------------------------------------------------------------------------
"$python" -c "
import numpy as np
for part, name in (('train', 'train'), ('t10k', 'test')):
    labels = np.frombuffer(open(f'digits/{part}-labels-idx1-ubyte', 'rb').read(), np.uint8, offset=8)
    np.save(f'{name}.npy', np.eye(10, dtype=np.float32)[labels])"
attributes=(model.condition=attributes data.train_attributes=train.npy data.test_attributes=test.npy)
run attributes 1 "${attributes[@]}" model.prior=learned
run one_hot 1 model.condition=label model.prior=learned
check "the classes as attributes are the classes as labels" same "$(weights_of attributes)" "$(weights_of one_hot)"
"$program" sample attributes --condition attributes=0,0,0,1,0,0,0,0,0,0 --count 2 --out a.npy >/dev/null
"$program" sample one_hot --condition label=3 --count 2 --out b.npy >/dev/null
check "and are asked for alike" cmp a.npy b.npy

# --- What is refused --------------------------------------------------------------------------------------------------------
# refused WORDS... -- ARGUMENT...   one sentence, code 2, with all words
refused() {
  local words=()
  while [[ $1 != -- ]]; do words+=("$1") && shift; done
  shift
  "$program" "$@" >stdout 2>stderr
  check "exit 2: $*" same $? 2
  check "... in one sentence" one_sentence stderr
  for word in "${words[@]}"; do check "... with '$word'" contains stderr "$word"; done
}
refused "label=12" -- sample label --condition label=12x --out a.npy
refused "classes 0 to 9" -- sample label --condition label=12 --out a.npy
refused "model.condition_dropout" -- sample one_hot --condition none --out a.npy
refused "17 attributes" -- sample attributes --condition attributes=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 --out a.npy
refused "'x', which is no number" -- sample attributes --condition attributes=1,x --out a.npy
refused "part of the picture" -- sample label --complete digits/t10k-images-idx3-ubyte --out a.npy
refused "part of the picture" -- sample label --kind completion --out a.npy
refused "model.condition = label" -- sample column --kind classes --out a.npy
refused "no regressor of the same part" -- sample column --kind completion --regressor column --out a.npy
refused "which has none" -- sample regressor --kind traversal --out a.npy
refused "no latent codes" -- encode regressor --split test --out a.npy
refused "images alone" -- encode label --data digits/t10k-images-idx3-ubyte --out a.npy
refused "plain VAEs only" -- export column --out exported
finish
