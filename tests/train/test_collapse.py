import math

import pytest
import torch

from tests.train.methods.test_fanogan import fanogan, images
from train.collapse import diversity, watch_generator
from train.methods.method import Findings


def noise(count, seed):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_a_generator_that_draws_one_image_has_collapsed():
    seen = diversity(noise(1, 0).expand(16, 1, 8, 8), noise(16, 1))
    assert seen.ratio == pytest.approx(0, abs=1e-6)


def test_a_generator_that_draws_like_reality_has_not():
    assert diversity(noise(32, 0), noise(32, 1)).ratio == pytest.approx(1, abs=0.05)


def test_a_generator_that_copies_training_images_is_at_no_distance_from_them():
    real = noise(16, 0)
    assert diversity(real.flip(0), real).nearest == pytest.approx(0, abs=1e-6)
    assert diversity(noise(16, 1), real).nearest > 0.5


def test_a_collapsed_generator_is_reported_in_words():
    model = fanogan()
    torch.nn.init.zeros_(model.generator.from_latent.weight)  # every latent becomes one image
    seen = watch_generator(model, images(8))
    assert seen.metrics["collapse_ratio"] == pytest.approx(0, abs=1e-6)
    assert "the generator has collapsed: its images differ by 0%" in seen.warnings[0]


def test_a_model_as_diverse_as_its_images_is_not(monkeypatch):
    model = fanogan().eval()
    drawn = model.generate(torch.randn(32, model.config.latent)).detach()
    perfect = Findings(torch.zeros_like(drawn), reconstruction=drawn, parts={})
    monkeypatch.setattr(model, "findings", lambda _: perfect)
    assert watch_generator(model, drawn).warnings == ()


def test_an_encoder_to_which_all_images_are_alike_is_reported_in_words():
    model = fanogan().eval()
    drawn = model.generate(torch.randn(32, model.config.latent)).detach()
    torch.nn.init.zeros_(model.encoder.to_output.weight)
    seen = watch_generator(model, drawn)
    assert seen.metrics["redrawn_ratio"] == pytest.approx(0, abs=1e-6)
    assert seen.warnings == (
        "the encoder has failed: the images it has redrawn differ by 0% of what real ones do",
    )


def test_distances_are_root_mean_squares():
    black, white = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.5)
    assert diversity(torch.cat([black, white]), noise(4, 0)).generated == pytest.approx(0.5)


@pytest.mark.parametrize("real", [images(1), images(1).expand(3, -1, -1, -1)], ids=["one", "equal"])
def test_nothing_is_said_of_a_ratio_to_nothing(real):
    seen = watch_generator(fanogan(), real)
    assert all(math.isfinite(it) for it in seen.metrics.values())
    assert "collapse_ratio" not in seen.metrics
    assert seen.warnings == ()
