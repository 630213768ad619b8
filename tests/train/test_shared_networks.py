import pytest
import torch

from infer.errors import BadModelError
from tests.train.methods.test_fanogan import fanogan
from train import checkpoint
from train.shared_networks import hash_of, load_shared, share

GAN = ("generator", "critic")


@pytest.fixture
def path(tmp_path):
    """A fitted f-AnoGAN: weights unlike those of a new one."""
    model = fanogan()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    path = tmp_path / "fanogan.safetensors"
    checkpoint.save(path, model, {"data_hash": "these"})
    return path


def test_shared_networks_are_taken_over_bit_for_bit_and_the_others_left(path):
    model = fanogan()
    before = {name: it.clone() for name, it in model.state_dict().items()}
    share(model, load_shared(path, GAN, data_hash="these"), GAN)
    fitted, _ = checkpoint.load(path)
    for name, tensor in model.state_dict().items():
        expected = fitted if name.startswith(GAN) else before
        assert torch.equal(tensor, expected[name]), name


def test_a_fit_that_is_missing_is_named_with_what_to_run(tmp_path):
    with pytest.raises(BadModelError, match=r"fanogan.safetensors does not exist") as refusal:
        load_shared(tmp_path / "fanogan.safetensors", GAN, data_hash="these")
    assert refusal.value.hint == "run the fit stage of fanogan first"


def test_a_fit_to_other_data_is_refused(path):
    with pytest.raises(BadModelError, match="fitted to other data"):
        load_shared(path, GAN, data_hash="those")


@pytest.mark.parametrize("numbers", [{"width": 2}, {"critic_norm": "none"}, {"latent": 4}])
def test_networks_of_another_architecture_are_refused(path, numbers):
    with pytest.raises(BadModelError, match="generator and critic have another architecture"):
        share(fanogan(**numbers), load_shared(path, GAN, data_hash="these"), GAN)


def test_the_hash_tells_weights_apart_and_nothing_from_something(path):
    weights = load_shared(path, GAN, data_hash="these")
    other = {**weights, "critic.to_output.bias": weights["critic.to_output.bias"] + 1e-6}
    assert hash_of(weights) == hash_of(dict(reversed(weights.items())))
    assert len({hash_of(weights), hash_of(other), hash_of({})}) == 3
    assert hash_of({}) == ""
