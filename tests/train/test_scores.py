import dataclasses

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch.nn.functional import avg_pool3d

from train.methods.method import Findings
from train.scores import Scorer, ScoreRecipe, candidates, scorers, smooth
from train.typicality import distance, typical_of

PLAIN = ScoreRecipe(
    polarity="absolute",
    denoising_px=1,
    standardised=False,
    smoothing_px=1,
    power=2,
    top_share=1.0,
    parts={},
    typicality="none",
)


def changed(**changes):
    return dataclasses.replace(PLAIN, **changes)


def findings(seed=0, channels=2, spatial=(9, 11), **parts):
    chance = torch.Generator().manual_seed(seed)
    return Findings(torch.randn(3, channels, *spatial, generator=chance), None, parts)


def box(values, side):
    """Mean over the square around each pixel, as far as there are pixels."""
    reach = side // 2
    means = np.empty_like(values)
    for row, column in np.ndindex(values.shape):
        window = values[
            max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
        ]
        means[row, column] = window.mean()
    return means


def brute_force(evidence, recipe):
    """Map and score of one image `(channel, height, width)`, written out."""
    denoised = np.stack([box(channel, recipe.denoising_px) for channel in evidence])
    sign = {"absolute": np.abs, "bright": lambda e: np.maximum(e, 0)}.get(
        recipe.polarity, lambda e: np.maximum(-e, 0)
    )
    anomaly_map = box(sign(denoised).mean(axis=0), recipe.smoothing_px)
    count = max(1, round(recipe.top_share * anomaly_map.size))
    return anomaly_map, np.sort(anomaly_map.ravel() ** recipe.power)[-count:].mean()


def test_standardised_evidence_is_counted_in_spreads_from_the_mean_of_healthy_images():
    recipe = changed(standardised=True, power=1)
    healthy = findings(seed=1)
    (scorer,) = scorers({"z": recipe}, healthy, healthy).values()
    own = healthy.evidence.numpy()
    spread = own.std(axis=0) + own.std(axis=0).mean()
    seen = findings()
    expected = np.abs((seen.evidence.numpy() - own.mean(axis=0)) / spread).mean(axis=1)
    np.testing.assert_allclose(scorer(seen).anomaly_map[:, 0], expected, rtol=1e-5)


def test_what_a_model_gets_wrong_on_every_healthy_image_is_no_finding():
    always_wrong = torch.zeros(4, 1, 6, 6)
    always_wrong[..., 2, 3] = 5.0
    healthy = Findings(always_wrong, None, {})
    (scorer,) = scorers({"z": changed(standardised=True)}, healthy, healthy).values()
    assert scorer(healthy).anomaly_map.max() == 0


def test_evidence_is_denoised_before_it_is_standardised():
    recipe = changed(denoising_px=3, standardised=True)
    healthy = findings(seed=1)
    (scorer,) = scorers({"z": recipe}, healthy, healthy).values()
    expected = smooth(healthy.evidence, 3).mean(0, keepdim=True)
    np.testing.assert_allclose(scorer.usual["mean"], expected)


def test_a_recipe_that_standardises_wants_to_know_by_what():
    with pytest.raises(ValueError, match="healthy"):
        Scorer(changed(standardised=True))


@pytest.mark.parametrize("polarity", ["absolute", "bright", "dark"])
@pytest.mark.parametrize("top_share", [1e-9, 0.1, 1.0])
@pytest.mark.parametrize(
    ("denoising_px", "smoothing_px", "power"), [(1, 1, 2), (3, 1, 1), (1, 5, 1), (1, 1, 3)]
)
def test_maps_and_scores_are_those_of_a_written_out_computation(
    polarity, top_share, denoising_px, smoothing_px, power
):
    recipe = changed(
        polarity=polarity,
        top_share=top_share,
        denoising_px=denoising_px,
        smoothing_px=smoothing_px,
        power=power,
    )
    found = findings()
    scored = Scorer(recipe)(found)
    for image, evidence in enumerate(found.evidence.numpy()):
        anomaly_map, score = brute_force(evidence, recipe)
        np.testing.assert_allclose(scored.anomaly_map[image, 0], anomaly_map, atol=1e-6)
        np.testing.assert_allclose(scored.score[image], score, rtol=1e-5)


def test_parts_are_added_with_their_weights():
    part = torch.tensor([1.0, 2.0, 3.0])
    found = findings(features=part)
    added = Scorer(changed(parts={"features": 0.5}))(found).score - Scorer(PLAIN)(found).score
    torch.testing.assert_close(added, 0.5 * part)


def test_smoothing_favours_no_place_of_an_even_map():
    torch.testing.assert_close(smooth(torch.ones(1, 1, 8, 8), 7), torch.ones(1, 1, 8, 8))


def test_denoising_cancels_alternating_signs_where_smoothing_does_not():
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    checkers = Findings(((rows + columns) % 2 * 2.0 - 1)[None, None], None, {})
    assert Scorer(changed(denoising_px=5))(checkers).score < 0.03
    assert Scorer(changed(smoothing_px=5))(checkers).score == pytest.approx(1.0)


@pytest.mark.parametrize("side", [3, 7])
def test_volumes_are_smoothed_over_cubes_of_the_voxels_that_exist(side):
    volumes = torch.rand(2, 2, 8, 9, 12)
    cubes = avg_pool3d(volumes, side, stride=1, padding=side // 2, count_include_pad=False)
    torch.testing.assert_close(smooth(volumes, side), cubes)


def test_volumes_are_scored_by_the_same_code():
    scored = Scorer(changed(smoothing_px=3))(findings(spatial=(5, 6, 7)))
    assert scored.anomaly_map.shape == (3, 1, 5, 6, 7)


def test_a_recipe_naming_a_part_the_method_lacks_is_no_candidate():
    recipes = {"plain": PLAIN, "both": changed(parts={"features": 1.0})}
    part = torch.zeros(3)
    assert list(candidates(recipes, findings())) == ["plain"]
    assert list(candidates(recipes, findings(features=part, latent=part))) == ["plain", "both"]


def test_a_score_of_parts_alone_leaves_the_map_out_of_it():
    part = torch.tensor([1.0, -2.0, 3.0])
    alone = Scorer(changed(top_share=0.0, parts={"energy": 2.0}))(findings(energy=part))
    torch.testing.assert_close(alone.score, 2 * part)
    torch.testing.assert_close(alone.anomaly_map, Scorer(PLAIN)(findings()).anomaly_map)


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothing_px": 4},
        {"denoising_px": 0},
        {"top_share": 0.0},  # of no parts either: of nothing
        {"top_share": -0.1, "parts": {"energy": 1.0}},
        {"power": 0},
    ],
)
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        changed(**wrong)


def coded(seed, count=50):
    """Findings with codes of three numbers, the third of which hardly varies."""
    chance = torch.Generator().manual_seed(seed)
    evidence = torch.randn(count, 1, 5, 5, generator=chance)
    codes = torch.randn(count, 3, generator=chance) * torch.tensor([1.0, 10.0, 0.1])
    return Findings(evidence, None, {}, codes)


@pytest.mark.parametrize("standardised", [False, True])
def test_a_typical_score_is_counted_in_spreads_from_the_healthy_ones_on_either_side(standardised):
    plain = changed(power=1, standardised=standardised)
    healthy, seen = coded(seed=1), coded(seed=2)
    recipes = {"plain": plain, "typical": dataclasses.replace(plain, typicality="score")}
    able = scorers(recipes, healthy, healthy)
    usual, scores = able["plain"](healthy).score, able["plain"](seen).score
    expected = (scores - usual.mean()).abs() / usual.std(correction=0)
    scored = able["typical"](seen)
    torch.testing.assert_close(scored.score, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scored.anomaly_map, able["plain"](seen).anomaly_map)


def test_less_than_usual_is_as_odd_as_more():
    healthy = Findings(torch.tensor([0.9, 1.0, 1.1]).reshape(3, 1, 1, 1), None, {})
    recipe = changed(power=1, typicality="score")
    (scorer,) = scorers({"typical": recipe}, healthy, healthy).values()
    seen = torch.tensor([0.5, 1.0, 1.5]).reshape(3, 1, 1, 1)
    below, usual, above = scorer(Findings(seen, None, {})).score
    torch.testing.assert_close(below, above, rtol=1e-4, atol=0)
    assert usual < 1e-3 < below


def test_a_typical_code_is_one_near_those_of_healthy_images():
    recipe = changed(top_share=0.0, typicality="code")
    healthy, seen = coded(seed=1), coded(seed=2)
    (scorer,) = scorers({"typical": recipe}, healthy, healthy).values()
    reference = LedoitWolf().fit(healthy.code.double().numpy())
    expected = np.sqrt(reference.mahalanobis(seen.code.double().numpy()))
    np.testing.assert_allclose(scorer(seen).score, expected, rtol=1e-3)


def test_fewer_healthy_images_than_numbers_of_a_code_are_enough():
    chance = torch.Generator().manual_seed(0)
    codes = torch.randn(4, 20, generator=chance)
    few = Findings(torch.zeros(4, 1, 2, 2), None, {}, codes)
    recipe = changed(top_share=0.0, typicality="code")
    (scorer,) = scorers({"typical": recipe}, few, few).values()
    odd = few._replace(code=codes + 10)
    assert torch.isfinite(scorer(few).score).all()
    assert scorer(odd).score.min() > 2 * scorer(few).score.max()


def test_codes_that_are_all_alike_can_be_compared_with():
    alike = Findings(torch.zeros(4, 1, 2, 2), None, {}, torch.ones(4, 3))
    recipe = changed(top_share=0.0, typicality="code")
    (scorer,) = scorers({"typical": recipe}, alike, alike).values()
    torch.testing.assert_close(scorer(alike).score, torch.zeros(4))
    assert scorer(alike._replace(code=torch.zeros(4, 3))).score.min() > 0


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_with_codes_that_are_not_finite_nothing_can_be_compared(lost):
    """A fit that diverges: the look is lost, and not the fit."""
    healthy = torch.rand(20, 3)
    healthy[4, 1] = lost
    found = typical_of(healthy)
    assert found["centre"].shape == (1, 3)
    assert found["whitening"].shape == (3, 3)
    assert distance(healthy, **found).isnan().all()


def test_a_method_without_a_code_follows_no_recipe_of_codes():
    recipes = {"plain": PLAIN, "typical": changed(top_share=0.0, typicality="code")}
    assert list(candidates(recipes, findings())) == ["plain"]
    assert list(candidates(recipes, coded(seed=0))) == ["plain", "typical"]


def test_patches_follow_no_recipe_that_compares_with_healthy_images():
    recipes = {
        "plain": PLAIN,
        "typical": changed(typicality="score"),
        "standardised": changed(standardised=True),
    }
    assert list(scorers(recipes, findings(), None)) == ["plain"]


@pytest.mark.parametrize("changes", [{"top_share": 0.1}, {"top_share": 0.0, "parts": {"a": 1.0}}])
def test_with_a_code_for_a_score_nothing_else_can_be_asked_for(changes):
    with pytest.raises(ValueError, match="the code alone is the score"):
        changed(typicality="code", **changes)
