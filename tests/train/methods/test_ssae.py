import pytest
import torch
from torch import nn

from infer.errors import UnknownChoiceError
from train.methods.method import AnomalyModel
from train.methods.ssae import Ssae, SsaeConfig

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "levels": 2,
    "base": "encoded",
    "width": 2,
    "latent": 4,
    "dropout": 0.1,
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def ssae(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Ssae(SsaeConfig(**(TINY | changes)), channels, image_size)


def images(count=4, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    ("image_size", "levels"),
    [((32, 32), 3), ((64, 32), 2), ((128, 128), 5), ((256, 256), 6)],
    ids=str,
)
def test_any_power_of_two_size_and_any_channels_are_redrawn(channels, image_size, levels):
    some = images(2, channels, image_size)
    found = ssae(channels, image_size, levels=levels).eval().findings(some)
    assert found.reconstruction.shape == some.shape
    torch.testing.assert_close(found.evidence, some - found.reconstruction)


@pytest.mark.parametrize("base", ["passed", "encoded"])
def test_perfect_autoencoders_make_a_perfect_reconstruction(base):
    model = ssae(base=base).eval()
    for at in range(len(model.autoencoders)):
        model.autoencoders[at] = nn.Sequential(nn.Identity(), nn.Identity())
    found = model.findings(images())
    torch.testing.assert_close(found.reconstruction, images(), atol=1e-6, rtol=0)
    assert model.training_loss(images()).total.item() == pytest.approx(0, abs=1e-12)


def blank(model):
    """Every autoencoder draws black."""
    for at in range(len(model.autoencoders)):
        model.autoencoders[at] = nn.Sequential(nn.Identity(), Black())
    return model.eval()


class Black(nn.Module):
    def forward(self, images):
        return torch.zeros_like(images)


def test_a_passed_base_is_copied_into_the_reconstruction_and_an_encoded_one_is_not():
    grey = torch.full((2, 1, 32, 32), 0.5)
    passed, encoded = (blank(ssae(base=it)).findings(grey) for it in ("passed", "encoded"))
    torch.testing.assert_close(passed.reconstruction, grey)
    torch.testing.assert_close(encoded.reconstruction, torch.zeros_like(grey))


def test_the_loss_is_the_sum_of_its_levels_and_each_level_compares_whole_images():
    grey = torch.full((2, 1, 32, 32), 0.5)
    loss = blank(ssae(base="encoded")).training_loss(grey)
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(
        {"level_0": 0.25, "level_1": 0.25, "level_2": 0.25}
    )
    assert loss.total.item() == pytest.approx(0.75)


def test_a_passed_base_is_no_term():
    assert ssae(base="passed").training_loss(images()).terms.keys() == {"level_0", "level_1"}


@pytest.mark.parametrize(("base", "count"), [("passed", 3), ("encoded", 4)])
def test_there_is_an_autoencoder_per_band_and_one_for_an_encoded_base(base, count):
    assert len(ssae(base=base, levels=3).autoencoders) == count


def test_a_loss_in_half_precision_is_close_to_that_in_full():
    model = ssae(dropout=0.0).eval()
    full = model.training_loss(images()).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.training_loss(images()).total
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.02, atol=0)  # bfloat16 keeps 8 bits


def test_other_sizes_and_too_many_levels_are_refused():
    with pytest.raises(UnknownChoiceError, match="image_size"):
        ssae(image_size=(48, 48))
    with pytest.raises(UnknownChoiceError, match="levels"):
        ssae(levels=4)


def test_it_is_an_anomaly_model():
    assert isinstance(ssae(), AnomalyModel)
