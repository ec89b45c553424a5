"""What TensorBoard's table of hyper-parameters shows of a sweep: every trial, with every key from the first trial on.

Usage: read_sweep.py SWEEP
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import hparams_plugin
from werkzeug.test import Client
from werkzeug.wrappers import Response


def table_of(folder):
    """The names of all keys, and the sessions, as the plugin answers the page's requests."""
    runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    runs.Reload()
    context = base_plugin.TBContext(data_provider=data_provider.MultiplexerDataProvider(runs, str(folder)))
    answers = hparams_plugin.HParamsPlugin(context).get_plugin_apps()

    def ask(what, **request):
        return json.loads(Client(answers[what], Response).post("/", json={"experimentName": "", **request}).get_data())

    keys = {info["name"] for info in ask("/experiment")["hparamInfos"]}
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    groups = ask("/session_groups", allowedStatuses=statuses, colParams=[], startIndex=0, sliceSize=1000)["sessionGroups"]
    return keys, groups


sweep = pathlib.Path(sys.argv[1])
first_keys, _ = table_of(sweep / "trials" / "000000")
keys, groups = table_of(sweep / "trials")
assert keys == first_keys, keys ^ first_keys
assert len(groups) == json.loads((sweep / "result.json").read_text())["trials"], len(groups)
ledger = [json.loads(line) for line in (sweep / "ledger.jsonl").read_text().splitlines()]
values = {line["user_attrs"]["trial"]: line["user_attrs"]["values"] for line in ledger if line["op_code"] == 4}
for group in groups:
    assert set(group["hparams"]) == keys, group["name"]
    for key, value in values[int(group["name"][-6:])].items():
        shown = group["hparams"][key]
        assert shown == value or float(shown) == float(value), (group["name"], key, shown, value)
    assert {metric["name"]["tag"] for metric in group["metricValues"]} >= {"epoch/elbo_nats", "epoch/loss"}, group["name"]
print(f"TensorBoard shows {len(groups)} trials with {len(keys)} keys each")
