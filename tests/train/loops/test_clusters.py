import pytest
import torch
from lightning_fabric import Fabric

from infer.errors import UnknownChoiceError
from tests.train.methods.test_gmvae import gmvae
from train.batches import Batches
from train.loops.clusters import fit_from_clusters, place_components

EPOCHS = 160


def two_kinds(count=16):
    """Ramps to the right and ramps downwards, with noise; and which is which."""
    chance = torch.Generator().manual_seed(0)
    kinds = torch.arange(count) % 2
    ramp = torch.linspace(0, 1, 32)
    bases = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)])
    noise = 0.02 * torch.randn(count, 1, 32, 32, generator=chance)
    return bases[kinds][:, None] + noise, kinds


def batches_of(images):
    return Batches(
        images.numpy(),
        16,
        change=lambda it: it,
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
    )


def model_of():
    numbers = {"latent": 2, "components": 2, "learning_rate": 5e-3}
    return gmvae(epochs=EPOCHS, warm_up=EPOCHS // 2, **numbers)


def records_of(model, images, records):
    fabric = Fabric(accelerator="cpu", precision="32-true")
    torch.manual_seed(0)
    return list(fit_from_clusters(fabric, model, model.optimizers(), batches_of(images), records))


def test_images_of_two_kinds_get_components_of_their_own():
    images, kinds = two_kinds()
    model = model_of()
    records_of(model, images, range(EPOCHS))
    with torch.no_grad():
        found = model.prior.memberships(model.network.encode(images)).argmax(dim=1)
    agreement = (found == kinds).float().mean()
    assert max(agreement, 1 - agreement) > 0.95


def test_only_what_has_components_is_a_candidate():
    images, _ = two_kinds(8)
    records = records_of(model_of(), images, range(EPOCHS // 2 - 1, EPOCHS // 2 + 1))
    assert [record.candidate for record in records] == [False, True]
    assert records[0].losses.keys() == {
        "loss", "loss_likelihood", "loss_latents", "loss_membership",
    }  # fmt: skip


def test_before_they_are_placed_components_remain_one():
    images, _ = two_kinds(8)
    model = model_of()
    records_of(model, images, range(3))
    torch.testing.assert_close(model.prior.means[0], model.prior.means[1])


def test_more_components_than_images_are_refused():
    images, _ = two_kinds(2)
    model = gmvae(components=3)
    with pytest.raises(UnknownChoiceError, match="3 components cannot be placed among 2"):
        place_components(model, batches_of(images))
