from typing import get_args

import onnxruntime
import pytest
import torch

from export.graph import ExportedGraph
from export.onnx_file import to_onnx
from train.methods.method import AnomalyModel
from train.methods.vae import Vae, VaeConfig
from train.networks.variational import AnomalyMap
from train.scores import Scorer, ScoreRecipe

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "spatial_dims": 2,
    "features": (4, 8),
    "latent": 6,
    "variance": 0.01,
    "anomaly_map": "residual",
    "learning_rate": 3e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def vae(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Vae(VaeConfig(**(TINY | changes)), channels, image_size)


def images(count=4, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (128, 128), (256, 256)])
def test_any_power_of_two_size_and_any_channels_are_redrawn(channels, image_size):
    some = images(2, channels, image_size)
    found = vae(channels, image_size).eval().findings(some)
    assert found.reconstruction.shape == found.evidence.shape == some.shape
    assert {name: part.shape for name, part in found.parts.items()} == {
        "likelihood": (2,),
        "kl": (2,),
    }


def test_the_loss_is_the_sum_of_its_two_terms():
    loss = vae().training_loss(images())
    assert loss.terms.keys() == {"likelihood", "kl"}
    torch.testing.assert_close(loss.total, loss.terms["likelihood"] + loss.terms["kl"])


def test_the_loss_is_summed_over_pixels_and_averaged_over_the_batch():
    model = vae(variance=0.5)
    grey = torch.full((3, 1, 32, 32), 0.5)
    torch.nn.init.zeros_(model.network.decoder.layers[-1].weight)
    torch.nn.init.zeros_(model.network.decoder.layers[-1].bias)  # draws black, whatever the latent
    found = model.training_loss(grey).terms["likelihood"]
    assert found.item() == pytest.approx(32 * 32 * 0.5**2 / (2 * 0.5))


def test_training_draws_latents_by_chance_and_findings_do_not():
    model = vae()
    first, second = (model.training_loss(images()).total for _ in range(2))
    assert first != second
    assert torch.equal(model.findings(images()).evidence, model.findings(images()).evidence)


def test_the_smaller_the_variance_the_more_the_image_counts():
    strict, lenient = (vae(variance=it).training_loss(images()).terms for it in (0.01, 1.0))
    assert strict["likelihood"].item() == pytest.approx(100 * lenient["likelihood"].item(), rel=0.2)
    assert strict["kl"] == lenient["kl"]


@pytest.mark.parametrize("anomaly_map", get_args(AnomalyMap))
def test_every_map_is_exported_and_onnx_runtime_finds_the_same(anomaly_map):
    plain = ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=False,
        smoothing_px=1,
        power=1,
        top_share=1.0,
        parts={},
        typicality="none",
    )
    graph = ExportedGraph(vae(channels=2, anomaly_map=anomaly_map), Scorer(plain))
    file = to_onnx(graph, images(2, channels=2)).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        some = images(count, channels=2)
        found = session.run(["anomaly_map", "score_kl"], {"image": some.numpy()})
        with torch.no_grad():
            expected = graph.outputs(some)
        # Gradients are sums of hundreds of products, the largest about 30.
        for array, name in zip(found, ("anomaly_map", "score_kl"), strict=True):
            torch.testing.assert_close(
                torch.from_numpy(array), expected[name], atol=1e-5, rtol=1e-5
            )


def test_it_is_an_anomaly_model():
    assert isinstance(vae(), AnomalyModel)
