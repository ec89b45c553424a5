"""Optuna reads the ledger that LedgerTest.AnExampleOfEverythingIsWritten leaves, and checks what it sees.

Usage: read.py LEDGER [--write]     --write: adds what Optuna's users and its dashboard add
"""

import datetime
import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

storage = JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.load_study(study_name="a", storage=storage)
assert study.direction == optuna.study.StudyDirection.MAXIMIZE
assert study.metric_names == ["elbo_nats"], study.metric_names
assert study.user_attrs["elbow"]["shard"] == "2/3"

trials = {trial.user_attrs["trial"]: trial for trial in study.trials}
assert [trial.number for trial in study.trials] == list(range(len(trials)))
states = {number: trial.state for number, trial in trials.items()}
assert states == {1: TrialState.COMPLETE, 4: TrialState.PRUNED, 7: TrialState.FAIL, 10: TrialState.RUNNING}, states

complete = trials[1]
assert complete.params == {"objective.kl_wt": 0.01, "model.latent": 20, "model.activation": "relu"}, complete.params
assert type(complete.params["model.latent"]) is int
assert complete.distributions["objective.kl_wt"] == optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True)
assert complete.distributions["model.latent"] == optuna.distributions.IntDistribution(2, 20, log=True)
assert complete.distributions["model.activation"] == optuna.distributions.CategoricalDistribution(("tanh", "relu"))
assert complete.value == -149.5 and complete.intermediate_values == {1: -150.125, 2: -149.5}
assert complete.user_attrs["seed"] == 7 and complete.user_attrs["kl_nats"] == 6.5 and complete.user_attrs["host"] == "n1"
assert complete.datetime_start == datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)
assert complete.duration == datetime.timedelta(0)
assert study.best_trial.user_attrs["trial"] == 1

assert trials[4].value == -200 and trials[4].intermediate_values == {1: -200}
assert trials[7].value is None and trials[7].intermediate_values == {} and trials[7].user_attrs["nonfinite_epoch"] == 1
assert trials[10].value is None and trials[10].datetime_complete is None

if "--write" in sys.argv:
    study.set_user_attr("what", "a note")
    storage.set_study_system_attr(study._study_id, "dashboard:note:0", "text")
    storage.set_trial_user_attr(trials[10]._trial_id, "asked", "again")
