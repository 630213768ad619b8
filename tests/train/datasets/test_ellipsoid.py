import math

import numpy as np
import pytest

from train.datasets.ellipsoid import Ellipsoid, ball, region_of

SPACING_MM = (2.5, 1.0, 0.8)
SPATIAL = (24, 60, 75)


def _turned(seed, *, centre=(12, 30, 37), radii_mm=(9.0, 15.0, 21.0)):
    axes = len(centre)
    directions = np.linalg.qr(np.random.default_rng(seed).normal(size=(axes, axes))).Q
    return Ellipsoid(centre=centre, radii_mm=radii_mm, directions=directions)


@pytest.mark.parametrize("seed", range(4))
def test_its_volume_is_that_of_an_ellipsoid_whatever_the_spacing_and_the_direction(seed):
    shape = _turned(seed, radii_mm=(9.0, 12.0, 15.0))
    region = region_of(shape, spatial=SPATIAL, spacing_mm=SPACING_MM)
    volume_mm3 = region.inside.sum() * math.prod(SPACING_MM)
    # Counting voxel centres: a few thousand of them, the error is that of a surface's roughness.
    assert volume_mm3 == pytest.approx(4 / 3 * math.pi * 9 * 12 * 15, rel=0.03)


def test_the_area_of_an_ellipse_is_that_of_a_picture():
    shape = _turned(1, centre=(40, 40), radii_mm=(10.0, 20.0))
    region = region_of(shape, spatial=(80, 80), spacing_mm=(0.5, 1.0))
    assert region.inside.sum() * 0.5 == pytest.approx(math.pi * 10 * 20, rel=0.03)


@pytest.mark.parametrize("centre", [(12, 30, 37), (0, 2, 74)], ids=["whole", "cut"])
def test_its_window_holds_every_voxel_that_its_equation_does(centre):
    shape = _turned(2, centre=centre)
    region = region_of(shape, spatial=SPATIAL, spacing_mm=SPACING_MM)
    offsets = np.moveaxis(np.indices(SPATIAL), 0, -1) - centre
    offsets_mm = offsets * np.array(SPACING_MM)
    matrix = shape.directions.T @ np.diag(1 / np.array(shape.radii_mm) ** 2) @ shape.directions
    quadratic = np.einsum("...i,ij,...j->...", offsets_mm, matrix, offsets_mm)
    found = np.zeros(SPATIAL, bool)
    found[region.window] = region.inside
    np.testing.assert_array_equal(found, quadratic < 1)


def test_its_size_is_the_radius_of_the_ball_of_its_volume():
    assert _turned(0, radii_mm=(2.0, 4.0, 8.0)).size_mm == pytest.approx(4.0)
    assert ball((1, 1), 5.0).size_mm == pytest.approx(5.0)
