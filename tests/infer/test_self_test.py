"""The built-in phantom: always the same, and a changed model is noticed."""

from dataclasses import replace

import numpy as np
import pytest

from infer.engine import open_engine
from infer.errors import BadModelError
from infer.intensity import Intensity
from infer.manifest import SelfTest
from infer.self_test import Measured, agrees, check_model, measure, phantom
from infer.slicing import to_slices
from tests.infer.tiny_model import MANIFEST, save, tiny_graph


def test_a_model_agrees_with_what_it_gave_when_it_was_made(tiny_model):
    assert "agrees" in check_model(tiny_model, device="cpu")


def test_a_model_that_gives_something_else_is_refused(tmp_path):
    path = tmp_path / "tiny.onnx"
    wrong = SelfTest(score=0.1, peak_value=0.1, tolerance=1e-4)
    save(path, tiny_graph(), replace(MANIFEST, self_test=wrong))
    with pytest.raises(BadModelError, match="does not give here"):
        check_model(path, device="cpu")


def test_measuring_does_not_depend_on_thresholds(tiny_model):
    engine = open_engine(tiny_model, device="cpu", threads=1)
    other = replace(engine.manifest, map_threshold=replace(MANIFEST.map_threshold, value=-1.0))
    assert measure(engine, engine.manifest) == measure(engine, other)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_the_phantom_shows_the_same_slices_along_every_plane(plane):
    manifest = replace(MANIFEST, plane=plane, image_size=(32, 64))
    slices = to_slices(phantom(manifest).voxels, plane)
    axial = to_slices(phantom(replace(manifest, plane="axial")).voxels, "axial")
    assert slices.shape == (3, 1, 40, 80)
    np.testing.assert_array_equal(slices, axial)


def test_only_the_middle_slice_has_a_lesion():
    first, middle, last = phantom(MANIFEST).voxels[0]
    np.testing.assert_array_equal(first, last)
    assert (middle - first).max() > 0.3 * 80


def test_the_phantom_fills_the_window_of_the_model():
    intensity = Intensity(recipe="window", low=-100, high=300, output_low=-1, output_high=1)
    voxels = phantom(replace(MANIFEST, intensity=intensity, channels=3)).voxels
    assert voxels.shape[0] == 3
    assert voxels.min() == -100
    assert 200 < voxels.max() <= 300


def test_agreement_is_relative():
    expected = SelfTest(score=100.0, peak_value=0.01, tolerance=1e-3)
    assert agrees(Measured(100.05, 0.010005), expected)
    assert not agrees(Measured(100.2, 0.01), expected)
    assert not agrees(Measured(100.0, 0.0102), expected)
    assert not agrees(Measured(float("nan"), 0.01), expected)


def test_agreement_is_relative_to_the_score_where_all_is_as_expected():
    expected = SelfTest(score=0.01, peak_value=1.0, tolerance=1e-3, score_zero=-10.0)
    assert agrees(Measured(0.015, 1.0), expected)
    assert not agrees(Measured(0.05, 1.0), expected)
