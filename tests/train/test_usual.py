"""What is usual travels with the weights."""

import torch

from train import checkpoint
from train.typicality import typical_of
from train.usual import taken_from, tensors_of, usual_of


def test_it_comes_back_from_a_checkpoint_and_leaves_the_weights_alone(tmp_path):
    weights = {"layer.weight": torch.rand(3, 2)}
    usual = usual_of(torch.rand(5, 1, 4, 4)) | typical_of(torch.rand(5, 2))
    checkpoint.save(tmp_path / "model.safetensors", weights | tensors_of(usual), {})
    own, found = taken_from(checkpoint.load(tmp_path / "model.safetensors")[0])
    assert own.keys() == weights.keys()
    assert found.keys() == {"mean", "spread", "centre", "whitening"}
    torch.testing.assert_close(found, dict(usual))


def test_a_checkpoint_without_it_has_none():
    assert taken_from({"layer.weight": torch.zeros(1)} | tensors_of({}))[1] == {}


def test_evidence_that_is_nowhere_anything_has_a_spread_to_divide_by():
    assert (usual_of(torch.zeros(3, 1, 2, 2))["spread"] > 0).all()
