import pytest

from infer.errors import UnknownChoiceError
from tests.train.phantom_study import REPOSITORY
from train.params import Params, load
from train.pool import make_pool


def test_scans_that_are_made_for_one_division_cannot_be_cross_validated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = dict(load(REPOSITORY / "params.yaml").values)
    values["data"] = {**values["data"], "dataset": "artificial"}
    with pytest.raises(UnknownChoiceError, match="'artificial' cannot be cross-validated"):
        make_pool(Params("params.yaml", values), "pool")
    assert not (tmp_path / "data").exists()
