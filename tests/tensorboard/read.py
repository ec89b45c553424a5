"""What TensorBoard itself sees in a run's event files, as its own classes load them.

Usage: read.py RUN. Fails where anything that a run logs is missing.
"""

import pathlib
import sys

from tensorboard.backend.event_processing import event_accumulator, event_multiplexer
from tensorboard.plugins.hparams import plugin_data_pb2

run = pathlib.Path(sys.argv[1])
everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
runs = event_multiplexer.EventMultiplexer(size_guidance=everything).AddRunsFromDirectory(str(run / "tensorboard"))
runs.Reload()
assert set(runs.Runs()) == {".", "train", "test"}, runs.Runs()

train, test = runs.GetAccumulator("train"), runs.GetAccumulator("test")
for tag in ["epoch/loss", "epoch/recon_nats", "epoch/kl_nats", "epoch/elbo_nats", "posterior/mu_std"]:
    epochs = [event.step for event in train.Scalars(tag)]
    assert epochs == [event.step for event in test.Scalars(tag)] == [8, 16, 24, 32], (tag, epochs)
steps = [event.step for event in train.Scalars("step/loss")]
assert steps == sorted(set(steps)) and steps[-1] == 32, steps
assert train.Scalars("epoch/loss")[-1].value < train.Scalars("epoch/loss")[0].value
for side in (train, test):
    for tag in ["posterior/mu", "posterior/sigma"]:
        assert len(side.Histograms(tag)) == 4
        assert side.Histograms(tag)[0].histogram_value.num > 0
    for tag in ["manifold", "reconstructions"]:
        images = side.Images(tag)
        assert [image.step for image in images] == [16, 32], tag
        assert images[0].encoded_image_string.startswith(b"\x89PNG") and images[0].width > 100

root = runs.GetAccumulator(".")
content = root.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
assert start.hparams["objective.kl_wt"].number_value == 1e-3
assert abs(start.hparams["objective.beta"].number_value - 0.784) < 1e-12
assert start.hparams["train.shuffle"].bool_value is False
assert start.hparams["model.activation"].string_value == "tanh"
content = root.SummaryMetadata("_hparams_/experiment").plugin_data.content
experiment = plugin_data_pb2.HParamsPluginData.FromString(content).experiment
assert {info.name for info in experiment.hparam_infos} == set(start.hparams), "every key has its kind"
assert ("test", "epoch/elbo_nats") in {(info.name.group, info.name.tag) for info in experiment.metric_infos}
print(f"TensorBoard reads {len(train.Tags()['scalars'])} scalars of train and {len(start.hparams)} hyper-parameters")
