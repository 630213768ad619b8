"""A cross validation that is killed goes on: what is done is kept, and the table is the same."""

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from export import crossval_report
from export.stages import crossval as stage
from tests.export.stages.test_crossval import OPTIONS, numbers, pytestmark  # noqa: F401
from train import session, tracking
from train.params import Params

FOLDS = Path("reports/tiny/crossval/folds/cae")
# In the second fold, with two records put aside, the process kills itself.
KILLED = """
import os, signal, sys
import pytest
from tests.export.stages import test_crossval_killed as test
from train import tracking

def log(run, metrics, step, steps=[]):
    steps.append(step)
    if steps.count(2) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

tracking.MlflowRun.log = log
params = test.of_one_method(test.numbers())
os.chdir(sys.argv[1])
test.run(params, pytest.MonkeyPatch())
"""


def of_one_method(params):
    """Four epochs of one method under one protocol: a single export for each fold."""
    values = dict(params.values)
    values["fit"] = {"cae": {**values["fit"]["cae"], "epochs": 4}}
    values["crossval"] = {**values["crossval"], "protocols": ["blind"], "ensembles": {}}
    return Params(params.path, values)


def run(params, patch):
    """All folds, put aside at every record, without pictures, which cost seconds."""
    patch.setattr(session, "RESUME_SECONDS", -1)
    for name in ("_pictures", "_watch"):
        patch.setattr(session.Session, name, lambda *given, **named: {})
    for name in ("_curves", "_pages"):
        patch.setattr(crossval_report, name, lambda *given: iter(()))
    stage.crossval(params, replace(OPTIONS, keep=False))


def table():
    """The rows but for what a clock says."""
    with Path("reports/tiny/folds.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["metric"] != "fit_seconds"]


def runs_of(name):
    """The one run of that name, and those below it."""
    client = tracking.open_client()
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    (parent,) = (it for it in runs if it.info.run_name == name)
    tag = tracking.PARENT_TAG
    return parent, [it for it in runs if it.data.tags.get(tag) == parent.info.run_id]


def test_a_killed_run_goes_on_in_the_middle_of_a_fold(tmp_path, monkeypatch, capsys):
    params, root = of_one_method(numbers()), Path.cwd()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))  # one store for all
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(killed)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    monkeypatch.chdir(killed)
    assert [it.name for it in FOLDS.iterdir()] == ["published_fold0.json"]
    before = (FOLDS / "published_fold0.json").read_bytes()
    run(params, monkeypatch)
    said = capsys.readouterr().out
    assert said.count("cae: goes on at record 2") == 1
    assert said.count("cae: record 1 of 4") == 1  # of the third fold alone
    assert (FOLDS / "published_fold0.json").read_bytes() == before
    resumed = table()
    parent, children = runs_of("crossval cae")
    assert len(children) == 3
    assert parent.data.metrics["blind.published.auroc"] >= 0

    monkeypatch.chdir(whole)
    run(params, monkeypatch)
    assert {row["fold"] for row in resumed if row["method"] == "cae"} == {"0", "1", "2"}
    assert resumed == table()
