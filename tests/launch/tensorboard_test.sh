#!/usr/bin/env bash
# What `elbow train` writes for TensorBoard, read without it: check sums, equal tags, steps that never go back.
# tensorboard_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"
few_digits digits 1000 200
recipe=(data.source=idx data.dir="$folder/digits" model.encoder=32 model.decoder=24 train.epochs=3 train.reproducible=exact)

"$launcher" -n 2 train "${recipe[@]}" log.every_steps=3 log.pictures_every=3 --out run >/dev/null
"$python" "$repository/tests/launch/read_events.py" run/tensorboard >events
check "a run on two ranks writes events with good check sums" same $? 0
check "of the right tags at the right steps" "$python" - <<'PYTHON'
import json
files = {line["file"].split("/")[0]: line["events"] for line in map(json.loads, open("events"))}
assert len(files) == 3 and {"train", "test"} < set(files), files.keys()
for side, events in files.items():
    assert events[0]["version"] == "brain.Event:2", side
    steps = [event["step"] for event in events]
    assert steps == sorted(steps), "no jump back"
def steps_of(side, tag):
    return [event["step"] for event in files[side] if tag in event["tags"]]
assert steps_of("train", "step/loss") == [3, 6, 8, 9, 12, 15, 16, 18, 21, 24], steps_of("train", "step/loss")
metrics = [json.loads(line) for line in open("run/metrics.jsonl")]
for side in ("train", "test"):
    tags = {tag: kind for event in files[side] for tag, kind in event["tags"].items()}
    for tag in ("epoch/loss", "epoch/recon_nats", "epoch/kl_nats", "epoch/elbo_nats", "posterior/mu", "posterior/sigma"):
        assert steps_of(side, tag) == [8, 16, 24], (side, tag)
    assert (tags["posterior/mu"], tags["manifold"], tags["reconstructions"]) == ("histogram", "png", "png")
    assert steps_of(side, "manifold") == [24]
    logged = [line for line in metrics if line["split"] == side]
    drawn = [event["tags"]["epoch/loss"] for event in files[side] if "epoch/loss" in event["tags"]]
    assert all(abs(a["loss"] - b) < 1e-6 for a, b in zip(logged, drawn, strict=True)), "the logged losses"
PYTHON
check "pictures drawn while training lie in the folder" same "$(cd run/figures && echo *)" \
  "epoch_0003_manifold.png epoch_0003_reconstructions.png"

# --- Traces --------------------------------------------------------------------------------------------------------------
check "traces of the first epoch and of the last" same "$(cd run/traces && echo *)" \
  "posterior_epoch_0001.npy posterior_epoch_0003.npy"
check "are NumPy files with mu and sigma of each step" "$python" - <<'PYTHON'
import numpy
for epoch in (1, 3):
    trace = numpy.load(f"run/traces/posterior_epoch_{epoch:04}.npy")
    assert trace.shape == (8, 2, 2) and trace.dtype == numpy.float32, (trace.shape, trace.dtype)
    assert numpy.isfinite(trace).all() and (trace[:, 1] > 0).all()
PYTHON
"$program" train "${recipe[@]}" log.tensorboard=false --out alone >/dev/null
check "one rank leaves the same traces as two" cmp run/traces/posterior_epoch_0003.npy alone/traces/posterior_epoch_0003.npy
check "log.tensorboard=false writes no events" test ! -e alone/tensorboard
check "pictures and events change no weights" same "$(weights_of run)" "$(weights_of alone)"
finish
