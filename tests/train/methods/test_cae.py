import pytest
import torch
from torch import nn

from infer.errors import UnknownChoiceError
from train.methods.cae import Cae, CaeConfig
from train.methods.method import AnomalyModel

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "spatial_dims": 2,
    "width": 4,
    "latent": 8,
    "dropout": 0.1,
    "loss": "mse",
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def cae(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Cae(CaeConfig(**(TINY | changes)), channels, image_size)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (128, 128), (256, 256)])
def test_any_power_of_two_size_and_any_channels_are_redrawn(channels, image_size):
    images = torch.rand(2, channels, *image_size)
    found = cae(channels, image_size).eval().findings(images)
    assert found.reconstruction.shape == images.shape
    torch.testing.assert_close(found.evidence, images - found.reconstruction)


@pytest.mark.parametrize("image_size", [(48, 48), (16, 16), (512, 512), (224, 224)])
def test_other_sizes_are_refused(image_size):
    with pytest.raises(UnknownChoiceError, match="image_size"):
        cae(image_size=image_size)


def test_blocks_are_those_of_the_study():
    model = cae(image_size=(64, 64))
    encoder = [type(layer) for layer in model.encoder.blocks]
    decoder = [type(layer) for layer in model.decoder.blocks]
    after = [nn.BatchNorm2d, nn.LeakyReLU, nn.Dropout]
    assert encoder == [nn.Conv2d, *after] * 4
    assert decoder == [nn.ConvTranspose2d, *after] * 3 + [nn.ConvTranspose2d]


def test_findings_are_the_same_whatever_the_neighbours():
    model = cae().eval()
    images = torch.rand(5, 1, 32, 32)
    alone = model.findings(images[:1]).evidence
    among = model.findings(images).evidence[:1]
    torch.testing.assert_close(alone, among, atol=1e-6, rtol=0)  # convolutions may add in turns


def test_the_loss_falls_on_a_fixed_batch():
    model = cae(dropout=0.0)
    optimizer = model.optimizers()["model"]
    images = torch.rand(4, 1, 1, 1).expand(4, 1, 32, 32)
    losses = []
    for _ in range(30):
        loss = model.training_loss(images).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_it_is_an_anomaly_model():
    assert isinstance(cae(), AnomalyModel)
