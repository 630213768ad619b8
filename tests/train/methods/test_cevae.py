import pytest
import torch

from train.methods import cevae as module
from train.methods.cevae import Cevae, CevaeConfig, masked_out
from train.methods.method import AnomalyModel

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "features": (4, 8),
    "latent": 6,
    "variance": 0.01,
    "anomaly_map": "residual",
    "context_weight": 0.25,
    "patches": 1,
    "patch_share": (0.25, 0.5),
    "filling": "black",
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def config(**changes):
    return CevaeConfig(**(TINY | changes))


def cevae(**changes):
    torch.manual_seed(0)
    return Cevae(config(**changes), 1, (32, 32))


def images(count=4, channels=1, spatial=(32, 32)):
    """Brighter than black everywhere, so that what is masked shows."""
    chance = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, *spatial, generator=chance) * 0.5 + 0.25


def test_the_loss_mixes_the_elbo_with_the_context_term():
    loss = cevae(context_weight=0.25).training_loss(images())
    likelihood, kl, context = (loss.terms[it] for it in ("likelihood", "kl", "context"))
    torch.testing.assert_close(loss.total, 0.75 * (likelihood + kl) + 0.25 * context)


def test_the_context_term_draws_the_clean_image_from_the_masked_one(monkeypatch):
    model, some = cevae(), images()
    masked = some.flip(0)
    monkeypatch.setattr(module, "masked_out", lambda *given: masked)
    redrawn = model.network.look(masked, "residual").reconstruction
    expected = (some - redrawn).square().flatten(1).sum(dim=1) / (2 * 0.01)
    torch.testing.assert_close(model.training_loss(some).terms["context"], expected.mean())


def test_masking_leaves_the_image_untouched():
    some = images()
    before = some.clone()
    masked = masked_out(some, config())
    assert torch.equal(some, before)
    assert not torch.equal(masked, before)


@pytest.mark.parametrize("spatial", [(32, 32), (64, 32), (32, 32, 32)], ids=str)
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_patch_is_a_square_of_its_share_of_the_side_within_the_image(spatial, share):
    torch.manual_seed(2)
    some = images(6, 2, spatial)
    black = masked_out(some, config(patch_share=(share, share))) == 0
    assert torch.equal(black[:, 0], black[:, 1])  # all channels alike
    for image in black[:, 0]:
        places = image.nonzero()
        extents = places.max(dim=0).values - places.min(dim=0).values + 1
        assert len(places) == extents.prod()  # full, no holes
        for length, extent in zip(spatial, extents.tolist(), strict=True):
            assert extent == pytest.approx(share * length, abs=1)  # by where its edges fall


def test_each_image_has_patches_of_its_own():
    torch.manual_seed(2)
    black = masked_out(images(8), config()) == 0
    assert len({tuple(image.flatten().tolist()) for image in black}) == 8


def test_more_patches_hide_more():
    def hidden(patches):
        torch.manual_seed(2)
        return (masked_out(images(32), config(patches=patches)) == 0).float().mean()

    assert hidden(1) < hidden(3) < hidden(8)


@pytest.mark.parametrize(("filling", "levels"), [("black", 1), ("grey", 1), ("noise", 256)])
def test_fillings_are_even_or_noise_within_the_range(filling, levels):
    torch.manual_seed(2)
    some = torch.full((1, 1, 32, 32), -5.0)  # not within the range: what differs was masked
    masked = masked_out(some, config(filling=filling, patch_share=(0.5, 0.5)))
    filled = masked[masked != -5.0]
    assert filled.min() >= 0
    assert filled.max() <= 1
    assert len(filled.unique()) == pytest.approx(levels, rel=0.2)  # an edge may fall between


def test_findings_mask_nothing():
    model = cevae()
    found = model.findings(images())
    assert torch.equal(found.evidence, model.findings(images()).evidence)
    torch.testing.assert_close(found.reconstruction, model.network.look(images(), "residual")[1])


@pytest.mark.parametrize(
    ("name", "value"), [("context_weight", 1.5), ("patches", 0), ("patch_share", (0.5, 0.1))]
)
def test_impossible_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        config(**{name: value})


def test_it_is_an_anomaly_model():
    assert isinstance(cevae(), AnomalyModel)
