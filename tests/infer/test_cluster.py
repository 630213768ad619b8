"""What `--executor ray` asks of its user, where there is no cluster."""

import sys

import pytest

from infer.errors import MissingExtraError, UnknownChoiceError
from infer.executors.ray import connected
from tests.infer.run_options import options


@pytest.mark.parametrize("given", [{"retries": 1}, {"ray_address": "head:6379"}])
def test_what_concerns_a_cluster_is_refused_without_one(given):
    with pytest.raises(UnknownChoiceError, match="concerns a cluster, which was not asked for"):
        options(**given)


def test_which_gpu_is_for_ray_to_choose():
    with pytest.raises(UnknownChoiceError, match="device cuda:1 is for Ray to choose"):
        options(executor="ray", device="cuda:1")


def test_fewer_retries_than_none_are_refused():
    with pytest.raises(UnknownChoiceError, match="retries must be at least 0"):
        options(executor="ray", retries=-1)


def test_where_ray_is_not_installed_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="is not installed") as refused, connected(None):
        pass
    assert "uad[ray]" in refused.value.hint
