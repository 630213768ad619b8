"""Map → mask, against SciPy."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from infer.masking import Postprocessing, lesions_above, peak, thresholded
from infer.slicing import from_slices, to_slices

SPATIAL = [(40, 37), (9, 20, 17)]
LARGEST = 64  # pixels
PLAIN = Postprocessing(closing_radius_px=0, smallest_lesion_px=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"closing_radius_px": LARGEST + 1},
        {"closing_radius_px": -1},
        {"smallest_lesion_px": -1},
        {"erosion_radius_px": -1},
        {"erosion_radius_px": 1},  # of no foreground
        {"median_px": 4},
        {"median_px": 17},
        {"gaussian_px": 0.0},
        {"gaussian_px": 16.0},
        {"prior_share": 0.0},
    ],
)
def test_numbers_that_mean_nothing_or_would_take_hours_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(PLAIN, **wrong)
    assert replace(PLAIN, closing_radius_px=LARGEST)


def map_of(spatial):
    noise = np.random.default_rng(1).normal(size=spatial)
    return (ndimage.gaussian_filter(noise, 1) * 5).astype(np.float32)


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_without_postprocessing_the_mask_is_the_voxels_above(spatial):
    anomaly_map = map_of(spatial)
    mask = lesions_above(anomaly_map, 0.7, PLAIN, "axial").mask
    np.testing.assert_array_equal(mask, anomaly_map > 0.7)


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_small_components_are_those_that_scipy_finds(spatial):
    anomaly_map = map_of(spatial)
    labels, count = ndimage.label(anomaly_map > 1, np.ones((3,) * len(spatial)))
    large = [part for part in range(1, count + 1) if (labels == part).sum() >= 12]
    assert 0 < len(large) < count  # or the test says nothing
    dropping = Postprocessing(closing_radius_px=0, smallest_lesion_px=12)
    found = lesions_above(anomaly_map, 1.0, dropping, "axial")
    np.testing.assert_array_equal(found.mask, np.isin(labels, large))
    assert found.components == len(large)
    assert lesions_above(anomaly_map, 1.0, PLAIN, "axial").components == count


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_small_components_are_dropped_whatever_the_plane_in_which_the_map_lies(plane):
    anomaly_map = map_of((9, 20, 17))
    slices = np.ascontiguousarray(to_slices(anomaly_map[np.newaxis], plane)[:, 0])
    turned = from_slices(slices, plane, spatial=anomaly_map.shape)
    assert not turned.flags.c_contiguous  # or the test says nothing
    dropping = Postprocessing(closing_radius_px=1, smallest_lesion_px=12)
    found = lesions_above(turned, 1.0, dropping, plane)
    sizes = np.bincount(ndimage.label(found.mask, np.ones((3, 3, 3)))[0].ravel())[1:]
    assert len(sizes) == found.components > 0
    assert sizes.min() >= 12


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_closing_is_that_of_scipy_on_each_slice_of_the_plane(spatial, plane):
    anomaly_map = map_of(spatial)
    slices = to_slices((anomaly_map > 1)[np.newaxis], plane)[:, 0]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)).astype(bool)
    closed = [ndimage.binary_closing(np.pad(one, 4), disc)[4:-4, 4:-4] for one in slices]
    closing = Postprocessing(closing_radius_px=2, smallest_lesion_px=0)
    np.testing.assert_array_equal(
        lesions_above(anomaly_map, 1.0, closing, plane).mask,
        from_slices(np.stack(closed), plane, spatial=spatial),
    )


def test_a_lesion_at_the_border_does_not_grow_by_closing():
    anomaly_map = np.zeros((20, 20), np.float32)
    anomaly_map[5:9, 1:4] = 1
    closing = Postprocessing(closing_radius_px=3, smallest_lesion_px=0)
    mask = lesions_above(anomaly_map, 0.5, closing, "axial").mask
    assert not mask[:, 0].any()


def test_voxels_touching_by_a_corner_are_one_lesion():
    diagonal = np.eye(4, dtype=np.float32)
    assert lesions_above(diagonal, 0.5, PLAIN, "axial").components == 1
    corner = np.zeros((2, 2, 2), np.float32)
    corner[0, 0, 0] = corner[1, 1, 1] = 1
    assert lesions_above(corner, 0.5, PLAIN, "axial").components == 1


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_an_empty_mask_has_no_lesions(spatial):
    mask, count = lesions_above(np.zeros(spatial, np.float32), 0.5, PLAIN, "axial")
    assert not mask.any()
    assert count == 0


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_the_peak_is_where_the_map_is_highest(spatial):
    anomaly_map = map_of(spatial)
    at = tuple(length // 2 for length in spatial)
    anomaly_map[at] = 99
    assert peak(anomaly_map) == (at, 99.0)


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
@pytest.mark.parametrize("turned", [False, True])
def test_in_one_pass_the_same_is_found_however_the_map_lies_in_memory(spatial, turned):
    anomaly_map = map_of(spatial)
    for at in ((1,) * len(spatial), tuple(length - 1 for length in spatial)):
        anomaly_map[at] = 9  # twice: the first counts
    found = thresholded(anomaly_map.T if turned else anomaly_map, 0.7)
    above = anomaly_map > np.float32(0.7)
    np.testing.assert_array_equal(found.above, above.T if turned else above)
    assert found[1:] == ((1,) * len(spatial), 9.0)


def test_the_map_is_left_untouched():
    anomaly_map = map_of((40, 37))
    before = anomaly_map.copy()
    both = Postprocessing(closing_radius_px=2, smallest_lesion_px=9)
    lesions_above(anomaly_map, 1.0, both, "axial")
    np.testing.assert_array_equal(anomaly_map, before)
