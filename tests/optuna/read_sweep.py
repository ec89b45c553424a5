"""Optuna reads the ledger of a sweep, and sees what the trials' own folders say.

Usage: read_sweep.py SWEEP
"""

import json
import math
import pathlib
import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

sweep = pathlib.Path(sys.argv[1])
storage = JournalStorage(JournalFileBackend(str(sweep / "ledger.jsonl")))
(name,) = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
study = optuna.load_study(study_name=name, storage=storage)
(metric,) = study.metric_names
result = json.loads((sweep / "result.json").read_text())
states = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL, "pruned": TrialState.PRUNED}

numbers = [trial.user_attrs["trial"] for trial in study.trials]
assert sorted(numbers) == list(range(result["trials"])), numbers
for trial in study.trials:
    run = sweep / "trials" / f"{trial.user_attrs['trial']:06}"
    end = json.loads((run / "result.json").read_text())
    assert trial.state == states[end["status"]], (run, trial.state, end["status"])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    held_out = {line["epoch"]: line[metric] for line in lines if line["split"] != "train"}
    told = {epoch: value for epoch, value in held_out.items() if value is not None and math.isfinite(value)}
    assert trial.intermediate_values == told, (run, trial.intermediate_values, told)
    if trial.state == TrialState.COMPLETE:
        assert trial.value == held_out[max(held_out)], (run, trial.value)
for word, state in states.items():
    assert result[word] == sum(trial.state == state for trial in study.trials), word
assert result["best_trial"] == study.best_trial.user_attrs["trial"], study.best_trial
print(f"Optuna reads {len(numbers)} trials, the best is {study.best_trial.user_attrs['trial']} with {study.best_value}")
