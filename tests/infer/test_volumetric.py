"""Whole volumes as images: resized as area means and straight lines say, and brought back."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from infer.engine_batches import EngineOutputs
from infer.errors import UnreadableScanError
from infer.finding import find_all
from infer.images import images_for
from infer.manifest import Manifest
from infer.patches import Patches
from infer.preprocessing import UNPROCESSED
from infer.slicing import to_slices
from infer.volumetric import images_reached, resized, slice_maps, slice_seen, whole, worst_of
from tests.infer.test_finding import manifest_of, volume_of

PLANES = ["axial", "coronal", "sagittal"]
SIZE = (8, 12, 16)


class Brightness:
    """The map is the image itself, the score its mean."""

    def run(self, images):
        return EngineOutputs(
            anomaly_map=images[:, :1],
            score=images.mean(axis=tuple(range(1, images.ndim))),
            reconstruction=images,
            score_parts={},
        )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 80, shape).astype(np.float32)


def volumetric(plane="axial", **changes):
    return replace(manifest_of(plane), image_size=SIZE, **changes)


def find(volume, manifest, batch_size=1):
    (finding,) = find_all([volume], manifest, Brightness(), batch_size=batch_size)
    return finding


def test_what_shrinks_becomes_the_mean_of_its_blocks():
    volumes = noise(2, 3, 12, 20, 18)
    blocks = volumes.reshape(2, 3, 4, 3, 5, 4, 6, 3).mean(axis=(3, 5, 7))
    np.testing.assert_allclose(resized(volumes, (4, 5, 6)), blocks, rtol=1e-5)


def test_what_grows_lies_on_straight_lines_between_the_centres():
    volume = noise(1, 1, 5, 6, 7)
    size = (9, 13, 11)
    along = [
        (np.arange(new) + 0.5) * old / new - 0.5
        for new, old in zip(size, volume.shape[2:], strict=True)
    ]
    places = np.meshgrid(*along, indexing="ij")
    expected = map_coordinates(volume[0, 0], places, order=1, mode="nearest")
    # OpenCV interpolates in float32, scipy in float64.
    np.testing.assert_allclose(resized(volume, size)[0, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("size", [(4, 5, 6), (30, 9, 40), (10, 12, 14)])
def test_the_order_of_the_axes_makes_no_difference(size):
    volume = noise(1, 1, 10, 12, 14)
    turned = resized(volume.transpose(0, 1, 4, 3, 2), size[::-1]).transpose(0, 1, 4, 3, 2)
    np.testing.assert_allclose(resized(volume, size), turned, rtol=1e-4)


@pytest.mark.parametrize("plane", PLANES)
def test_an_image_does_not_depend_on_the_plane(plane):
    volume = volume_of(noise(1, 10, 21, 13))
    images = images_for(volume, volumetric(plane))
    assert images.shape == (1, 1, *SIZE)
    np.testing.assert_allclose(images, images_for(volume, volumetric()), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(images[0], resized(volume.voxels[None] / 80, SIZE)[0], rtol=1e-4)


@pytest.mark.parametrize("plane", PLANES)
def test_slices_become_the_volume_they_are_of(plane):
    voxels = noise(2, 4, 5, 6)
    np.testing.assert_array_equal(whole(to_slices(voxels, plane), plane, (4, 5, 6))[0], voxels)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("spatial", [(8, 12, 16), (5, 30, 9), (40, 7, 16)])
def test_a_map_returns_to_the_volumes_own_grid(plane, spatial):
    volume, manifest = volume_of(noise(1, *spatial)), volumetric(plane)
    finding = find(volume, manifest)
    assert finding.anomaly_map.shape == finding.mask.shape == spatial
    expected = resized(resized(volume.voxels[None] / 80, SIZE), spatial)[0, 0]
    np.testing.assert_allclose(finding.anomaly_map, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plane", PLANES)
def test_a_finding_does_not_depend_on_the_other_volumes(plane):
    volumes = [volume_of(noise(1, *shape, seed=at)) for at, shape in enumerate([SIZE, (9, 30, 7)])]
    manifest = volumetric(plane)
    together = find_all(volumes, manifest, Brightness(), batch_size=2)
    for volume, among in zip(volumes, together, strict=True):
        alone = find(volume, manifest, batch_size=2)
        assert alone.score == among.score
        np.testing.assert_array_equal(alone.anomaly_map, among.anomaly_map)


def test_a_volume_has_one_score_that_is_the_scans():
    finding = find(volume_of(noise(1, 10, 21, 13)), volumetric())
    assert finding.slice_scores.tolist() == [pytest.approx(finding.score)]


@pytest.mark.parametrize("plane", PLANES)
def test_pictures_show_the_slice_of_the_peak(plane):
    voxels = np.zeros((1, *SIZE), np.float32)
    voxels[0, 2, 9, 5] = 80
    manifest = volumetric(plane)
    finding = find(volume_of(voxels), manifest)
    worst = worst_of(finding.slice_scores, finding.peak, manifest)
    shown = slice_seen(finding.images, worst, plane, SIZE)
    np.testing.assert_array_equal(shown, to_slices(voxels / 80, plane)[worst])
    assert shown.max() == 1


def test_the_slice_shown_of_an_image_lies_as_deep_as_that_of_the_scan():
    depths = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1, 1) * np.ones((1, 1, 4, 2, 2))
    images = depths.astype(np.float32)
    shown = [int(slice_seen(images, at, "axial", (8, 2, 2)).mean()) for at in range(8)]
    assert shown == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("shape", [(20, 30), (1, 20, 30)], ids=["picture", "single slice"])
def test_what_has_no_depth_is_refused_in_words(shape):
    with pytest.raises(UnreadableScanError, match="looks at whole volumes") as refusal:
        images_for(volume_of(noise(1, *shape)), volumetric())
    assert "made for slices" in refusal.value.hint


def test_what_is_no_foreground_is_black_in_the_image_and_nothing_in_the_map():
    voxels = np.zeros((1, 24, 36, 32), np.float32)
    voxels[0, :, 9:27, 8:24] = 60
    voxels[0, 4, 1, 1] = 50  # a speck in the air
    body = replace(UNPROCESSED, foreground="body")
    finding = find(volume_of(voxels), volumetric(preprocessing=body))
    inside = find(volume_of(voxels), volumetric()).anomaly_map * (voxels[0] == 60)
    assert finding.anomaly_map[4, 1, 1] == 0
    np.testing.assert_allclose(finding.anomaly_map[:, 11:25, 10:22], inside[:, 11:25, 10:22])


def test_a_map_stitched_from_patches_is_that_of_the_whole_volume():
    volume = volume_of(noise(1, 10, 21, 13))
    patches = Patches(size=(4, 6, 8), stride=(3, 6, 4), top_share=1e-9)
    in_patches, at_once = find(volume, volumetric(patches=patches)), find(volume, volumetric())
    np.testing.assert_array_equal(in_patches.anomaly_map, at_once.anomaly_map)
    assert in_patches.score > at_once.score  # the brightest patch's mean, not the volume's


@pytest.mark.parametrize("plane", PLANES)
def test_a_lesion_makes_the_slices_it_reaches_abnormal_or_the_volume(plane):
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2, 3] = True
    assert images_reached(mask, plane, SIZE).tolist() == [True]
    assert images_reached(mask, plane, SIZE[1:]).sum() == 1
    assert images_reached(mask & False, plane, SIZE).tolist() == [False]


@pytest.mark.parametrize("plane", PLANES)
def test_a_map_is_given_slice_by_slice(plane):
    maps = noise(1, 1, 4, 5, 6)
    slices = slice_maps(maps, plane, (4, 5, 6))
    np.testing.assert_array_equal(slices, to_slices(maps[0], plane)[:, 0])


@pytest.mark.parametrize("image_size", [(32,), (8, 8, 8, 8)])
def test_a_manifest_knows_slices_and_volumes_only(image_size):
    with pytest.raises(ValueError, match="2 or 3 sides"):
        replace(manifest_of("axial"), image_size=image_size)
    assert isinstance(volumetric(), Manifest)
