#!/usr/bin/env bash
# What `elbow train` leaves in its folder, and that the folder is enough to do the same again.
# run_files_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1000 200

recipe=("$repository/configs/kl_vae.cfg" data.source=idx data.dir="$folder/digits" model.encoder=32,16 model.decoder=24
  model.latent=3 train.epochs=3 train.reproducible=exact)
"$launcher" -n 2 train "${recipe[@]}" --out run >run.out 2>run.err
check "a run ends with 0" same $? 0
check "without a word on standard error" same "$(cat run.err)" ""
check "it leaves these files" same "$(cd run && find . -maxdepth 1 -type f | sort | xargs)" \
  "./config.cfg ./manifest.json ./metrics.jsonl ./result.json ./run.lock"
check "its newest checkpoint is the end's" same "$(newest_of run)" run/checkpoints/step_000000024
check "and has these files" same "$(cd "$(newest_of run)" && find . -type f | sort | xargs)" \
  "./manifest.json ./model.safetensors ./optimizer.safetensors ./state.json"

# --- manifest.json -------------------------------------------------------------------------------------------------------
manifest() { value run/manifest.json "$@"; }
check "the manifest has the command line" same "$(manifest arguments 0) $(manifest arguments 1) $(manifest arguments 2)" \
  "elbow train $repository/configs/kl_vae.cfg"
check "to its last word" same "$(manifest arguments -1)" run
for name in elbow libtorch mpi compiler; do check "the version of $name" differ "$(manifest versions $name)" ""; done
revision=$(git -C "$repository" rev-parse --short=12 HEAD 2>/dev/null)
if [[ -n $revision && $(manifest versions git_revision) != unknown ]]; then
  check "the git revision" matches run/manifest.json '"git_revision": "[0-9a-f]{12}(-dirty)?"'
fi
check "both ranks' hosts and devices" same "$(manifest ranks 1 host) $(manifest ranks 1 device)" "$(hostname) cpu"
check "which are two" same "$(value run/manifest.json ranks | grep -o host | wc -l)" 2
check "what moved their tensors" same "$(manifest backend)" mpi
check "the data's SHA-256" same "$(manifest data_files 0 sha256)" \
  "$(sha256sum digits/train-images-idx3-ubyte | cut -d' ' -f1)"
check "cut data is not known as MNIST" same "$(manifest data_files 0 known_as)" ""
check "the start time" same "$(date -d "$(manifest started)" +%s 2>/dev/null | wc -l)" 1
check "which is now" test $(($(date +%s) - $(date -d "$(manifest started)" +%s))) -lt 300
check "exact mode's settings" matches run/manifest.json '"leaves": "4"'
check "and MKL's branch" matches run/manifest.json '"mkl_branch": "avx(2|512),strict"'

# --- metrics.jsonl and result.json ---------------------------------------------------------------------------------------
check "metrics and result" "$python" - <<'PYTHON'
import json, math
def refuse(name): raise ValueError(f"{name} is not JSON")
lines = [json.loads(line, parse_constant=refuse) for line in open("run/metrics.jsonl")]
assert [(line["split"], line["epoch"], line["step"]) for line in lines] == \
    [(split, epoch, 8 * epoch) for epoch in (1, 2, 3) for split in ("train", "test")], "two lines an epoch"
measured = ["split", "epoch", "step", "examples", "loss", "recon_nats", "kl_nats", "elbo_nats",
            "mu_mean", "mu_std", "sigma_mean", "sigma_std", "clamp_rate"]
took = ["seconds", "examples_per_s"]
evaluated = ["sigma_min", "sigma_max", "active_units", "active_units_kl", "aggregate_kl_nats", "mu_within_1sd",
             "mu_within_2sd", "mu_within_5sd", "mu_norm_quantiles", "mu_mean_by_unit", "mu_std_by_unit",
             "sigma_mean_by_unit", "sigma_std_by_unit", "kl_nats_by_unit", "baseline_recon_nats", "collapsed"]
def numbers(value): return value if isinstance(value, list) else [value]
for line in lines:
    assert list(line) == measured + (evaluated if line["split"] == "test" else []) + took, list(line)
    assert all(math.isfinite(number) for name, value in line.items() if name != "split" for number in numbers(value)), line
    for name in line:
        assert not name.endswith("_by_unit") or len(line[name]) == 3, name
    if line["split"] == "test":
        assert math.isclose(sum(line["kl_nats_by_unit"]), line["kl_nats"], rel_tol=1e-12)
    assert line["examples"] == {"train": 1000, "test": 200}[line["split"]], "exact counts"
    assert math.isclose(line["elbo_nats"], -line["recon_nats"] - line["kl_nats"], rel_tol=1e-12)
    assert math.isclose(line["loss"] * 784, line["recon_nats"] + 0.784 * line["kl_nats"], rel_tol=1e-5), "kl_wt"
    assert line["kl_nats"] > 0 and line["seconds"] > 0

result = json.load(open("run/result.json"))
assert list(result) == ["status", "exit_code", "error", "epochs_done", "steps_done", "seconds", "examples_per_s",
                        "final", "recon_floor_nats", "best", "weights", "interrupted_by", "rollbacks", "healed", "warnings"], list(result)
assert (result["status"], result["exit_code"], result["error"]) == ("complete", 0, None)
assert (result["epochs_done"], result["steps_done"]) == (3, 24)
assert result["final"] == {"train": lines[-2], "test": lines[-1]}
assert result["best"] == max((line for line in lines if line["split"] == "test"), key=lambda line: line["elbo_nats"])
assert result["seconds"] > 0 and result["examples_per_s"] > 0
PYTHON

# --- Weights -------------------------------------------------------------------------------------------------------------
weights=run/$(value run/result.json weights)
check "the weights have PyTorch's names and shapes" "$python" - "$weights" <<'PYTHON'
import sys
from safetensors.numpy import load_file
tensors = load_file(sys.argv[1])
linear = {"encoder.layers.0": (32, 784), "encoder.layers.1": (16, 32), "encoder.mean": (3, 16),
          "encoder.log_variance": (3, 16), "decoder.layers.0": (24, 3), "decoder.output": (784, 24)}
shapes = {f"{name}.weight": shape for name, shape in linear.items()}
shapes |= {f"{name}.bias": shape[:1] for name, shape in linear.items()}
assert {name: tensor.shape for name, tensor in tensors.items()} == shapes, tensors.keys()
assert all(str(tensor.dtype) == "float32" for tensor in tensors.values())
PYTHON

# --- The same again ------------------------------------------------------------------------------------------------------
# From the run's own configuration, in another folder, on another number of ranks, without the launcher.
mkdir elsewhere
(cd elsewhere && "$program" train ../run/config.cfg --out again --progress none >/dev/null)
check "config.cfg alone gives the same run" cmp "$weights" elsewhere/again/checkpoints/step_000000024/model.safetensors
check "and the same configuration" cmp run/config.cfg elsewhere/again/config.cfg
(cd elsewhere && "${mpirun[@]}" -np 2 "$program" train ../run/config.cfg >plain.out 2>plain.err)
check "plain mpirun does as well, below runs/" cmp "$weights" elsewhere/runs/config-*/checkpoints/step_000000024/model.safetensors
check "and names the folder" matches elsewhere/plain.out '^run +runs/config-[0-9]{8}-[0-9]{6}$'
check "every key is in config.cfg" same "$(grep -cE '^(# beta|[a-z_0-9]+) = ?' run/config.cfg)" \
  "$("$program" config --keys | grep -v '^sweep' | grep -cE '^[a-z]+\.[a-z_0-9]+ ')"

# --- The data inside the program -------------------------------------------------------------------------------------------
"$program" train model.encoder=4 model.decoder=4 train.batch_size=5000 train.epochs=1 --out embedded >/dev/null
check "MNIST inside the program is known as such" matches embedded/manifest.json '"known_as": "MNIST train-images-idx3-ubyte"'
check "with the SHA-256 of its file" same "$(value embedded/manifest.json data_files 0 sha256)" \
  "$(sha256sum "$repository/configs/data/mnist/train-images-idx3-ubyte.gz" | cut -d' ' -f1)"

# --- A folder holds one run ----------------------------------------------------------------------------------------------
before=$(find run -type f -exec sha256sum {} + | sort)
"$launcher" -n 2 train "${recipe[@]}" --out run >second.out 2>second.err
check "a second run into the folder is refused" same $? 2
check "in one sentence" one_sentence second.err
check "that names --resume" contains second.err --resume
check "and --out" contains second.err --out
check "and touches nothing" same "$(find run -type f -exec sha256sum {} + | sort)" "$before"
finish
