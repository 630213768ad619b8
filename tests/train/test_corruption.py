import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from train.corruption import LesionsConfig, NoiseConfig, add_noise, blobs, plant_lesions
from train.params import BadParamsError, build

LESIONS = LesionsConfig(
    count=(1, 3), radius=(0.04, 0.2), contrast=(0.1, 0.5), irregularity=0.4, softness=0.15
)
NOISE = NoiseConfig(resolution=8, std=0.2)
UNIT = (0.0, 1.0)


def spoil(kind, images, intensity_range=UNIT):
    if kind == "noise":
        return add_noise(images, NOISE, intensity_range)
    return plant_lesions(images, LESIONS, intensity_range)


def grey(count=64, channels=1, spatial=(64, 64), value=0.5):
    return torch.full((count, channels, *spatial), value)


@pytest.mark.parametrize("kind", ["noise", "lesions"])
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 4),
    channels=st.integers(1, 3),
    spatial=st.sampled_from([(32, 32), (32, 64), (16, 16, 16)]),
    intensity_range=st.sampled_from([(0.0, 1.0), (-1.0, 1.0)]),
)
def test_clean_images_stay_as_they_are_and_spoiled_ones_stay_in_their_range(
    kind, seed, count, channels, spatial, intensity_range
):
    low, high = intensity_range
    torch.manual_seed(seed)
    images = torch.rand(count, channels, *spatial) * (high - low) + low
    before = images.clone()
    spoiled = spoil(kind, images, intensity_range)
    assert torch.equal(images, before)
    assert spoiled.shape == images.shape
    assert spoiled.dtype == images.dtype
    assert spoiled.min() >= low
    assert spoiled.max() <= high
    assert not torch.equal(spoiled, images)


@pytest.mark.parametrize("kind", ["noise", "lesions"])
def test_the_same_seed_spoils_in_the_same_way_and_another_in_another(kind):
    def spoiled(seed):
        torch.manual_seed(seed)
        return spoil(kind, grey(4))

    assert torch.equal(spoiled(1), spoiled(1))
    assert not torch.equal(spoiled(1), spoiled(2))


@pytest.mark.parametrize("kind", ["noise", "lesions"])
def test_each_image_and_channel_is_spoiled_in_its_own_way(kind):
    torch.manual_seed(0)
    changes = spoil(kind, grey(2, channels=2)).flatten(0, 1)
    assert len(changes.unique(dim=0)) == 4


def test_lesions_are_brighter_and_darker_within_their_contrast():
    torch.manual_seed(0)
    changes = plant_lesions(grey(), dataclasses.replace(LESIONS, count=(1, 1)), UNIT) - 0.5
    strongest = changes.flatten(1)[range(64), changes.abs().flatten(1).argmax(dim=1)]
    assert 16 < (strongest > 0).sum() < 48
    assert strongest.abs().max() <= 0.5
    assert strongest.abs().min() < 0.2
    assert strongest.abs().max() > 0.4


def test_lesions_vary_in_size_as_far_as_they_are_told():
    torch.manual_seed(0)
    sizes = (blobs(grey(256) > 0, LESIONS) > 0.5).flatten(1).sum(dim=1)
    smallest, largest = 3.14 * (0.04 * 64) ** 2, 3.14 * (0.2 * 64) ** 2  # pixels of a disc
    assert sizes.min() < 2 * smallest
    assert 0.3 * largest < sizes.max() < 2 * largest


@pytest.fixture
def outlined():
    """A large blob of the same draws, by other numbers."""

    def blob(**changes):
        torch.manual_seed(3)
        return blobs(grey(64) > 0, dataclasses.replace(LESIONS, radius=(0.1, 0.2), **changes))

    return blob


def test_an_irregular_outline_leaves_the_ellipse(outlined):
    ellipse, irregular = outlined(irregularity=0.0) > 0.5, outlined(irregularity=0.4) > 0.5
    differing = (ellipse != irregular).flatten(1).sum(dim=1) / ellipse.flatten(1).sum(dim=1)
    assert 0.1 < differing.mean() < 0.6


def test_a_softer_outline_is_wider(outlined):
    def outline(blob):
        return ((blob > 0.05) & (blob < 0.95)).sum()

    assert outline(outlined(softness=0.3)) > 1.5 * outline(outlined(softness=0.05))


def test_lesions_lie_in_the_tissue():
    images = grey(32, value=0.0)
    images[:, :, :, 40:] = 0.5
    torch.manual_seed(0)
    single = dataclasses.replace(LESIONS, count=(1, 1), radius=(0.04, 0.04), irregularity=0.0)
    changed = (plant_lesions(images, single, UNIT) - images).abs() > 0.05
    assert changed.any(dim=3).any(dim=2).all()
    assert not changed[:, :, :, :30].any()


def test_any_pixel_of_the_tissue_is_as_likely_to_be_a_lesions_middle():
    tissue = torch.zeros(4000, 1, 16, 16, dtype=torch.bool)
    places = [(0, 0), (3, 9), (15, 15)]
    for place in places:
        tissue[:, :, *place] = True
    small = dataclasses.replace(LESIONS, radius=(0.01, 0.01), irregularity=0.0)

    brightest = blobs(tissue, small).flatten(1).argmax(dim=1)

    counts = [int((brightest == 16 * row + column).sum()) for row, column in places]
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > 1e-3


def test_an_image_without_tissue_is_spoiled_too():
    bright = dataclasses.replace(LESIONS, contrast=(0.5, 0.5))
    torch.manual_seed(0)
    assert plant_lesions(grey(8, value=0.0), bright, UNIT).max() > 0.3


def test_some_images_stay_healthy_where_the_count_starts_at_none():
    torch.manual_seed(0)
    images = grey()
    planted = plant_lesions(images, dataclasses.replace(LESIONS, count=(0, 1)), UNIT)
    healthy = (planted == images).flatten(1).all(dim=1).sum()
    assert 16 < healthy < 48


def test_noise_is_coarse_and_as_strong_as_told():
    torch.manual_seed(0)
    noise = add_noise(grey(256), dataclasses.replace(NOISE, std=0.05), UNIT) - 0.5
    spread = float(noise.std())
    assert 0.02 < spread < 0.05  # enlarging averages neighbouring cells
    beside = (noise[..., 1:] - noise[..., :-1]).std()
    far = (noise[..., 32:] - noise[..., :-32]).std()
    assert beside < 0.3 * far
    assert float(far) == pytest.approx(2**0.5 * spread, rel=0.1)  # of independent values


@pytest.mark.parametrize(
    "wrong",
    [{"count": (3, 1)}, {"radius": (0.0, 0.1)}, {"contrast": (-0.1, 0.1)}, {"softness": 0.0}],
)
def test_impossible_lesions_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(LESIONS, **wrong)


@pytest.mark.parametrize("wrong", [{"resolution": 0}, {"std": -0.1}])
def test_impossible_noise_is_refused(wrong):
    with pytest.raises(BadParamsError, match=next(iter(wrong))):
        build(NoiseConfig, {"resolution": 16, "std": 0.1} | wrong, where="fit.dae.noise")
