"""Overlays: a picture of the right parts, for scans of any shape."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from infer.engine import open_engine
from infer.finding import find_all
from infer.intensity import Intensity
from infer.preprocessing import UNPROCESSED
from infer.readers.source import Source
from infer.volume import Grid, Volume
from infer.worker import row_of, task_for
from infer.writers.overlay import HEADER, PANEL, colour_map, draw_overlay, with_contour


def picture(height, width, channels=1):
    voxels = np.random.default_rng(0).random((channels, height, width), np.float32) * 0.2
    voxels[:, height // 3 : height // 2, width // 3 : width // 2] = 1
    grid = Grid(shape=(height, width), axes=(0, 1), flipped=(False, False))
    return Volume(voxels=voxels, unit="display", spacing_mm=None, grid=grid)


def volume(depth, height, width, spacing_mm):
    voxels = np.random.default_rng(0).random((1, depth, height, width), np.float32) * 20
    voxels[:, depth // 2, 5:10, 5:10] = 80
    grid = Grid(shape=voxels.shape[1:], axes=(0, 1, 2), flipped=(False,) * 3)
    return Volume(voxels=voxels, unit="modality", spacing_mm=spacing_mm, grid=grid)


def overlay(scan, tiny_model, *, name="scan.png", **changed):
    engine = open_engine(tiny_model, device="cpu", threads=1)
    manifest = replace(engine.manifest, **changed)
    finding = find_all([scan], manifest, engine, batch_size=4)[0]
    row = row_of(
        task_for(name, Source(Path(name)), mask=name, overlay=name, map=name),
        scan,
        finding,
        manifest,
    )
    data = draw_overlay(scan, finding, manifest, scan=name, row=row)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("shape", [(8, 8), (40, 200), (200, 40), (900, 700), (3, 300)])
def test_pictures_of_any_shape_have_four_panels_side_by_side(tiny_model, shape):
    drawn = overlay(picture(*shape), tiny_model)
    assert drawn.shape[1] >= 4 * PANEL
    assert drawn.shape[2] == 3
    assert drawn.any()


def test_volumes_are_drawn_at_their_true_proportions(tiny_model):
    thick = volume(8, 40, 40, (5.0, 1.0, 1.0))
    square = overlay(thick, tiny_model, plane="axial")
    coronal = overlay(thick, tiny_model, plane="coronal")  # 8 × 5 mm high, 40 mm wide
    assert square.shape == coronal.shape


@pytest.mark.parametrize("name", ["ünï\n\udcff.png", "x" * 250 + ".png", "a/b/c.png"])
def test_any_name_can_be_written_on_it(tiny_model, name):
    assert overlay(picture(40, 50), tiny_model, name=name).any()


def test_only_what_lies_above_the_threshold_is_coloured():
    anomaly_map = np.linspace(0, 1, 101, dtype=np.float32)[np.newaxis]
    blue, green, red = np.moveaxis(colour_map(anomaly_map, 0.5), -1, 0)
    is_grey = (blue == green) & (green == red)
    np.testing.assert_array_equal(is_grey, anomaly_map <= 0.5)
    assert (np.diff(red[0, :51].astype(int)) >= 0).all()


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.3, 5.0])
def test_a_constant_map_can_be_coloured(threshold):
    colours = colour_map(np.full((4, 4), 0.3, np.float32), threshold)
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == 1


def test_the_contour_surrounds_the_mask():
    mask = np.zeros((10, 10), bool)
    mask[3:7, 4:8] = True
    grey = np.full((100, 100, 3), 90, np.uint8)
    drawn = with_contour(grey, mask)
    changed = np.argwhere((drawn != grey).any(axis=-1))
    assert changed.min() >= 28
    assert changed.max() <= 81
    assert (drawn[45:55, 50:70] == 90).all()
    assert (grey == 90).all()


@pytest.mark.parametrize("at", [0, 3, 101, 1998])
def test_of_a_lesion_smaller_than_a_pixel_of_the_picture_something_is_drawn(at):
    mask = np.zeros((2000, 2000), bool)
    mask[at : at + 2, at : at + 2] = True
    grey = np.full((320, 320, 3), 90, np.uint8)
    changed = np.argwhere((with_contour(grey, mask) != grey).any(axis=-1))
    assert len(changed)
    assert np.abs(changed - at * 320 / 2000).max() <= 3


def test_burnt_in_letters_are_not_seen_and_darken_nothing(tiny_model):
    recipe = replace(UNPROCESSED, blank=((0.0, 0.0, 0.2, 1.0),))
    intensity = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)
    changed = {"preprocessing": recipe, "intensity": intensity}
    plain, letters = picture(100, 100), picture(100, 100)
    letters.voxels[:, 5:10, 5:60] = 50.0
    drawn = [overlay(it, tiny_model, **changed) for it in (plain, letters)]
    np.testing.assert_array_equal(*drawn)


def test_of_a_model_that_looks_at_some_slices_the_worst_of_them_is_drawn(tiny_model):
    scan = volume(8, 40, 40, (1.0, 1.0, 1.0))  # the square is in slice 4
    part = overlay(scan, tiny_model, slice_range=(0.5, 1.0))
    np.testing.assert_array_equal(panel_pixels(part), panel_pixels(overlay(scan, tiny_model)))
    without = overlay(scan, tiny_model, slice_range=(0.0, 0.5))
    assert (panel_pixels(without) != panel_pixels(part)).any()


def panel_pixels(drawn):
    """What is drawn below the header, whose words count slices."""
    return drawn[HEADER:]
