"""Volumes → findings, with an engine that is a function."""

import dataclasses

import numpy as np
import pytest

from infer.engine_batches import EngineOutputs, run_batches
from infer.errors import UnreadableScanError
from infer.finding import NOTHING_SEEN, find_all
from infer.images import images_for
from infer.intensity import Intensity, rescale
from infer.manifest import (
    SCHEMA,
    Manifest,
    Normals,
    Parity,
    Provenance,
    SelfTest,
    Threshold,
)
from infer.masking import Postprocessing
from infer.phantom import head
from infer.preprocessing import UNPROCESSED
from infer.resizing import to_image_size
from infer.scoring import Aggregation
from infer.slicing import looked_at, step_axis, to_slices
from infer.volume import Grid, Volume

WINDOW = Intensity(recipe="window", low=0, high=80, output_low=0, output_high=1)
BATCH = 4


class Brightness:
    """The map is the image itself, the score its mean; batches of other sizes are refused."""

    def run(self, images):
        assert len(images) == BATCH
        mean = images.mean(axis=(1, 2, 3))
        return EngineOutputs(
            anomaly_map=images[:, :1],
            score=mean,
            reconstruction=images,
            score_parts={"twice": 2 * mean},
        )


class Nonsense:
    def run(self, images):
        nothing = np.full((len(images), 1, 8, 8), np.nan, np.float32)
        return EngineOutputs(
            anomaly_map=nothing, score=nothing[:, 0, 0, 0], reconstruction=None, score_parts={}
        )


def manifest_of(plane):
    return Manifest(
        schema=SCHEMA,
        study="test",
        method="brightness",
        modality="CT",
        channels=1,
        image_size=(8, 8),
        plane=plane,
        intensity=WINDOW,
        score_recipe="mean",
        aggregation=Aggregation(top_share=0.5),
        anomalous_by="score",
        score_threshold=Threshold(value=0.5, chosen_by="hand"),
        map_threshold=Threshold(value=0.5, chosen_by="hand"),
        postprocessing=Postprocessing(closing_radius_px=0, smallest_lesion_px=0),
        normals=Normals(scores=(), intensity_mean=(), intensity_std=(), sizes=(), spacings_mm=()),
        self_test=SelfTest(score=0.0, peak_value=0.0, tolerance=0.0),
        parity=Parity(
            reconstruction=None, anomaly_map=0.0, score=0.0, images=0, measured_on="nothing"
        ),
        provenance=Provenance(
            mlflow_run_id="", git_commit="", git_dirty=False, data_hash="", seed=0, versions={}
        ),
    )


def volume_of(voxels, unit="modality"):
    spatial = voxels.shape[1:]
    axes = tuple(range(len(spatial)))
    grid = Grid(shape=spatial, axes=axes, flipped=(False,) * len(spatial))
    return Volume(voxels=voxels.astype(np.float32), unit=unit, spacing_mm=None, grid=grid)


def volumes_of_many_shapes():
    rng = np.random.default_rng(0)
    shapes = [(1, 5, 9, 7), (1, 12, 12), (3, 10, 8), (1, 3, 8, 8), (1, 16, 4)]
    return [volume_of(rng.uniform(0, 80, shape)) for shape in shapes]


def assert_same(one, other):
    for field in dataclasses.fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_equal(ours, theirs, err_msg=field.name)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_finding_does_not_depend_on_the_other_volumes(plane):
    volumes, manifest = volumes_of_many_shapes(), manifest_of(plane)
    together = find_all(volumes, manifest, Brightness(), batch_size=BATCH)
    for volume, finding in zip(volumes, together, strict=True):
        [alone] = find_all([volume], manifest, Brightness(), batch_size=BATCH)
        assert_same(finding, alone)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_lesion_is_found_where_it_is_in_the_volume(plane):
    voxels = np.zeros((1, 8, 8, 8))
    voxels[0, 1:3, 4:6, 6] = 80
    voxels[0, 2, 5, 6] = 85  # beyond the window: still 1, so the first of the brightest is meant
    [finding] = find_all([volume_of(voxels)], manifest_of(plane), Brightness(), batch_size=BATCH)
    np.testing.assert_array_equal(finding.mask, voxels[0] > 0)
    assert finding.peak == (1, 4, 6)
    assert finding.peak_value == 1
    assert finding.lesions == 1


def test_map_and_mask_have_the_size_of_the_scan_and_slices_that_of_the_network():
    [finding] = find_all(
        volumes_of_many_shapes()[:1], manifest_of("sagittal"), Brightness(), batch_size=BATCH
    )
    assert finding.anomaly_map.shape == finding.mask.shape == (5, 9, 7)
    assert finding.images.shape == (7, 1, 8, 8)
    np.testing.assert_array_equal(finding.images, finding.reconstruction)
    np.testing.assert_array_equal(finding.score_parts["twice"], 2 * finding.slice_scores)
    # Half of 7 slices rounds to 4 (to even).
    assert finding.score == pytest.approx(np.sort(finding.slice_scores)[-4:].mean())


def test_the_graph_gets_standardised_channels_and_everyone_else_the_models_range():
    plain = manifest_of("axial")
    standard = dataclasses.replace(plain, channel_mean=(0.25,), channel_std=(0.5,))
    volumes = volumes_of_many_shapes()[:2]
    before = find_all(volumes, plain, Brightness(), batch_size=BATCH)
    after = find_all(volumes, standard, Brightness(), batch_size=BATCH)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other.slice_scores, (one.slice_scores - 0.25) / 0.5, rtol=1e-5)
        np.testing.assert_array_equal(other.images, one.images)
        np.testing.assert_allclose(other.reconstruction, one.images, atol=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"channel_mean": (0.5,)}, {"channel_mean": (0.5, 0.5), "channel_std": (1.0, 1.0)}]
)
def test_a_manifest_whose_standardisation_does_not_fit_its_channels_is_refused(wrong):
    with pytest.raises(ValueError, match="a value for each channel"):
        dataclasses.replace(manifest_of("axial"), **wrong)


def test_nothing_in_nothing_out():
    assert find_all([], manifest_of("axial"), Brightness(), batch_size=BATCH) == []


def test_batches_cross_the_borders_between_volumes():
    sizes = []

    class Counting(Brightness):
        def run(self, images):
            sizes.append(len(images))
            return super().run(images)

    groups = [np.ones((count, 1, 8, 8), np.float32) for count in (3, 1, 5)]
    outputs = run_batches(groups, Counting(), batch_size=BATCH)
    assert [len(output.score) for output in outputs] == [3, 1, 5]
    assert sizes == [BATCH] * 3


def test_a_slice_one_voxel_thin_is_refused():
    volume = volume_of(np.zeros((1, 20, 20, 1)))
    with pytest.raises(UnreadableScanError, match="too thin"):
        images_for(volume, manifest_of("axial"))


def test_a_picture_of_one_row_is_refused_as_a_picture():
    volume = volume_of(np.zeros((1, 1, 50)))
    with pytest.raises(UnreadableScanError, match="1 × 50 pixels, too few"):
        find_all([volume], manifest_of("axial"), Brightness(), batch_size=BATCH)


@pytest.mark.parametrize("value", [0.0, -5000.0, 3000.0], ids=["blank", "below", "beyond"])
def test_a_scan_of_which_nothing_is_seen_is_warned_of(value):
    voxels = np.full((1, 4, 20, 20), value)
    (finding,) = find_all([volume_of(voxels)], manifest_of("axial"), Brightness(), batch_size=BATCH)
    assert NOTHING_SEEN in finding.warnings
    voxels[0, 1, 5:9, 5:9] = 40.0
    (finding,) = find_all([volume_of(voxels)], manifest_of("axial"), Brightness(), batch_size=BATCH)
    assert NOTHING_SEEN not in finding.warnings


def test_a_model_that_gives_no_number_fails_the_scan():
    with pytest.raises(UnreadableScanError, match="no finite score"):
        find_all([volume_of(np.zeros((1, 8, 8)))], manifest_of("axial"), Nonsense(), batch_size=1)


@pytest.mark.parametrize("low_high", [(0, 100), (5, 95)], ids=["whole range", "clipped"])
def test_images_are_those_of_scaling_first_and_shrinking_then(low_high):
    low, high = low_high
    recipe = Intensity(recipe="percentile", low=low, high=high, output_low=-1, output_high=1)
    voxels = np.random.default_rng(3).random((1, 90, 70), dtype=np.float32) * 7 + 500
    grid = Grid(shape=(90, 70), axes=(0, 1), flipped=(False, False))
    volume = Volume(voxels=voxels, unit="modality", spacing_mm=None, grid=grid)
    manifest = dataclasses.replace(manifest_of("axial"), intensity=recipe, image_size=(32, 32))
    images = images_for(volume, manifest)
    expected = to_image_size(rescale(voxels, "modality", recipe)[np.newaxis], (32, 32))
    np.testing.assert_allclose(images, expected, atol=1e-4)  # 500 has float32 digits to 3e-5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_scaled_one_by_one_are_those_of_the_whole_volume_scaled(plane, channels):
    voxels = np.random.default_rng(0).uniform(-50, 150, (channels, 9, 12, 10)).astype(np.float32)
    # As readers turn them: against memory.
    turned = dataclasses.replace(volume_of(voxels), voxels=voxels[:, :, ::-1])
    manifest = dataclasses.replace(manifest_of(plane), channels=channels)
    whole = rescale(np.ascontiguousarray(turned.voxels), "modality", WINDOW)
    expected = to_image_size(np.ascontiguousarray(to_slices(whole, plane)), (8, 8))
    np.testing.assert_array_equal(images_for(turned, manifest), expected)


def manifest_with(**preprocessing):
    """Of a model that looks at heads in more detail than the others here."""
    return dataclasses.replace(
        manifest_of("axial"),
        image_size=(48, 40),
        preprocessing=dataclasses.replace(UNPROCESSED, **preprocessing),
    )


def head_slice(lesions=()):
    phantom = head(23, size=(144, 120), lesions=lesions)
    return phantom, volume_of(phantom.voxels_hu[np.newaxis])


def test_a_skull_is_neither_seen_nor_said_to_be_anomalous_where_only_the_brain_is_looked_at():
    phantom, volume = head_slice()
    bone = phantom.voxels_hu > 300
    [whole] = find_all([volume], manifest_with(), Brightness(), batch_size=BATCH)
    [brain] = find_all([volume], manifest_with(foreground="brain"), Brightness(), batch_size=BATCH)
    assert whole.mask[bone].mean() > 0.9
    assert brain.mask[bone].mean() < 0.1
    assert bone[whole.peak]
    assert not bone[brain.peak]
    assert brain.score < 0.7 * whole.score
    assert brain.warnings == ()


def test_the_map_is_nothing_outside_the_foreground_whatever_the_network_says_of_black():
    class Surprised(Brightness):
        def run(self, images):
            said = super().run(images)
            return dataclasses.replace(said, anomaly_map=1 + said.anomaly_map)

    phantom, volume = head_slice()
    [found] = find_all([volume], manifest_with(foreground="body"), Surprised(), batch_size=BATCH)
    air = phantom.voxels_hu < -900
    assert (found.anomaly_map[air] == 0).mean() > 0.95
    assert found.anomaly_map[phantom.voxels_hu > 300].min() >= 1


def test_slices_without_a_brain_are_looked_at_as_a_whole_and_counted():
    _, volume = head_slice()
    air = np.full((1, 1, 144, 120), -1000, np.float32)
    both = volume_of(np.concatenate([volume.voxels[:, np.newaxis], air], axis=1))
    manifest = manifest_with(foreground="brain")
    [found] = find_all([both], manifest, Brightness(), batch_size=BATCH)
    assert found.warnings == ("no brain was found in 1 of 2 slices: looked at as a whole",)
    [alone] = find_all([volume], manifest, Brightness(), batch_size=BATCH)
    np.testing.assert_array_equal(found.anomaly_map[0], alone.anomaly_map)


@pytest.mark.parametrize("noise", ["median", "non_local_means"])
def test_every_range_of_a_network_shows_the_same_preprocessed_image(noise):
    _, volume = head_slice(["bleed"])
    manifest = manifest_with(noise=noise, foreground="brain")
    shares = images_for(volume, manifest)
    ranged = dataclasses.replace(WINDOW, output_low=-1, output_high=3)
    other = images_for(volume, dataclasses.replace(manifest, intensity=ranged))
    np.testing.assert_array_equal(other, shares * np.float32(4) - np.float32(1))


def test_numbers_of_a_recipe_that_is_off_change_nothing():
    volume = volumes_of_many_shapes()[0]
    plain = manifest_of("coronal")
    numbers = dataclasses.replace(UNPROCESSED, noise_px=9, noise_strength=3.0)
    np.testing.assert_array_equal(
        images_for(volume, dataclasses.replace(plain, preprocessing=numbers)),
        images_for(volume, plain),
    )


def test_the_scan_itself_is_left_as_it_is():
    _, volume = head_slice()
    before = volume.voxels.copy()
    manifest = manifest_with(noise="median", foreground="brain")
    find_all([volume], manifest, Brightness(), batch_size=BATCH)
    np.testing.assert_array_equal(volume.voxels, before)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_out_of_range_have_no_part_in_map_mask_or_score(plane):
    voxels = np.random.default_rng(0).uniform(0, 40, (1, 10, 12, 14)).astype(np.float32)
    manifest = dataclasses.replace(manifest_of(plane), slice_range=(0.2, 0.6))
    looked = looked_at(voxels.shape[1:], plane, (0.2, 0.6))
    bright = voxels.copy()
    outside = np.setdiff1d(np.arange(voxels.shape[1 + step_axis(plane)]), looked)
    np.moveaxis(bright, 1 + step_axis(plane), 0)[outside] = 80
    plain, ill = (
        find_all([volume_of(it)], manifest, Brightness(), batch_size=BATCH)[0]
        for it in (voxels, bright)
    )
    assert ill.score == plain.score
    assert len(ill.slice_scores) == len(ill.images) == len(looked)
    np.testing.assert_array_equal(ill.anomaly_map, plain.anomaly_map)
    maps = np.moveaxis(ill.anomaly_map, step_axis(plane), 0)
    assert (maps[outside] == 0).all()
    assert (maps[looked] > 0).any(axis=(1, 2)).all()
    assert not np.moveaxis(ill.mask, step_axis(plane), 0)[outside].any()


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_no_filter_brings_anything_into_slices_out_of_range(plane):
    voxels = np.full((1, 10, 12, 14), 60.0, np.float32)
    manifest = dataclasses.replace(manifest_of(plane), slice_range=(0.4, 0.6))
    post = dataclasses.replace(manifest.postprocessing, gaussian="volume", gaussian_px=2.0)
    manifest = dataclasses.replace(manifest, postprocessing=post)
    [found] = find_all([volume_of(voxels)], manifest, Brightness(), batch_size=BATCH)
    maps = np.moveaxis(found.anomaly_map, step_axis(plane), 0)
    looked = looked_at(voxels.shape[1:], plane, (0.4, 0.6))
    assert set(np.flatnonzero(maps.any(axis=(1, 2)))) == set(looked)


def test_slices_in_range_are_found_as_among_all():
    _, volume = head_slice()
    stack = volume_of(np.repeat(volume.voxels[:, np.newaxis], 5, axis=1) + 0.0)
    every = manifest_with(foreground="body")
    some = dataclasses.replace(every, slice_range=(0.4, 0.8))
    [whole] = find_all([stack], every, Brightness(), batch_size=BATCH)
    [part] = find_all([stack], some, Brightness(), batch_size=BATCH)
    np.testing.assert_array_equal(part.anomaly_map[2:4], whole.anomaly_map[2:4])
    assert (part.anomaly_map[[0, 1, 4]] == 0).all()


def test_nothing_is_anomalous_around_a_stripped_head_and_empty_slices_are_empty():
    voxels = np.zeros((1, 3, 20, 24), np.float32)
    voxels[0, 1, 5:15, 6:18] = np.random.default_rng(0).uniform(50, 80, (10, 12))
    voxels[0, 1, 9:11, 10:12] = 0  # dark tissue inside is not the background
    manifest = manifest_with(foreground="stripped")
    recipe = Intensity(
        recipe="percentile", low=0, high=100, output_low=0, output_high=1, inside="stripped"
    )

    class Surprised(Brightness):
        def run(self, images):
            said = super().run(images)
            return dataclasses.replace(said, anomaly_map=1 + said.anomaly_map)

    [found] = find_all(
        [volume_of(voxels)],
        dataclasses.replace(manifest, intensity=recipe),
        Surprised(),
        batch_size=BATCH,
    )
    inside = np.zeros(voxels.shape[1:], bool)
    inside[1, 5:15, 6:18] = True
    darkest = (voxels[0] == voxels[0][voxels[0] > 0].min()) & inside
    assert (found.anomaly_map[~inside] == 0).all()
    assert (found.anomaly_map[inside & ~darkest] >= 1).all()
    assert found.warnings == ()


def cleaned(**changed):
    manifest = manifest_of("axial")
    postprocessing = dataclasses.replace(manifest.postprocessing, **changed)
    return dataclasses.replace(manifest, postprocessing=postprocessing)


def test_postprocessing_of_the_map_is_seen_in_map_peak_and_mask_and_not_in_the_score():
    voxels = np.zeros((1, 3, 8, 8))
    voxels[0, :, 2:6, 2:6] = 40.0
    voxels[0, 1, 4, 4] = 80.0  # a single voxel
    [plain] = find_all([volume_of(voxels)], cleaned(), Brightness(), batch_size=BATCH)
    quiet = cleaned(median="volume", foreground="stripped", erosion_radius_px=1)
    [found] = find_all([volume_of(voxels)], quiet, Brightness(), batch_size=BATCH)
    assert plain.peak == (1, 4, 4)
    assert plain.lesions == 1
    assert plain.foreground is None
    assert found.score == plain.score
    assert not found.mask.any()
    np.testing.assert_array_equal(found.foreground, voxels[0] > 0)
    np.testing.assert_array_equal(found.anomaly_map[:, 3:5, 3:5], 0.5)
    assert found.anomaly_map.sum() == 3 * 4 * 0.5


def test_a_map_that_is_not_finite_is_refused_though_a_filter_would_hide_it():
    class NanOutside:
        def run(self, images):
            maps = np.where(images > 0.5, images, np.float32(np.nan))
            return EngineOutputs(
                anomaly_map=maps,
                score=images.mean(axis=(1, 2, 3)),
                reconstruction=None,
                score_parts={},
            )

    voxels = np.zeros((1, 3, 8, 8))
    voxels[0, :, 2:6, 2:6] = 80.0
    with pytest.raises(UnreadableScanError, match="not finite"):
        find_all([volume_of(voxels)], cleaned(foreground="stripped"), NanOutside(), batch_size=4)


def test_slices_without_a_brain_are_counted_where_only_postprocessing_looks_for_one():
    [found] = find_all(
        [volume_of(np.ones((1, 4, 12, 12)))],
        cleaned(foreground="brain"),
        Brightness(),
        batch_size=BATCH,
    )
    assert found.warnings[-1] == "no brain was found in 4 of 4 slices: looked at as a whole"
