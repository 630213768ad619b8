import numpy as np
import pytest

from export.evaluation import Evaluation, ScanRow
from export.panels import Panels
from export.table import Compared, to_csv, to_markdown, verdicts
from train.metrics import Interval

NOTHING = np.zeros((0, 1, 2, 2), np.float16)
NO_PANELS = Panels(
    image=NOTHING, reconstruction=NOTHING, anomaly_map=NOTHING, mask=NOTHING, truth=NOTHING
)


def row(name, auroc, *, seconds=None, half_width=0.02, **others):
    values = {"auroc": auroc, **others}
    metrics = {
        metric: Interval(value=it, low=it - half_width, high=it + half_width)
        for metric, it in values.items()
    }
    evaluation = Evaluation(
        name=name,
        rows=[],
        metrics=metrics,
        score_threshold=0.5,
        map_threshold=0.5,
        panels=NO_PANELS,
    )
    return Compared(evaluation=evaluation, fit_seconds=seconds, in_words="")


def test_a_baseline_that_is_as_good_is_named_with_its_worth():
    (sentence,) = verdicts([row("cae", 0.8, seconds=1.0), row("random", 0.5), row("mean", 0.8)])
    assert "no better than the trivial mean (0.800)" in sentence


def test_overlapping_intervals_are_called_overlapping():
    (sentence,) = verdicts([row("cae", 0.83, seconds=1.0), row("mean", 0.8)])
    assert "overlaps" in sentence


def test_a_clear_lead_is_called_a_lead():
    (sentence,) = verdicts([row("cae", 0.95, seconds=1.0), row("mean", 0.8)])
    assert sentence.startswith("cae (AUROC 0.950) is ahead of every trivial baseline; ")


def test_a_baseline_better_on_pixels_is_named_though_it_is_worse_on_scans():
    rows = [row("cae", 0.95, seconds=1.0, pixel_ap=0.2), row("mean", 0.8, pixel_ap=0.3)]
    assert (
        "On pixels cae (AP 0.200) is no better than the trivial mean (0.300)" in verdicts(rows)[1]
    )


def test_the_csv_is_empty_where_a_metric_does_not_exist():
    first, second = to_csv([row("cae", 0.5, seconds=2.04)]).splitlines()
    assert first == (
        "method,auroc,average_precision,accuracy,recall,precision,f1,specificity,"
        "pixel_ap,dice,best_dice,psnr,fit_seconds"
    )
    assert second == "cae,0.5,,,,,,,,,,,2.0"


@pytest.mark.parametrize("metric", ["auroc", "psnr"])
def test_the_readable_copy_shows_intervals(metric):
    rows = [row("cae", 0.5, seconds=1.0, psnr=20.0)]
    text = to_markdown(rows, study="s", confidence=0.95, resamples=10, variants={}, leaks=[])
    assert {"auroc": "0.500 [0.48, 0.52]", "psnr": "20.00 [20.0, 20.0]"}[metric] in text


def test_what_a_variants_fit_time_leaves_out_is_said():
    rows = [row("fanogan-izi", 0.9, seconds=1.0), row("mean", 0.8)]
    text = to_markdown(
        rows, study="s", confidence=0.95, resamples=5, variants={"fanogan-izi": "fanogan"}, leaks=[]
    )
    assert "`fit_seconds` of fanogan-izi, in the CSV file, leaves out" in text


def test_what_else_tells_the_labels_is_said_among_the_results():
    rows = [row("cae", 0.9, seconds=1.0), row("mean", 0.8)]
    leak = "The size of a scan tells its label."
    text = to_markdown(rows, study="s", confidence=0.9, resamples=5, variants={}, leaks=[leak])
    shown, _ = text.split("## How to read it")
    assert f"- {leak}" in shown


@pytest.mark.parametrize(("groups", "told"), [("aabb", ""), ("abab", "2 of 2"), ("abcb", "1 of 3")])
def test_what_groups_of_both_labels_do_to_intervals_is_said(groups, told):
    model = row("cae", 0.8, seconds=1.0)
    labels = ("normal", "normal", "abnormal", "abnormal")
    scans = [
        ScanRow(
            scan=str(at), group=group, label=label, score=0.0, anomalous=False,
            normal_percentile=0.0, lesions=0, mask_px=0, truth_px=None, overlap_px=None,
            psnr_db=None,
        )
        for at, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]  # fmt: skip
    model.evaluation.rows.extend(scans)
    text = to_markdown([model], study="tiny", confidence=0.95, resamples=5, variants={}, leaks=[])
    words = "groups hold normal and abnormal scans"
    assert (words in text) == bool(told)
    assert f"- {told} {words}" in text or not told
