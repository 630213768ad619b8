"""What is logged of a comparison, in a store of its own."""

import pytest

from export import registry
from train import tracking

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_the_rows_of_ablations_are_logged_beside_those_of_their_methods(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    table = {"cae": {"auroc": 0.5}, "cae+no_affine": {"auroc": 0.25}}
    registry.log_crossval(table, study="tiny", parents={}, files=[], data="hash")
    client = tracking.open_client()
    (experiment,) = (it for it in client.search_experiments() if it.name == "tiny")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"cae.auroc": 0.5, "cae/no_affine.auroc": 0.25}
