"""Where, against scikit-learn, MONAI and SciPy on the raw voxels, and by hand."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric
from scipy import ndimage
from sklearn import metrics as exact

from export.localisation import Localiser, over_groups
from export.scan_scores import ScoredScan
from export.where_config import WhereConfig, size_class
from infer.finding import Finding
from infer.manifest import Threshold
from infer.masking import Postprocessing, lesions_above, peak
from infer.volume import Grid, Volume
from tests.export.tiny_graph import TINY_MANIFEST
from train.datasets.case import Case

POST = Postprocessing(closing_radius_px=1, smallest_lesion_px=3)
MANIFEST = replace(
    TINY_MANIFEST, postprocessing=POST, map_threshold=Threshold(value=2.0, chosen_by="hand")
)
CONFIG = WhereConfig(
    ablate_postprocessing=False,
    lesion_sizes_ml=(0.05, 0.1),
    lesion_sizes_px=(2.0, 10.0),
    lesion_found_share=0.0,
    montage_slices=0,
)
SPACING = (2.0, 1.0, 1.0)
SPATIAL = (6, 17, 19)
FURTHER = {"at_1_percent": 2.5}


def scan(
    anomaly_map, truth, *, name="a", group="", kind="", normal=None, score=0.0, inside=None,
    spacing_mm=SPACING,
):  # fmt: skip
    """A scan found at the manifest's threshold; slices score the mean of their map."""
    normal = truth is not None and not truth.any() if normal is None else normal
    mask, lesions = lesions_above(anomaly_map, MANIFEST.map_threshold.value, POST, "axial")
    highest, value = peak(anomaly_map)
    slices = anomaly_map if anomaly_map.ndim == 3 else anomaly_map[np.newaxis]
    return ScoredScan(
        case=Case(scan=Path(f"{name}.nii.gz"), group=group or name, normal=normal, mask=None,
                  kind=kind),
        volume=Volume(
            voxels=anomaly_map[np.newaxis],
            unit="modality",
            spacing_mm=spacing_mm if anomaly_map.ndim == 3 else None,
            grid=Grid(shape=anomaly_map.shape, axes=(0, 1, 2), flipped=(False,) * 3),
        ),
        finding=Finding(
            score=score,
            anomaly_map=anomaly_map,
            mask=mask,
            slice_scores=slices.mean(axis=(1, 2)),
            score_parts={},
            images=np.zeros((len(slices), 1, 4, 4), np.float32),
            reconstruction=None,
            peak=highest,
            peak_value=value,
            lesions=lesions,
            foreground=inside,
        ),
        truth=truth,
        plane="axial",
    )  # fmt: skip


def cohort():
    """Five abnormal scans of three patients and two normal ones."""
    draw = np.random.default_rng(0)
    groups, kinds = ("p", "p", "q", "q", "r"), ("low", "high", "low", "low", "high")
    scans = []
    for at in range(7):
        truth = np.zeros(SPATIAL, bool)
        if at < 5:
            truth = ndimage.gaussian_filter(draw.normal(size=SPATIAL), (0.5, 1.5, 1.5)) > 0.2
            truth[:2] = False
        noise = ndimage.gaussian_filter(draw.normal(size=SPATIAL), 1) * 4
        anomaly_map = np.abs(noise + 1.6 * truth).astype(np.float32)
        scans.append(
            scan(
                anomaly_map,
                truth,
                name=f"s{at}",
                group=groups[at] if at < 5 else "",
                kind=kinds[at] if at < 5 else "",
                score=float(anomaly_map.max()),
            )
        )
    return scans


def located(scans, config=CONFIG, further=FURTHER):
    localiser = Localiser(MANIFEST, further, config)
    assert list(localiser.of(scans)) == list(scans)
    return localiser.result()


@pytest.fixture(scope="module")
def scans():
    return cohort()


@pytest.fixture(scope="module")
def where(scans):
    return located(scans)


def flat(scans):
    maps = np.concatenate([it.finding.anomaly_map.ravel() for it in scans])
    return maps, np.concatenate([it.truth.ravel() for it in scans])


def dice_by_monai(masks, truths):
    """Of all voxels of some scans as one."""
    one, other = (torch.tensor(np.stack(it)[None, None].astype("f4")) for it in (masks, truths))
    return float(DiceMetric()(one.flatten(2)[..., None], other.flatten(2)[..., None]))


def test_voxel_metrics_are_those_of_scikit_learn_on_all_voxels(where, scans):
    maps, truth = flat(scans)
    precision, recall, _ = exact.precision_recall_curve(truth, maps)
    best = (2 * precision * recall / (precision + recall + 1e-12)).max()
    # 1000 bins instead of all values: see train/metrics.py
    assert where.metrics["voxel_auroc"] == pytest.approx(exact.roc_auc_score(truth, maps), abs=1e-3)
    assert where.metrics["voxel_ap"] == pytest.approx(
        exact.average_precision_score(truth, maps), rel=0.01
    )
    assert where.metrics["oracle_dice"] == pytest.approx(best, rel=0.01)


def test_dice_is_monais_at_the_shipped_and_at_a_further_threshold(where, scans):
    truths = [it.truth for it in scans]
    shipped = dice_by_monai([it.finding.mask for it in scans], truths)
    assert where.metrics["dice"] == pytest.approx(shipped, abs=1e-6)
    further = [lesions_above(it.finding.anomaly_map, 2.5, POST, "axial").mask for it in scans]
    assert where.metrics["dice_at_1_percent"] == pytest.approx(
        dice_by_monai(further, truths), abs=1e-6
    )
    assert where.metrics["dice"] != where.metrics["dice_at_1_percent"]


def test_groups_are_measured_by_themselves_and_normal_ones_have_no_dice(where, scans):
    assert set(where.groups) == {"p", "q", "r"}
    for name, metrics in where.groups.items():
        own = [it for it in scans if it.case.group == name]
        maps, truth = flat(own)
        assert metrics["voxel_ap"] == pytest.approx(
            exact.average_precision_score(truth, maps), rel=0.01
        )
        mask = np.concatenate([it.finding.mask.ravel() for it in own])
        assert metrics["dice"] == pytest.approx(exact.f1_score(truth, mask))
    dices = [it["dice"] for it in where.groups.values()]
    assert where.metrics["dice_mean"] == pytest.approx(np.mean(dices))
    assert where.metrics["dice_std"] == pytest.approx(np.std(dices, ddof=1))


def test_every_metric_is_explained(where):
    page = (Path(__file__).parents[2] / "docs/where.md").read_text()
    named = set(re.findall(r"`([a-z0-9_…]+)`", page))
    stems = [it.strip("…") for it in named if "…" in it]
    counted = {"scans_measured", "scans_not_measured", "groups_with_lesions", "lesions"}
    for name in set(where.metrics) - counted:
        assert name in named or any(stem in name for stem in stems), name


def test_one_group_has_no_spread():
    assert over_groups([{"dice": 0.5}]) == {"dice_mean": 0.5, "dice_std": 0.0}
    assert over_groups([]) == {}


def test_a_kind_is_measured_beside_all_normal_scans(where, scans):
    assert set(where.kinds) == {"low", "high"}
    own = [it for it in scans if it.case.kind in ("low", "")]
    maps, truth = flat(own)
    assert where.kinds["low"]["voxel_ap"] == pytest.approx(
        exact.average_precision_score(truth, maps), rel=0.01
    )
    scores, abnormal = [it.finding.score for it in own], [not it.case.normal for it in own]
    assert where.kinds["low"]["scan_auroc"] == exact.roc_auc_score(abnormal, scores)


def test_slices_and_scans_are_ranked_as_scikit_learn_ranks_them(where, scans):
    scores = np.concatenate([it.finding.slice_scores for it in scans])
    abnormal = np.concatenate([it.truth.any(axis=(1, 2)) for it in scans])
    assert where.metrics["slice_auroc"] == pytest.approx(exact.roc_auc_score(abnormal, scores))
    assert where.metrics["slice_ap"] == pytest.approx(
        exact.average_precision_score(abnormal, scores)
    )
    peaks = np.concatenate([it.finding.anomaly_map.max(axis=(1, 2)) for it in scans])
    by_peak = where.metrics["slice_peak_auroc"]
    assert by_peak == pytest.approx(exact.roc_auc_score(abnormal, peaks))
    assert by_peak != where.metrics["slice_auroc"]


def test_lesions_are_those_of_scipy(where, scans):
    found, count, false = 0, 0, 0
    for it in scans:
        labels, components = ndimage.label(it.truth, np.ones((3, 3, 3)))
        found += len(np.unique(labels[it.finding.mask & it.truth]))
        count += components
        own, components = ndimage.label(it.finding.mask, np.ones((3, 3, 3)))
        false += components - len(np.unique(own[it.finding.mask & it.truth]))
    assert 0 < found < count
    assert where.metrics["lesions"] == count == len(where.lesions)
    assert where.metrics["lesion_sensitivity"] == pytest.approx(found / count)
    assert where.metrics["false_lesions_per_scan"] == pytest.approx(false / len(scans))


def test_classes_of_size_share_out_all_lesions_and_all_false_ones(where):
    assert sum(it["lesions"] for it in where.sizes.values()) == where.metrics["lesions"]
    for name, row in where.sizes.items():
        own = [it for it in where.lesions if it.size_class == name]
        assert row["lesions"] == len(own)
        if own:
            assert row["lesion_sensitivity"] == np.mean([it.found for it in own])
    false = sum(it["false_lesions_per_scan"] for it in where.sizes.values())
    assert false == pytest.approx(where.metrics["false_lesions_per_scan"])


@pytest.mark.parametrize(
    ("voxels", "voxel_ml", "expected"),
    [
        (24, 0.002, "below 0.05 ml"),
        (25, 0.002, "0.05 to 0.1 ml"),
        (50, 0.002, "0.1 ml and more"),
        (1, None, "below 2 px"),
        (9, None, "2 to 10 px"),
        (10, None, "10 px and more"),
    ],
)
def test_a_class_begins_where_the_one_before_ends(voxels, voxel_ml, expected):
    assert size_class(voxels, voxel_ml, CONFIG) == expected


def test_a_lesion_that_is_not_covered_enough_is_not_found():
    truth, anomaly_map = np.zeros(SPATIAL, bool), np.zeros(SPATIAL, np.float32)
    truth[2, 2:6, 2:6] = True
    anomaly_map[2, 2:4, 2:6] = 9  # half of it
    scans = [scan(anomaly_map, truth)]
    for share, found in ((0.0, 1.0), (0.5, 1.0), (0.51, 0.0)):
        where = located(scans, replace(CONFIG, lesion_found_share=share))
        assert where.metrics["lesion_sensitivity"] == found
    (lesion,) = where.lesions
    assert (lesion.covered, lesion.volume_ml) == (0.5, 16 * 0.002)


def test_the_peak_hits_or_misses():
    truth = np.zeros(SPATIAL, bool)
    truth[3, 4, 5] = True
    hit, miss = np.zeros(SPATIAL, np.float32), np.zeros(SPATIAL, np.float32)
    hit[3, 4, 5] = miss[0, 0, 0] = 9
    nothing = np.zeros(SPATIAL, bool)
    scans = [scan(hit, truth), scan(hit, truth), scan(miss, truth), scan(hit, nothing)]
    assert located(scans).metrics["peak_hit_rate"] == pytest.approx(2 / 3)


def test_how_often_an_empty_mask_is_right_is_counted_for_scans_and_slices():
    ill, nothing = np.zeros(SPATIAL, bool), np.zeros(SPATIAL, bool)
    ill[1:3, 4:8, 4:8] = True
    quiet = np.zeros(SPATIAL, np.float32)
    seen = np.where(ill, np.float32(9), np.float32(0))
    seen[2] = 0  # of the two slices with a lesion one is seen
    scans = [scan(seen, ill), scan(quiet, ill), scan(quiet, nothing), scan(seen, nothing)]
    metrics = located(scans).metrics
    assert metrics["empty_is_right_scans"] == 1 / 2  # two empty masks, one of a healthy scan
    assert metrics["healthy_is_empty_scans"] == 1 / 2
    assert metrics["abnormal_is_not_empty_scans"] == 1 / 2
    # 24 slices, 4 with a lesion; masks in 2, of which 1 is right: of 22 empty ones 19 are healthy.
    assert metrics["empty_is_right_slices"] == pytest.approx(19 / 22)
    assert metrics["healthy_is_empty_slices"] == pytest.approx(19 / 20)
    assert metrics["abnormal_is_not_empty_slices"] == pytest.approx(1 / 4)


def test_slices_without_foreground_are_not_counted(scans):
    inside = np.ones(SPATIAL, bool)
    inside[:2] = False  # where there is never a lesion
    cut = [replace(it, finding=replace(it.finding, foreground=inside)) for it in scans]
    scores = np.concatenate([it.finding.slice_scores[2:] for it in scans])
    abnormal = np.concatenate([it.truth.any(axis=(1, 2))[2:] for it in scans])
    found = located(cut).metrics["slice_auroc"]
    assert found == pytest.approx(exact.roc_auc_score(abnormal, scores))


def test_slices_that_are_not_looked_at_are_not_measured(scans):
    looked = range(3, 6)
    cut = [
        replace(
            it,
            slices=looked,
            finding=replace(
                it.finding,
                slice_scores=it.finding.slice_scores[3:],
                images=it.finding.images[3:],
            ),
        )
        for it in scans
    ]
    shorter = [
        scan(
            it.finding.anomaly_map[3:],
            it.truth[3:],
            name=it.case.scan.name.split(".")[0],
            group=it.case.group,
            kind=it.case.kind,
            score=it.finding.score,
        )
        for it in scans
    ]
    # Small lesions are dropped, and peaks looked for, before the slices are left out.
    found, expected = (
        {name: value for name, value in located(it).metrics.items() if "voxel" in name}
        for it in (cut, shorter)
    )
    assert found == expected
    assert located(cut).metrics["slice_auroc"] == located(shorter).metrics["slice_auroc"]


def test_a_lesion_in_slices_that_are_not_looked_at_is_not_measured_and_that_is_said():
    truth = np.zeros(SPATIAL, bool)
    truth[0, 4, 4] = True
    unseen = replace(scan(np.zeros(SPATIAL, np.float32), truth), slices=range(2, 6))
    found = located([unseen])
    assert found.metrics["scans_not_measured"] == 1
    assert "does not look at" in found.scans[0].not_measured


def test_a_model_that_scores_no_slices_has_them_ranked_by_the_highest_of_their_map(scans):
    of_volume = {
        "slice_scores": np.ones(1, np.float32),
        "images": np.zeros((1, 1, 4, 4, 4), np.float32),
    }
    whole = [replace(it, finding=replace(it.finding, **of_volume)) for it in scans]
    scores = np.concatenate([it.finding.anomaly_map.max(axis=(1, 2)) for it in scans])
    abnormal = np.concatenate([it.truth.any(axis=(1, 2)) for it in scans])
    found = located(whole).metrics["slice_auroc"]
    assert found == pytest.approx(exact.roc_auc_score(abnormal, scores))


def test_a_scan_of_unknown_truth_changes_nothing_and_is_said_not_to_be_measured(where, scans):
    unknown = scan(np.full(SPATIAL, 5, np.float32), None, name="unknown", normal=False)
    found = located([*scans, unknown])
    assert found.metrics == where.metrics | {"scans_not_measured": 1}
    assert where.metrics["scans_not_measured"] == 0
    assert found.scans[-1].truth is None
    assert "no mask" in found.scans[-1].not_measured


def test_normal_scans_alone_have_false_lesions_and_no_dice(scans):
    metrics = located([it for it in scans if it.case.normal]).metrics
    assert metrics["false_lesions_per_scan"] > 0
    assert not {"dice", "voxel_ap", "scan_auroc", "lesion_sensitivity"} & set(metrics)


def test_no_scan_at_all_has_no_metrics():
    assert located([]).metrics == {
        "scans_measured": 0,
        "scans_not_measured": 0,
        "groups_with_lesions": 0,
        "lesions": 0,
    }


def test_pictures_are_measured_in_pixels():
    truth, anomaly_map = np.zeros((12, 15), bool), np.zeros((12, 15), np.float32)
    truth[3:6, 3:6] = True
    anomaly_map[3:6, 3:7] = 9
    where = located([scan(anomaly_map, truth), scan(np.zeros((12, 15), "f4"), truth & False)])
    assert where.metrics["dice"] == pytest.approx(2 * 9 / (12 + 9))
    assert all(name.endswith(("px", "px and more")) for name in where.sizes)
    assert where.sizes["2 to 10 px"] == {
        "lesions": 1,
        "lesion_sensitivity": 1.0,
        "false_lesions_per_scan": 0.0,
    }
    # No false lesion of a size is a result, and the best.
    others = [it for name, it in where.sizes.items() if name != "2 to 10 px"]
    assert others == [{"lesions": 0, "false_lesions_per_scan": 0.0}] * len(others)
    assert others
    assert where.metrics["slice_auroc"] == 1.0


def test_of_a_scan_no_voxels_are_kept(scans):
    """Memory does not grow with volumes: a larger one of as many values takes no more."""
    large = scan(
        *(np.repeat(it, 8, axis=2) for it in (scans[0].finding.anomaly_map, scans[0].truth))
    )
    localiser = Localiser(MANIFEST, {}, CONFIG)
    for it in (scans[0], large):
        localiser.add(it)
    small, grown = (it.truth.pixels.bins.nbytes for it in localiser.scans)
    assert grown == small


@pytest.mark.parametrize(
    "wrong",
    [
        {"lesion_sizes_ml": ()},
        {"lesion_sizes_px": (5.0, 5.0)},
        {"lesion_sizes_ml": (0.0, 1.0)},
        {"lesion_found_share": 1.5},
        {"montage_slices": -1},
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(CONFIG, **wrong)
