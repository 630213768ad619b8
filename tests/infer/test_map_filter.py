"""Map → the map that is thresholded, against SciPy and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from infer.map_filter import filtered
from infer.masking import Postprocessing
from infer.slicing import from_slices, to_slices

OFF = Postprocessing(closing_radius_px=0, smallest_lesion_px=0)
SPATIAL = [(40, 37), (9, 20, 17)]
PLANES = ["axial", "coronal", "sagittal"]


def map_of(spatial, *, zero_outside=None):
    found = np.random.default_rng(2).gamma(2, size=spatial).astype(np.float32)
    return found if zero_outside is None else np.where(zero_outside, found, np.float32(0))


def ball(spatial, radius=0.8):
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in spatial), indexing="ij")
    return np.sqrt(sum(axis**2 for axis in axes)) < radius


def after(anomaly_map, inside=None, voxels=None, plane="axial", **changed):
    voxels = np.zeros((1, *anomaly_map.shape), np.float32) if voxels is None else voxels
    return filtered(anomaly_map, inside, voxels, replace(OFF, **changed), plane)


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_what_is_off_leaves_every_bit_as_it_is(spatial):
    anomaly_map = map_of(spatial)
    assert not OFF.acts_on_map
    np.testing.assert_array_equal(after(anomaly_map), anomaly_map)


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("inside", [None, ball((9, 20, 17), 0.5)], ids=["everywhere", "a ball"])
def test_the_median_of_a_volume_is_scipys_though_only_its_box_is_looked_at(side, inside):
    anomaly_map = map_of((9, 20, 17), zero_outside=inside)
    expected = ndimage.median_filter(anomaly_map, size=side, mode="nearest")
    found = after(anomaly_map, median="volume", median_px=side)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("side", [3, 9])
def test_the_median_of_slices_is_that_of_scipy_on_each_slice_of_the_plane(plane, side):
    anomaly_map = map_of((9, 20, 17))
    slices = to_slices(anomaly_map[np.newaxis], plane)[:, 0]
    each = [ndimage.median_filter(one, size=side, mode="nearest") for one in slices]
    np.testing.assert_array_equal(
        after(anomaly_map, median="slices", median_px=side, plane=plane),
        from_slices(np.stack(each), plane, spatial=anomaly_map.shape),
    )


@pytest.mark.parametrize("name", ["median", "gaussian"])
def test_of_a_picture_squares_and_cubes_are_the_same(name):
    picture = map_of((40, 37))
    np.testing.assert_array_equal(
        after(picture, **{name: "volume"}), after(picture, **{name: "slices"})
    )


def test_a_gaussian_spreads_a_single_voxel_as_its_formula_says():
    anomaly_map = np.zeros((21, 21, 21), np.float32)
    anomaly_map[10, 10, 10] = 1
    found = after(anomaly_map, gaussian="volume", gaussian_px=1.5)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    for offset in [(0, 0, 1), (2, 0, 0), (1, 2, 1)]:
        place = tuple(10 + it for it in offset)
        expected = np.exp(-sum(it**2 for it in offset) / (2 * 1.5**2))
        assert found[place] / found[10, 10, 10] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("plane", PLANES)
def test_a_gaussian_of_slices_takes_nothing_from_one_slice_to_another(plane):
    anomaly_map = np.zeros((9, 20, 17), np.float32)
    slices = np.zeros_like(to_slices(anomaly_map[np.newaxis], plane)[:, 0])
    slices[4] = np.random.default_rng(3).random(slices[4].shape)
    found = after(
        from_slices(slices, plane, spatial=anomaly_map.shape), gaussian="slices", plane=plane
    )
    after_slices = to_slices(found[np.newaxis], plane)[:, 0]
    expected = ndimage.gaussian_filter(slices[4], 1, mode="nearest")
    np.testing.assert_allclose(after_slices[4], expected, rtol=1e-5)
    assert not np.delete(after_slices, 4, axis=0).any()


def test_the_median_comes_before_the_gaussian():
    speck = np.zeros((9, 9, 9), np.float32)
    speck[4, 4, 4] = 1  # which a median takes away: afterwards there is nothing to spread
    assert not after(speck, median="volume", gaussian="volume").any()


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_erosion_keeps_what_scipy_finds_further_from_the_border_of_each_slice(spatial, plane):
    anomaly_map, inside = map_of(spatial), ball(spatial)
    slices = to_slices(inside[np.newaxis], plane)[:, 0]
    far = np.stack([ndimage.distance_transform_edt(one) > 2 for one in slices])
    expected = np.where(from_slices(far, plane, spatial=spatial), anomaly_map, 0)
    found = after(anomaly_map, inside, foreground="body", erosion_radius_px=2, plane=plane)
    assert 0 < (found > 0).sum() < inside.sum()
    np.testing.assert_array_equal(found, expected)


def test_the_edge_of_a_slice_is_no_border():
    picture = map_of((12, 15))
    everything = np.ones(picture.shape, bool)
    found = after(picture, everything, foreground="body", erosion_radius_px=4)
    np.testing.assert_array_equal(found, picture)


def test_nothing_is_left_outside_the_foreground_though_the_median_draws_beyond_it():
    inside = ball((9, 20, 17), 0.6)
    found = after(map_of(inside.shape), inside, foreground="body", median="volume", median_px=3)
    assert found[inside].any()
    assert not found[~inside].any()


@pytest.mark.parametrize(("prior", "expected"), [("bright", [0, 0, 5, 5]), ("dark", [5, 5, 0, 0])])
def test_a_prior_keeps_the_map_in_its_share_of_the_foreground_only(prior, expected):
    voxels = np.array([[[10, 20, 30, 40, 1000, -1000]]], np.float32)
    anomaly_map = np.full((1, 6), 5, np.float32)
    inside = np.array([[True] * 4 + [False] * 2])
    found = after(anomaly_map, inside, voxels, foreground="body", prior=prior, prior_share=0.5)
    assert found[0].tolist() == [*expected, 0, 0]


def test_a_ramp_rises_from_the_limit_in_interquartile_ranges():
    voxels = np.arange(101, dtype=np.float32)[np.newaxis, np.newaxis]  # median 50, range 25 to 75
    anomaly_map = np.full((1, 101), 2, np.float32)
    bright = after(anomaly_map, None, voxels, prior="bright_ramp", prior_share=0.5)[0]
    np.testing.assert_allclose(bright, 2 * np.clip(np.arange(101) - 50, 0, None) / 50)
    dark = after(anomaly_map, None, voxels, prior="dark_ramp", prior_share=0.5)[0]
    np.testing.assert_allclose(dark, bright[::-1])


@pytest.mark.parametrize("prior", ["bright_ramp", "dark_ramp"])
@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_a_prior_before_the_median_is_filtered_with_the_map(spatial, prior):
    anomaly_map, voxels = map_of(spatial), map_of((1, *spatial))
    ramp = after(np.ones(spatial, np.float32), None, voxels, prior=prior)
    first = after(anomaly_map, None, voxels, prior=prior, prior_first=True, median="volume")
    np.testing.assert_array_equal(
        first, ndimage.median_filter(anomaly_map * ramp, 3, mode="nearest")
    )
    last = after(anomaly_map, None, voxels, prior=prior, median="volume")
    assert (first != last).any()


def test_a_ramp_before_the_median_reorders_no_map_of_brightness_itself():
    """So a threshold on intensity is as good with the prior as without: a fair row beside models.

    A median commutes with whatever rises; after it, the ramp would bring the scan's noise back.
    """
    voxels = 100 * map_of((1, 9, 20, 17))
    plain = after(voxels[0], None, voxels, median="volume")
    first = after(voxels[0], None, voxels, median="volume", prior="bright_ramp", prior_first=True)
    kept = first > 0
    order = np.argsort(plain[kept], kind="stable")
    assert (np.diff(first[kept][order]) >= 0).all()
    assert plain[kept].min() >= plain[~kept].max()


def test_a_scans_gain_and_offset_change_no_prior():
    voxels, anomaly_map = map_of((2, 9, 20, 17)), map_of((9, 20, 17))
    for prior in ("bright", "dark_ramp"):
        plain = after(anomaly_map, None, voxels, prior=prior, prior_share=0.3)
        turned = after(anomaly_map, None, voxels * 8 - 4, prior=prior, prior_share=0.3)
        np.testing.assert_allclose(turned, plain, rtol=1e-4, atol=1e-5)  # float32 of voxels


def test_a_scan_of_one_value_has_no_voxel_beyond_the_limit():
    flat = np.full((1, 5, 6), 3, np.float32)
    assert not after(np.ones((5, 6), np.float32), None, flat, prior="bright_ramp").any()


@pytest.mark.parametrize(
    "changed", [{"median": "volume"}, {"prior": "bright"}, {"erosion_radius_px": 1}]
)
def test_a_scan_without_foreground_has_no_map(changed):
    nothing = np.zeros((4, 6, 5), bool)
    assert not after(map_of(nothing.shape), nothing, foreground="stripped", **changed).any()


def test_the_argument_is_left_untouched():
    anomaly_map, inside = map_of((9, 20, 17)), ball((9, 20, 17))
    before = anomaly_map.copy()
    after(
        anomaly_map,
        inside,
        map_of((1, 9, 20, 17)),
        foreground="body",
        median="volume",
        erosion_radius_px=1,
        prior="bright_ramp",
    )
    np.testing.assert_array_equal(anomaly_map, before)
