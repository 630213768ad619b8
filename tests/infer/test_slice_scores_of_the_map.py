"""`slice_score: map`: a slice scores what its map has highest when it is thresholded."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from infer.finding import find_all
from infer.manifest import from_json, to_json
from infer.scoring import Aggregation
from infer.slicing import looked_at, step_axis
from infer.volume import Grid, Volume
from tests.infer.test_finding import BATCH, Brightness, manifest_of, volume_of
from tests.infer.tiny_model import MANIFEST

PLANES = ["axial", "coronal", "sagittal"]
SIZE = (6, 8, 10)
OF_MAP = Aggregation(top_share=0.5, slice_score="map")


def by_map(plane="axial", **changes):
    return replace(manifest_of(plane), aggregation=OF_MAP, **changes)


def smoothed(manifest):
    """Across slices as well."""
    post = replace(manifest.postprocessing, gaussian="volume", gaussian_px=1.0)
    return replace(manifest, postprocessing=post)


def find(volume, manifest):
    [finding] = find_all([volume], manifest, Brightness(), batch_size=BATCH)
    return finding


def noise(*shape, seed=0):
    return volume_of(np.random.default_rng(seed).uniform(0, 80, (1, *shape)))


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("slice_range", [(0.0, 1.0), (0.3, 0.8)])
def test_a_slice_scores_the_highest_value_of_its_map_as_it_is_thresholded(plane, slice_range):
    volume = noise(10, 12, 14)
    found = find(volume, smoothed(by_map(plane, slice_range=slice_range)))
    maps = np.moveaxis(found.anomaly_map, step_axis(plane), 0)
    looked = looked_at((10, 12, 14), plane, slice_range)
    np.testing.assert_array_equal(found.slice_scores, [maps[at].max() for at in looked])
    highest = sorted(found.slice_scores)[-max(1, round(len(looked) / 2)) :]
    assert found.score == pytest.approx(np.mean(highest))
    assert found.slice_scores.max() == found.peak_value


def test_what_is_in_the_next_slice_counts_as_far_as_the_filter_brings_it():
    voxels = np.zeros((1, 9, 8, 8))
    voxels[0, 4, 3:5, 3:5] = 80
    by_graph, of_map = (
        find(volume_of(voxels), smoothed(it)) for it in (manifest_of("axial"), by_map())
    )
    np.testing.assert_array_equal(np.flatnonzero(by_graph.slice_scores), [4])
    beside = of_map.slice_scores[[3, 4, 5]]
    assert beside[0] == pytest.approx(beside[2], rel=1e-5)
    # A Gaussian of one voxel's deviation: exp(-1/2) of the middle's weight.
    assert beside[0] / beside[1] == pytest.approx(np.exp(-0.5), rel=1e-3)


def test_nothing_but_scores_changes():
    volume = noise(6, 9, 7, seed=1)
    by_graph, of_map = (find(volume, smoothed(it)) for it in (manifest_of("axial"), by_map()))
    for field in fields(of_map):
        if field.name not in ("score", "slice_scores"):
            ours, theirs = getattr(of_map, field.name), getattr(by_graph, field.name)
            np.testing.assert_equal(ours, theirs, err_msg=field.name)


def test_a_picture_scores_its_peak():
    pixels = np.random.default_rng(0).uniform(0, 80, (1, 12, 10)).astype(np.float32)
    grid = Grid(shape=(12, 10), axes=(0, 1), flipped=(False, False))
    picture = Volume(voxels=pixels, unit="modality", spacing_mm=None, grid=grid)
    found = find(picture, by_map())
    assert found.score == found.peak_value == found.anomaly_map.max()


def test_a_whole_volume_scores_its_peak():
    class Whole(Brightness):
        def run(self, images):
            found = super().run(images[:, :, 0])
            return replace(found, anomaly_map=images, reconstruction=images)

    manifest = smoothed(by_map(image_size=SIZE))
    [found] = find_all([noise(*SIZE)], manifest, Whole(), batch_size=BATCH)
    assert found.slice_scores.tolist() == [found.peak_value]
    assert found.score == found.peak_value


def test_a_manifest_of_before_takes_the_scores_of_its_graph():
    said = json.loads(to_json(replace(MANIFEST, schema=7)))
    del said["aggregation"]["slice_score"]
    old = from_json(json.dumps(said), where="old.onnx")
    assert old.aggregation.slice_score == "graph"
    new = replace(MANIFEST, aggregation=OF_MAP)
    assert from_json(to_json(new), where="new.onnx") == new
