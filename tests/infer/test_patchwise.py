"""Models that take patches: their manifest, their file, and what they find in whole scans."""

import dataclasses
import json

import numpy as np
import pytest

from infer.describe import describe_model
from infer.engine import open_engine, read_manifest
from infer.errors import BadModelError
from infer.finding import find_all
from infer.manifest import SCHEMA, from_json, to_json
from infer.patches import Patches
from infer.self_test import check_model, measure
from tests.infer.test_finding import (
    BATCH,
    Brightness,
    assert_same,
    manifest_of,
    volume_of,
    volumes_of_many_shapes,
)
from tests.infer.tiny_model import MANIFEST, SIZE, save, tiny_graph

PATCHES = Patches(size=(4, 6), stride=(2, 5), top_share=1e-9)


class Patchwise(Brightness):
    """Refuses whole images."""

    def run(self, images):
        assert images.shape[2:] == PATCHES.size
        return super().run(images)


def patchwise_manifest(plane="axial"):
    return dataclasses.replace(manifest_of(plane), patches=PATCHES)


def test_maps_and_reconstructions_of_patches_are_put_together_to_whole_images():
    volumes = volumes_of_many_shapes()
    whole = find_all(volumes, manifest_of("axial"), Brightness(), batch_size=BATCH)
    patched = find_all(volumes, patchwise_manifest(), Patchwise(), batch_size=BATCH)
    for one, other in zip(whole, patched, strict=True):
        # What says the same of a pixel in every patch says it of the image.
        np.testing.assert_array_equal(other.anomaly_map, one.anomaly_map)
        np.testing.assert_array_equal(other.reconstruction, one.reconstruction)
        np.testing.assert_array_equal(other.images, one.images)


def test_a_slices_score_and_its_parts_are_those_of_its_strongest_patch():
    voxels = np.zeros((1, 8, 8))
    voxels[0, 2:6, 2:8] = 80  # exactly one patch, rows from 2 and columns from 2
    [finding] = find_all([volume_of(voxels)], patchwise_manifest(), Patchwise(), batch_size=BATCH)
    assert finding.score == 1
    assert finding.score_parts["twice"].tolist() == [2]


@pytest.mark.parametrize("at_once", [1, 20, 512])
def test_what_is_found_by_patches_does_not_depend_on_the_other_volumes(monkeypatch, at_once):
    volumes, manifest = volumes_of_many_shapes(), patchwise_manifest("coronal")
    alone = [find_all([it], manifest, Patchwise(), batch_size=BATCH)[0] for it in volumes]
    monkeypatch.setattr("infer.engine_batches.PATCHES_AT_ONCE", at_once)
    together = find_all(volumes, manifest, Patchwise(), batch_size=BATCH)
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


def test_batches_of_patches_cross_the_borders_between_volumes():
    sizes = []

    class Counting(Patchwise):
        def run(self, images):
            sizes.append(len(images))
            return super().run(images)

    pictures = [volume_of(np.ones((1, 8, 8)))] * 2  # of 3 × 2 patches each
    find_all(pictures, patchwise_manifest(), Counting(), batch_size=BATCH)
    assert sizes == [BATCH] * 3
    assert find_all([], patchwise_manifest(), Counting(), batch_size=BATCH) == []


def test_a_manifest_whose_patches_are_larger_than_its_images_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        dataclasses.replace(manifest_of("axial"), image_size=(3, 8), patches=PATCHES)


def test_a_manifest_from_before_patches_takes_whole_images():
    said = json.loads(to_json(dataclasses.replace(MANIFEST, schema=2)))
    del said["patches"]
    old = from_json(json.dumps(said), where="old.onnx")
    assert old.patches is None
    assert old.input_size == old.image_size


def test_patches_are_in_a_schema_that_older_readers_refuse():
    assert SCHEMA >= 3  # readers of schema 2 would show the network whole images


def test_a_graph_of_patches_has_the_patches_size_and_agrees_with_itself(tmp_path):
    patches = Patches(size=(SIZE, SIZE), stride=(20, 16), top_share=0.5)
    manifest = dataclasses.replace(MANIFEST, image_size=(2 * SIZE, SIZE), patches=patches)
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(dataclasses.replace(MANIFEST, image_size=(2 * SIZE, SIZE))), manifest)
    with pytest.raises(BadModelError, match="its manifest says"):  # that graph takes them whole
        read_manifest(path)
    save(path, tiny_graph(), manifest)
    assert read_manifest(path).patches == patches
    engine = open_engine(path, device="cpu", threads=1)
    score, peak_value = measure(engine, manifest)
    expected = dataclasses.replace(MANIFEST.self_test, score=score, peak_value=peak_value)
    save(path, tiny_graph(), dataclasses.replace(manifest, self_test=expected))
    assert "agrees" in check_model(path, device="cpu")
    assert "of 32 × 32 every 20 × 16, 3 per slice" in describe_model(path)
