"""Each step of postprocessing with a threshold of its own, from one run of the engine."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest

from export import measured
from export.ablation import manifests_of, steps_of
from export.calibration import BY_ODDS, map_threshold_at
from export.measured import is_measurable, measure, recalibrate
from export.scan_scores import score_scans, score_under
from export.where_config import WhereConfig
from infer.engine_batches import EngineOutputs
from infer.manifest import Threshold
from infer.masking import Postprocessing
from tests.export.tiny_graph import TINY_MANIFEST
from train.datasets.case import Case
from train.metrics import Bootstrap

FULL = Postprocessing(
    foreground="stripped",
    median="volume",
    median_px=3,
    gaussian="volume",
    gaussian_px=0.7,
    erosion_radius_px=1,
    prior="bright",
    prior_share=0.5,
    closing_radius_px=1,
    smallest_lesion_px=4,
)
MANIFEST = replace(
    TINY_MANIFEST, postprocessing=FULL, map_threshold=Threshold(value=0.6, chosen_by="hand")
)
CONFIG = WhereConfig(
    ablate_postprocessing=True,
    lesion_sizes_ml=(1.0,),
    lesion_sizes_px=(1.0,),
    lesion_found_share=0.0,
    montage_slices=2,
)
FEW = Bootstrap(resamples=1, confidence=0.5, seed=0)


class Counting:
    """Map = the image, score = its maximum; counts the images it was shown."""

    def __init__(self):
        self.seen = 0

    def run(self, images) -> EngineOutputs:
        self.seen += len(images)
        return EngineOutputs(
            anomaly_map=images,
            score=images.max(axis=(1, 2, 3)),
            reconstruction=images,
            score_parts={},
        )


def head(folder, name, *, normal, seed):
    """A stripped head of noise; of an abnormal one, some slices have a bright lesion."""
    voxels = np.random.default_rng(seed).normal(40, 8, (20, 22, 8)).astype(np.float32)
    voxels[:2] = voxels[-2:] = -20
    mask = np.zeros(voxels.shape, np.uint8)
    if not normal:
        mask[8:14, 8:14, 2:5] = 1
        voxels[mask > 0] += 20
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / f"{name}_mask.nii.gz")
    path = folder / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return Case(
        scan=path,
        group=name,
        normal=normal,
        mask=None if normal else folder / f"{name}_mask.nii.gz",
    )


@pytest.fixture
def heads(tmp_path):
    return [
        head(tmp_path, f"h{at}", normal=normal, seed=at)
        for at, normal in enumerate((True, True, False, False))
    ]


def test_steps_add_up_in_their_order_to_what_ships():
    steps = steps_of(FULL)
    assert list(steps) == [
        "none",
        "median of volume 3",
        "gaussian of volume 0.7",
        "erosion 1",
        "prior bright 0.5",
        "closing 1",
        "smallest lesion 4",
    ]
    bare, *_, last = steps.values()
    assert last == FULL
    assert bare == Postprocessing(
        closing_radius_px=0,
        smallest_lesion_px=0,
        foreground="stripped",
        prior_share=0.5,
        gaussian_px=0.7,
    )


def test_a_prior_that_comes_before_the_median_is_the_step_before_it():
    names = list(steps_of(replace(FULL, prior_first=True)))
    assert names[1:3] == ["prior bright 0.5", "median of volume 3"]


def test_steps_that_are_off_are_left_out():
    plain = Postprocessing(closing_radius_px=0, smallest_lesion_px=9)
    assert list(steps_of(plain)) == ["none", "smallest lesion 9"]


def test_findings_under_several_manifests_are_those_under_each_and_the_engine_runs_once(heads):
    manifests = [*manifests_of(MANIFEST).values(), MANIFEST]
    engine = Counting()
    together = list(score_under(heads, manifests, engine))
    once = engine.seen
    for at, manifest in enumerate(manifests):
        for under, alone in zip(together, score_scans(heads, manifest, Counting()), strict=True):
            np.testing.assert_array_equal(under[at].finding.anomaly_map, alone.finding.anomaly_map)
            np.testing.assert_array_equal(under[at].finding.mask, alone.finding.mask)
            assert under[at].finding.lesions == alone.finding.lesions
    engine = Counting()
    list(score_scans(heads, MANIFEST, engine))
    assert once == engine.seen


def test_every_step_lets_one_percent_of_the_normal_foreground_through_its_own_map(heads):
    found = recalibrate(heads[:2], MANIFEST, manifests_of(MANIFEST), Counting(), "scans")
    for manifest in found.steps.values():
        inside = np.concatenate(
            [
                it.finding.anomaly_map[it.finding.foreground]
                for it in score_scans(heads[:2], manifest, Counting())
            ]
        )
        above = (inside > manifest.map_threshold.value).mean()
        assert above == pytest.approx(0.01, abs=2 / len(inside))
    steps = list(found.steps.values())
    assert steps[0].map_threshold.value > steps[1].map_threshold.value  # a median calms
    assert steps[-1].map_threshold == steps[-2].map_threshold  # what follows cleans the mask only
    values = [
        it.finding.anomaly_map[it.finding.foreground]
        for it in score_scans(heads[:2], MANIFEST, Counting())
    ]
    for name, rate in (("at_1_percent", 0.01), ("at_5_percent", 0.05)):
        assert found.map_thresholds[name] == map_threshold_at(values, rate).value


def test_a_threshold_of_the_networks_own_odds_is_that_of_every_step(heads):
    by_odds = Threshold(value=0.7, chosen_by=f"{BY_ODDS} 1 that a voxel was planted")
    manifest = replace(MANIFEST, map_threshold=by_odds)
    found = recalibrate(heads[:2], manifest, manifests_of(manifest), Counting(), "scans")
    assert {it.map_threshold for it in found.steps.values()} == {by_odds}
    usual = recalibrate(heads[:2], MANIFEST, {}, Counting(), "scans")
    assert found.map_thresholds == usual.map_thresholds  # rates are told beside it, as of any other


def test_lesions_of_validation_play_no_part(heads):
    alone = recalibrate(heads[:2], MANIFEST, {}, Counting(), "scans")
    assert recalibrate(heads, MANIFEST, {}, Counting(), "scans") == alone
    assert recalibrate(heads, MANIFEST, {}, Counting(), "slices") != alone


def test_one_pass_over_the_test_scans_measures_what_ships_and_every_step(heads, tmp_path):
    further = recalibrate(heads[:2], MANIFEST, manifests_of(MANIFEST), Counting(), "scans")
    engine = Counting()
    found = measure(heads, MANIFEST, engine, further, FEW, CONFIG, montages=tmp_path / "pictures")
    once = Counting()
    list(score_scans(heads, MANIFEST, once))
    assert engine.seen == once.seen
    plain = measure(
        heads, MANIFEST, Counting(), measured.NOT_RECALIBRATED, FEW, CONFIG, montages=None
    )
    assert found.where.metrics.items() >= plain.where.metrics.items()
    assert found.evaluation.metrics == plain.evaluation.metrics
    assert [it.step for it in found.steps] == list(further.steps)
    for row in found.steps[::2]:
        step = further.steps[row.step]
        alone = measure(
            heads, step, Counting(), measured.NOT_RECALIBRATED, FEW, CONFIG, montages=None
        )
        assert row.metrics == {it: alone.where.metrics[it] for it in row.metrics}
    assert len(list((tmp_path / "pictures").glob("*.png"))) == len(heads)


def test_without_a_mask_nothing_can_be_measured(heads):
    assert is_measurable(heads)
    assert not is_measurable(heads[:2])
    assert not is_measurable([replace(heads[2], mask=None)])
