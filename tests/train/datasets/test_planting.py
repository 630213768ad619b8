import math

import numpy as np
import pytest

from tests.train.datasets.planting_ground import config, head, volume
from train.datasets.anomalies import KINDS
from train.datasets.planting import healthy, kind_of, plant

SPACING_MM = (3.0, 1.0, 1.2)
PICTURE = {"shape": (64, 56), "spacing_mm": (1.0, 1.2)}


def _scan(seed=0, *, planting=None, **kind):
    scan = volume(head(seed, **kind), spacing_mm=kind.get("spacing_mm", SPACING_MM))
    return healthy(scan, scan.spacing_mm, planting or config())


def _all(scan, planting):
    found = [plant(scan, number, planting) for number in range(planting.per_scan)]
    assert None not in found
    return found


@pytest.fixture(scope="module", params=["volume", "picture"])
def planted(request):
    """A healthy scan and a copy of every kind."""
    scan = _scan(**(PICTURE if request.param == "picture" else {}))
    return scan, _all(scan, config())


def test_every_kind_is_planted(planted):
    _, found = planted
    assert {it.kind for it in found} == set(KINDS)


def test_the_mask_is_exactly_where_voxels_changed(planted):
    scan, found = planted
    before = scan.volume.voxels
    for it in found:
        assert it.mask.any()
        np.testing.assert_array_equal(it.mask, (it.voxels != before).any(axis=0), it.kind)
        assert it.voxels[:, ~it.mask].tobytes() == before[:, ~it.mask].tobytes()


def test_an_anomaly_lies_in_the_tissue(planted):
    scan, found = planted
    assert 0.2 < scan.tissue.mean() < 0.7
    for it in found:
        assert scan.tissue[it.mask].all(), it.kind


def test_no_voxel_changes_by_more_than_the_contrast(planted):
    scan, found = planted
    std = scan.volume.voxels[0][scan.tissue].std()
    for it in found:
        change = np.abs(it.voxels - scan.volume.voxels)
        assert change.max() <= 2.0 * std + 1e-3, it.kind  # float32 rounds values of hundreds
        assert change[0][it.mask].mean() > 0.25 * std, it.kind  # `least_change`


def test_nothing_becomes_brighter_than_the_tissue_was(planted):
    scan, found = planted
    for it in found:
        assert it.voxels.max() <= scan.volume.voxels.max()
        assert it.voxels.min() >= scan.volume.voxels.min()


def test_the_scan_itself_is_left_untouched():
    voxels = head()
    before = voxels.copy()
    scan = healthy(volume(voxels), SPACING_MM, config())
    _all(scan, config())
    np.testing.assert_array_equal(voxels, before)


def test_a_copy_is_the_same_however_many_are_made_and_whatever_was_planted_before():
    few, many = config(per_scan=1), config(per_scan=30)
    alone = plant(_scan(planting=few), 3, few)
    _all(_scan(7, planting=many), config())
    in_company = _all(_scan(planting=many), config())[3]
    assert (alone.kind, alone.size_mm) == (in_company.kind, in_company.size_mm)
    np.testing.assert_array_equal(alone.voxels, in_company.voxels)


@pytest.mark.parametrize(
    "other",
    [
        lambda: plant(_scan(), 11, config(kinds=("noise",))),
        lambda: plant(_scan(), 1, config(kinds=("noise",), seed=2)),
        lambda: plant(_scan(5), 1, config(kinds=("noise",))),
    ],
    ids=["number", "seed", "scan"],
)
def test_another_number_seed_or_scan_is_another_anomaly(other):
    first = plant(_scan(), 1, config(kinds=("noise",)))
    assert not np.array_equal(first.mask, other().mask)


def test_kinds_come_in_turn_in_an_order_of_each_scan_and_then_again():
    orders = set()
    for seed in range(4):
        scan = _scan(seed)
        order = [kind_of(scan, number, config()) for number in range(20)]
        assert order[:10] == order[10:]
        assert set(order) == set(KINDS)
        orders.add(tuple(order))
    assert len(orders) == 4


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 0.8, 1.0), (1.0, 1.5, 0.7)])
def test_the_mask_has_the_volume_of_a_ball_of_its_size_in_mm(spacing_mm):
    shape = tuple(round(60 / it) for it in spacing_mm)
    asked = config(kinds=("sphere_dark",), radii_mm=(7.0, 7.0), seed=3)
    scan = _scan(shape=shape, spacing_mm=spacing_mm, planting=asked)
    whole = [it for it in (plant(scan, number, asked) for number in range(8)) if _is_whole(it)]
    assert whole
    for it in whole:
        assert it.size_mm == 7.0
        # Less a few voxels: those whose centre is on the surface, or as dark as tissue gets.
        volume_mm3 = it.mask.sum() * math.prod(spacing_mm)
        assert volume_mm3 == pytest.approx(4 / 3 * math.pi * 7**3, rel=0.06)


def _is_whole(planted):
    """Whether the first and the last slice cut nothing off."""
    return not planted.mask[[0, -1]].any()


def test_a_pixel_of_a_picture_measures_what_is_said():
    sizes = {}
    for pixel_mm in (1.0, 2.0):
        asked = config(kinds=("sphere_bright",), radii_mm=(8.0, 8.0), pixel_mm=pixel_mm)
        scan = volume(head(**PICTURE), spacing_mm=None)
        known = healthy(scan, (pixel_mm, pixel_mm), asked)
        sizes[pixel_mm] = plant(known, 0, asked).mask.sum()
    assert sizes[1.0] == pytest.approx(math.pi * 64, rel=0.06)
    assert sizes[2.0] == pytest.approx(math.pi * 16, rel=0.12)


def test_the_edge_rises_steadily_and_without_a_jump():
    """In the darker of two flat halves, which make the spread, the change is the edge itself."""
    voxels = np.where(head(shape=(9, 80, 72)) > 0, 100, 0).astype(np.float32)
    voxels[:, :, :36] *= 2
    asked = config(kinds=("sphere_bright",), radii_mm=(9.0, 9.0), contrast=(1.0, 1.0))
    scan = healthy(volume(voxels, spacing_mm=(1.0, 1.0, 1.0)), (1.0, 1.0, 1.0), asked)
    copies = (plant(scan, number, asked) for number in range(40))
    # In the brighter half nothing gets brighter: a ball that reaches there is not whole.
    found = next(it for it in copies if it.mask.sum(axis=(1, 2)).max() > 0.95 * math.pi * 9**2)
    change = found.voxels[0] - voxels
    widest = np.argmax(found.mask.sum(axis=(1, 2)))  # the slice of the ball's centre
    centre = (widest, *np.argwhere(found.mask[widest]).mean(axis=0))
    distance = np.linalg.norm(np.argwhere(found.mask) - centre, axis=1)
    std = voxels[scan.tissue].std()
    inward = change[found.mask][np.argsort(-distance, kind="stable")]
    assert (np.diff(inward) > -1e-3 * std).all()
    assert inward[-1] == pytest.approx(std, rel=1e-3)
    slope = std / (0.4 * 9.0)  # of the edge, per mm and here per voxel
    for axis in range(3):
        assert np.abs(np.diff(change, axis=axis)).max() <= slope * (1 + 1e-3)


def test_colours_change_together_each_by_its_own_spread():
    grey = head(**PICTURE) / 1000
    colours = np.stack([grey, 0.5 * grey, 0 * grey]).astype(np.float32)
    asked = config(kinds=("sphere_dark",))
    scan = healthy(volume(colours, spacing_mm=(1.0, 1.2), unit="display"), (1.0, 1.2), asked)
    found = plant(scan, 0, asked)
    red, green, blue = np.abs(found.voxels - scan.volume.voxels)
    core = red > 0.9 * red.max()
    np.testing.assert_allclose(green[core], 0.5 * red[core], atol=2 / 2**16)  # as it is stored
    assert not blue.any()


@pytest.mark.parametrize(
    ("voxels", "planting"),
    [
        (head(), config(radii_mm=(40.0, 40.0))),
        (np.zeros((12, 64, 56), np.float32), config()),
        (np.where(head() > 0, 500, 0).astype(np.float32), config()),
    ],
    ids=["too large", "no tissue", "nothing that varies"],
)
def test_where_there_is_no_room_nothing_is_planted(voxels, planting):
    assert plant(healthy(volume(voxels), SPACING_MM, planting), 0, planting) is None


def test_slices_of_mere_air_are_no_tissue():
    voxels = head()
    voxels[:4] = np.random.default_rng(0).integers(0, 20, voxels[:4].shape)
    tissue = healthy(volume(voxels), SPACING_MM, config()).tissue
    assert not tissue[:4].any()
    assert tissue[4:].any(axis=(1, 2)).all()


def test_a_margin_keeps_anomalies_away_from_the_rim_by_mm():
    near, far = (
        healthy(volume(head()), SPACING_MM, config(margin_mm=it)).tissue[6] for it in (0.0, 6.0)
    )
    rows, columns = (np.flatnonzero(near.any(axis=axis)) for axis in (1, 0))
    inner_rows, inner_columns = (np.flatnonzero(far.any(axis=axis)) for axis in (1, 0))
    assert inner_rows[0] - rows[0] == 6  # pixels of 1 mm
    assert abs(inner_columns[0] - columns[0] - 5) <= 1  # pixels of 1.2 mm, at a round end


def test_without_a_foreground_all_of_the_scan_is_tissue():
    assert healthy(
        volume(head()), SPACING_MM, config(foreground="none", margin_mm=0.0)
    ).tissue.all()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"kinds": ("sphere",)}, "kind 'sphere' is unknown: use sphere_bright"),
        ({"kinds": ()}, "at least one kind"),
        ({"kinds": ("noise", "noise")}, "none twice"),
        ({"per_scan": 0}, "per_scan must be at least 1"),
        ({"radii_mm": (5.0, 3.0)}, "radii_mm must be a range above 0"),
        ({"radii_mm": (0.0, 3.0)}, "radii_mm must be a range above 0"),
        ({"contrast": (1.0, 2.5)}, "contrast must be a range above 0 and up to 2.0 standard"),
        ({"contrast": (0.0, 1.0)}, "contrast must be a range above 0"),
        ({"least_change": 0.6}, "least_change must be above 0 and at most half"),
        ({"edge": 0.0}, "edge must be above 0"),
        ({"margin_mm": -1.0}, "margin_mm must not be negative"),
        ({"pixel_mm": 0.0}, "pixel_mm must be above 0"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_wrong_numbers_are_refused_in_words(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        config(**wrong)
