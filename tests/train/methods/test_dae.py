import pytest
import torch

from train.corruption import LesionsConfig, NoiseConfig
from train.methods.dae import Dae, DaeConfig
from train.methods.method import AnomalyModel

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "corruption": "lesions",
    "noise": NoiseConfig(resolution=8, std=0.2),
    "lesions": LesionsConfig(
        count=(1, 2), radius=(0.05, 0.2), contrast=(0.2, 0.5), irregularity=0.4, softness=0.15
    ),
    "width": 4,
    "levels": 2,
    "bottleneck": 8,
    "skips": True,
    "loss": "mse",
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def dae(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Dae(DaeConfig(**(TINY | changes)), channels, image_size)


class Copy(torch.nn.Module):
    """Restores nothing: what comes in goes out. It remembers what it was shown."""

    def forward(self, images):
        self.shown = images
        return images

    def look(self, images):
        return self(images), images.flatten(2).mean(dim=2)


@pytest.mark.parametrize("corruption", ["noise", "lesions"])
def test_the_network_sees_spoiled_images_and_is_held_to_the_clean_ones(corruption):
    model = dae(corruption=corruption)
    model.network = Copy()
    images = torch.rand(4, 1, 32, 32)
    before = images.clone()
    loss = model.training_loss(images).total
    assert torch.equal(images, before)
    assert not torch.equal(model.network.shown, images)
    torch.testing.assert_close(loss, (model.network.shown - images).square().mean())


def test_nothing_is_spoiled_where_anomalies_are_looked_for():
    model = dae().eval()
    model.network = Copy()
    assert torch.all(model.findings(torch.rand(2, 1, 32, 32)).evidence == 0)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (256, 256)])
def test_any_power_of_two_size_and_any_channels_are_restored(skips, channels, image_size):
    images = torch.rand(2, channels, *image_size)
    found = dae(channels, image_size, skips=skips).eval().findings(images)
    assert found.reconstruction.shape == images.shape
    torch.testing.assert_close(found.evidence, images - found.reconstruction)


def test_findings_are_the_same_whatever_the_neighbours():
    model, images = dae().eval(), torch.rand(5, 1, 32, 32)
    alone, among = model.findings(images[:1]).evidence, model.findings(images).evidence[:1]
    torch.testing.assert_close(alone, among, atol=1e-6, rtol=0)  # convolutions may add in turns


def test_a_short_fit_teaches_it_to_remove_a_lesion_it_has_not_seen():
    model = dae(learning_rate=1e-2)
    optimizer = model.optimizers()["model"]
    columns = torch.linspace(0.3, 0.7, 32).expand(8, 1, 32, 32)
    for _ in range(80):
        loss = model.training_loss(columns).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    lesioned = columns[:1].clone()
    lesioned[:, :, 12:20, 12:20] += 0.3
    evidence = model.eval().findings(lesioned).evidence[0, 0].detach()
    elsewhere = evidence.clone()
    elsewhere[10:22, 10:22] = 0
    assert evidence[13:19, 13:19].mean() > 3 * elsewhere.abs().mean()


def test_it_is_an_anomaly_model():
    assert isinstance(dae(), AnomalyModel)
