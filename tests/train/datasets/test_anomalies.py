"""What each kind makes of the voxels at its place, at full strength."""

import numpy as np
import pytest

from tests.train.datasets.planting_ground import head
from train.datasets.anomalies import KINDS, Site
from train.datasets.ellipsoid import ball, region_of

SPACING_MM = (3.0, 1.0, 1.2)
CENTRE = (6, 32, 28)


def _site(voxels, *, radius_mm=9.0, tissue=None):
    spatial = voxels.shape
    return Site(
        voxels=voxels[np.newaxis],
        tissue=np.ones(spatial, bool) if tissue is None else tissue,
        spacing_mm=SPACING_MM,
        region=region_of(ball(CENTRE, radius_mm), spatial=spatial, spacing_mm=SPACING_MM),
        centre=CENTRE,
        size_mm=radius_mm,
        change=np.full((1, 1, 1, 1), 50.0),
    )


def _replaced(kind, site, seed=0):
    instead = KINDS[kind].replace(site, np.random.default_rng(seed))
    assert instead is not None
    return instead[0][site.region.inside], site.here[0][site.region.inside]


@pytest.mark.parametrize(("kind", "sign"), [("sphere_bright", 1), ("ellipsoid_dark", -1)])
def test_bright_adds_the_contrast_and_dark_takes_it_away(kind, sign):
    instead, before = _replaced(kind, _site(head()))
    np.testing.assert_allclose(instead - before, 50.0 * sign, atol=1e-3)


def test_noise_is_as_much_brighter_as_darker_and_never_beyond_the_contrast():
    instead, before = _replaced("noise", _site(head()))
    change = instead - before
    assert np.abs(change).max() <= 50.0 + 1e-3
    assert 0.3 < (change > 0).mean() < 0.7
    assert np.abs(change).mean() > 15


@pytest.mark.parametrize("kind", ["swirl", "bulge", "mirrored"])
def test_moved_voxels_are_as_bright_as_those_that_were_there(kind):
    """Of a scan of a constant and of one of two values: nothing new, but for a spline's swing."""
    flat = np.full((12, 64, 56), 7, np.float32)
    np.testing.assert_allclose(_replaced(kind, _site(flat))[0], 7, rtol=1e-5)
    halves = flat.copy()
    halves[..., 29:] = 17
    instead, before = _replaced(kind, _site(halves))
    assert 5 < instead.min() < instead.max() < 19
    assert (np.abs(instead - before) > 1).any() or kind == "mirrored"


def test_a_swirl_stays_in_its_slice():
    """Slices of one value each look the same after any turn within them."""
    voxels = np.broadcast_to(np.arange(12.0)[:, None, None], (12, 64, 56)).astype(np.float32)
    instead, before = _replaced("swirl", _site(voxels))
    np.testing.assert_allclose(instead, before, atol=1e-4)


def test_a_bulge_enlarges_what_lies_in_its_middle():
    voxels = np.zeros((12, 64, 56), np.float32)
    voxels[6, 31:34, 27:30] = 1
    instead, before = _replaced("bulge", _site(voxels))
    assert (instead > 0.5).sum() > 1.5 * (before > 0.5).sum()


def test_mirrored_twice_is_as_it_was():
    voxels = head()
    site = _site(voxels)
    once = voxels.copy()
    once[site.region.window] = KINDS["mirrored"].replace(site, np.random.default_rng(3))[0]
    twice = KINDS["mirrored"].replace(_site(once), np.random.default_rng(3))[0]
    core = site.region.distances < 0.8  # what is beside the window cannot be turned into it
    np.testing.assert_array_equal(twice[core], site.here[0][core])
    assert (once[site.region.window] != site.here[0])[core].mean() > 0.9


def test_a_copied_patch_stands_elsewhere_in_the_tissue():
    voxels = np.random.default_rng(0).normal(size=(12, 64, 56)).astype(np.float32)
    tissue = np.zeros(voxels.shape, bool)
    tissue[:, 10:54, 8:48] = True
    site = _site(voxels, radius_mm=6.0, tissue=tissue)
    instead = KINDS["copied"].replace(site, np.random.default_rng(0))[0]
    middle = tuple(length // 2 for length in instead.shape)
    (source,) = np.argwhere(voxels == instead[middle])
    there = tuple(
        slice(at - by, at - by + n) for at, by, n in zip(source, middle, instead.shape, strict=True)
    )
    np.testing.assert_array_equal(voxels[there], instead)
    assert tissue[there][site.region.inside].all()
    assert np.linalg.norm((source - np.array(CENTRE)) * SPACING_MM) >= 6.0


def test_nothing_is_copied_where_the_tissue_has_room_for_one_only():
    site = _site(head())
    tissue = np.zeros(site.tissue.shape, bool)
    tissue[site.region.window] = site.region.inside
    alone = _site(head(), tissue=tissue)
    assert KINDS["copied"].replace(alone, np.random.default_rng(0)) is None


def test_a_blurred_patch_has_less_contrast_and_the_same_mean():
    instead, before = _replaced("blurred", _site(head(), radius_mm=12.0))
    assert instead.std() < 0.5 * before.std()
    assert instead.mean() == pytest.approx(before.mean(), rel=0.05)
