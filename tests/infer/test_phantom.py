"""Phantoms: exact truth, reproducible, and not solved by looking at brightness."""

import cv2
import numpy as np
import pytest

from infer.phantom import KINDS, brain_window, head, head_volume

SIZE = (144, 120)
NORMALS, TESTED = 100, 110  # fitted on; of each label
HIGHEST_TRIVIAL_AUROC = 0.80


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_head(kind):
    first, again = (head(7, size=SIZE, lesions=(kind,)) for _ in range(2))
    np.testing.assert_array_equal(first.voxels_hu, again.voxels_hu)
    np.testing.assert_array_equal(first.mask, again.mask)


def test_different_seeds_draw_different_heads():
    first, second = (head(seed, size=SIZE, lesions=()).voxels_hu for seed in (1, 2))
    assert np.mean(np.abs(first - second)) > 10


@pytest.mark.parametrize("kind", ["bleed", "infarct"])
def test_a_lesion_without_mass_effect_changes_nothing_but_its_own_place(kind):
    for seed in range(20):
        healthy = head(seed, size=SIZE, lesions=()).voxels_hu
        phantom = head(seed, size=SIZE, lesions=(kind,))
        # Pixels at the rim are partly lesion: the mask holds those that are mostly so.
        near = cv2.dilate(phantom.mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
        changed = np.abs(phantom.voxels_hu - healthy) > 0
        assert not (changed & ~near).any(), seed


@pytest.mark.parametrize(("kind", "sign"), [("bleed", 1), ("infarct", -1)])
def test_bleeds_are_brighter_and_infarcts_darker_than_the_same_head_without(kind, sign):
    for seed in range(20):
        healthy = head(seed, size=SIZE, lesions=()).voxels_hu
        phantom = head(seed, size=SIZE, lesions=(kind,))
        assert sign * (phantom.voxels_hu - healthy)[phantom.mask].mean() > 3, seed


def test_a_mass_displaces_tissue_beyond_itself_but_not_the_skull():
    for seed in range(10):
        healthy = head(seed, size=SIZE, lesions=()).voxels_hu
        phantom = head(seed, size=SIZE, lesions=("mass",))
        moved = (np.abs(phantom.voxels_hu - healthy) > 1) & ~phantom.mask
        assert moved.sum() > 50, seed
        # Pixels of nothing but bone: those at its rim are partly brain, which does move.
        skull = healthy > 0.9 * np.percentile(healthy, 99)
        np.testing.assert_allclose(phantom.voxels_hu[skull], healthy[skull], atol=5)


def test_lesions_come_in_sizes_from_a_few_pixels_to_a_large_part_of_the_brain():
    areas = [head(at, size=SIZE, lesions=(KINDS[at % 3],)).mask.sum() for at in range(90)]
    assert 3 <= min(areas) < 20
    assert max(areas) > 1000


def test_a_healthy_head_has_an_empty_mask():
    assert not head(3, size=SIZE, lesions=()).mask.any()


def test_values_are_those_of_a_head_in_air():
    hu = head(3, size=SIZE, lesions=()).voxels_hu
    assert hu.shape == SIZE
    assert hu.dtype == np.float32
    assert hu[0, 0] == -1000
    assert 300 < hu.max() < 1300
    assert 15 < np.median(hu[50:90, 40:80]) < 50  # brain


def test_the_brain_window_is_black_at_0_and_white_at_80_hu():
    hu = np.array([-1000.0, 0.0, 40.0, 80.0, 900.0])
    np.testing.assert_array_equal(brain_window(hu), [0, 0, 128, 255, 255])


def test_a_lesion_in_a_volume_spans_neighbouring_slices_and_no_others():
    phantom = head_volume(5, shape=(26, 96, 80), lesions=("mass",))
    reached = np.flatnonzero(phantom.mask.any(axis=(1, 2)))
    assert len(reached) > 3
    np.testing.assert_array_equal(np.diff(reached), 1)
    far = np.ones(26, bool)
    far[max(0, reached[0] - 1) : reached[-1] + 2] = False
    healthy = head_volume(5, shape=(26, 96, 80), lesions=())
    np.testing.assert_array_equal(phantom.voxels_hu[far], healthy.voxels_hu[far])


def test_voxel_sizes_are_those_of_a_head():
    phantom = head_volume(5, shape=(26, 224, 192), lesions=())
    np.testing.assert_allclose(phantom.spacing_mm, (5.0, 0.9, 0.9), rtol=1e-6)


@pytest.fixture(scope="module")
def studied() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Healthy images to fit on; healthy ones and abnormal ones to test on."""
    fitted = [_image(seed, ()) for seed in range(NORMALS)]
    healthy = [_image(10_000 + at, ()) for at in range(TESTED)]
    abnormal = [_image(20_000 + at, (KINDS[at % 3],)) for at in range(TESTED)]
    return np.stack(fitted), np.stack(healthy), np.stack(abnormal)


def _image(seed, lesions) -> np.ndarray:
    """A slice as networks see it."""
    picture = brain_window(head(seed, size=SIZE, lesions=lesions).voxels_hu)
    return cv2.resize(picture.astype(np.float32) / 255, (64, 64), interpolation=cv2.INTER_AREA)


def _strangeness(images, fitted) -> np.ndarray:
    # Pixels that are air in every head have no spread: a hundredth stands in for it.
    return np.abs(images - fitted.mean(axis=0)) / (fitted.std(axis=0) + 0.01)


TRIVIAL = {
    "maximum": lambda images, fitted: images.max(axis=(1, 2)),
    "99th percentile": lambda images, fitted: np.percentile(images, 99, axis=(1, 2)),
    "strongest 7 x 7 mean": lambda images, fitted: [cv2.blur(it, (7, 7)).max() for it in images],
    "darkest 7 x 7 mean": lambda images, fitted: [-cv2.blur(it, (7, 7)).min() for it in images],
    "mean": lambda images, fitted: images.mean(axis=(1, 2)),
    "largest z-score": lambda images, fitted: _strangeness(images, fitted).max(axis=(1, 2)),
    "mean z-score": lambda images, fitted: _strangeness(images, fitted).mean(axis=(1, 2)),
    "99th percentile of z-score": lambda images, fitted: np.percentile(
        _strangeness(images, fitted), 99, axis=(1, 2)
    ),
}


@pytest.mark.parametrize("baseline", TRIVIAL)
def test_no_trivial_baseline_solves_the_task(studied, baseline):
    fitted, healthy, abnormal = studied
    low, high = (np.asarray(TRIVIAL[baseline](it, fitted)) for it in (healthy, abnormal))
    wins = (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()
    assert wins <= HIGHEST_TRIVIAL_AUROC
