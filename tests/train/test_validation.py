import numpy as np
import pytest
import torch

from train import validation
from train.methods.method import Findings, TrainingLoss
from train.scores import ScoreRecipe

RECIPES = {
    "plain": ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=False,
        smoothing_px=1,
        power=1,
        top_share=1.0,
        parts={},
        typicality="none",
    ),
    "with_energy": ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=False,
        smoothing_px=1,
        power=1,
        top_share=1.0,
        parts={"energy": 1.0},
        typicality="none",
    ),
}


class Zero(torch.nn.Module):
    """Expects black: evidence is the image."""

    def training_loss(self, images):
        return TrainingLoss(images.mean(), {})

    def findings(self, images):
        return Findings(images, torch.zeros_like(images), {})


HEALTHY = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def bright_last(count, abnormal):
    images = torch.full((count, 1, 4, 4), 0.2)
    images[count - abnormal :] = 0.8
    return images, np.arange(count) >= count - abnormal


def test_every_recipe_the_method_can_follow_is_tried():
    seen = validation.validate(Zero(), RECIPES, *bright_last(8, 3), HEALTHY)
    assert seen.auroc == {"plain": 1.0}
    np.testing.assert_allclose(seen.scores["plain"], [0.2] * 5 + [0.8] * 3, rtol=1e-6)


def test_the_loss_is_that_of_the_normal_images_only():
    assert np.isclose(validation.validate(Zero(), RECIPES, *bright_last(8, 3), HEALTHY).loss, 0.2)


def test_the_loss_of_many_images_is_of_some_of_all_not_of_the_first():
    """Which in volumes are the slices of one head."""
    count = 3 * validation.at_once((4, 4))
    rising = torch.linspace(0, 1, count).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    seen = validation.validate(Zero(), RECIPES, rising, np.zeros(count, bool), HEALTHY)
    assert seen.loss == pytest.approx(0.5, abs=0.01)


def test_without_abnormal_images_there_is_no_auroc():
    assert validation.validate(Zero(), RECIPES, *bright_last(8, 0), HEALTHY).auroc == {}


def test_findings_do_not_depend_on_how_images_are_divided(monkeypatch):
    images = torch.rand(7, 1, 4, 4)
    whole = validation.findings_of(Zero(), images)
    monkeypatch.setattr(validation, "at_once", lambda size: 3)
    parts = validation.findings_of(Zero(), images)
    assert torch.equal(whole.evidence, parts.evidence)
    assert torch.equal(whole.reconstruction, parts.reconstruction)


def test_each_subset_is_seen_as_if_the_other_images_did_not_exist():
    images, abnormal = bright_last(8, 3)
    images[0], images[7] = 0.9, 0.1
    rows = np.array([1, 2, 6])
    (_, seen) = validation.validate_each(
        Zero(), RECIPES, images, abnormal, [np.arange(8), rows], HEALTHY
    )
    alone = validation.validate(Zero(), RECIPES, images[rows], abnormal[rows], HEALTHY)
    np.testing.assert_array_equal(seen.scores["plain"], alone.scores["plain"])
    assert (seen.loss, seen.auroc) == (alone.loss, alone.auroc)


class Noisy(Zero):
    """Its loss draws noise."""

    def training_loss(self, images):
        return TrainingLoss(torch.rand(()) + images.mean(), {})


def test_looking_draws_the_same_noise_every_time_and_none_of_the_fits_own():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    looks = [
        validation.validate(Noisy(), RECIPES, *bright_last(8, 3), HEALTHY).loss for _ in range(2)
    ]
    assert looks[0] == looks[1]
    assert torch.equal(torch.get_rng_state(), before)
