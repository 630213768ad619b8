"""The files that a cross validation promises: there, and with something in them to see."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from export import crossval_report, evaluation
from export.evaluation import Evaluation, ScanRow
from export.fold_result import ScanResult
from export.panels import Panels
from tests.export import fold_results
from tests.export.tiny_pool import numbers
from train.datasets.case import Case
from train.pool import Pool
from train.protocol import CrossvalConfig
from train.stored_images import StoredImages

IMAGES = StoredImages(np.zeros((1, 1, 32, 32), np.float32), np.arange(1))
PROTOCOLS, GROUPINGS = ("study", "blind"), ("published", "grouped")
# (normal, score): with a threshold of 0.5, one scan of each outcome.
SCANS = {
    "hit.png": (False, 0.9),
    "alarm.png": (True, 0.7),
    "miss.png": (False, 0.3),
    "rejected.png": (True, 0.1),
}
SIDE = 16


def panels_of_each_outcome(method, further=0.0):
    """What a fold keeps of its test scans for the pages; of another fit, scores lie `further`."""
    draw = np.random.default_rng(len(method))
    images = draw.random((len(SCANS), 1, SIDE, SIDE), np.float32).astype(np.float16)
    mask = np.zeros((len(SCANS), SIDE, SIDE), bool)
    mask[:2, 4:9, 4:9] = True
    rows = [
        ScanRow(
            scan=name,
            group=name,
            label="normal" if normal else "abnormal",
            score=score + further,
            anomalous=score > 0.5,
            normal_percentile=50.0,
            lesions=0,
            mask_px=0,
            truth_px=None,
            overlap_px=None,
            psnr_db=None,
        )
        for name, (normal, score) in SCANS.items()
    ]
    return Evaluation(
        name=method,
        rows=rows,
        metrics={},
        score_threshold=0.5,
        map_threshold=0.5,
        panels=Panels(
            image=images,
            reconstruction=images[::-1],
            anomaly_map=np.abs(images - images[::-1])[:, 0],
            mask=mask,
            truth=mask,
        ),
    )


def as_in_panels(test):
    """The same test, of those scans."""
    scans = tuple(
        ScanResult(
            scan=name,
            group=name,
            abnormal=not normal,
            score=score,
            anomalous=score > 0.5,
            psnr=20.0 if normal else None,
            ssim=None,
        )
        for name, (normal, score) in SCANS.items()
    )
    return replace(test, scans=scans)


def results():
    """Two folds of a method and of a baseline, both halves under both protocols and groupings."""
    return [
        fold_results.fold(
            method=method,
            number=number,
            trivial=trivial,
            grouped=grouped,
            tests=[
                as_in_panels(it) if (number, half, grouped) == (0, 0, False) else it
                for protocol in PROTOCOLS
                for half in (0, 1)
                for it in [
                    fold_results.half_result(
                        protocol=protocol,
                        half=half,
                        names=f"f{number}h{half}s",
                        scores=[0.1, 0.2, 0.6, 0.4, 0.7, 0.8 + 0.1 * number],
                    )
                ]
            ],
        )
        for method, trivial in (("cae", False), ("random", True))
        for grouped in (False, True)
        for number in (0, 1)
    ]


def without_history(result):
    return replace(result, history={}) if result.trivial else result


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Written into the working directory from folds made by hand."""
    cases = [
        Case(scan=Path(f"{kind}{at}.png"), group=f"{at // 2}", normal=kind == "normal", mask=None)
        for kind in ("normal", "abnormal")
        for at in range(6)
    ]
    pool = Pool(cases=cases, rows=[], images=IMAGES, hash="images")
    folder = Path("reports/tiny/crossval")
    params = numbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("report"))
        patch.setattr(crossval_report, "DPI", 30)
        for case in cases:
            cv2.imwrite(str(case.scan), np.zeros((SIDE, SIDE), np.uint8))
        for protocol in PROTOCOLS:
            # Of `random` there are those of another fit, of `ssae` no results.
            for method, further in (("cae", 0.0), ("random", 0.01), ("ssae", 0.0)):
                kept = folder / "panels" / protocol / method
                panels = panels_of_each_outcome(method, further)
                evaluation.save(kept, kept / "metrics.json", panels)
        yield crossval_report.write(
            params,
            params.block(CrossvalConfig, "crossval"),
            [without_history(it) for it in results()],
            pool,
            folder,
            missing=[],
        )


def test_where_metrics_are_all_else_is_of_the_same_model(tmp_path, monkeypatch):
    """Written anew and interrupted: those of the model before do not stand beside new pictures."""
    metrics = tmp_path / "metrics.json"
    evaluation.save(tmp_path, metrics, panels_of_each_outcome("cae"))
    assert metrics.exists()

    def killed(path, **panels):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluation.save(tmp_path, metrics, panels_of_each_outcome("ssae"))
    assert not metrics.exists()


def test_it_says_where_no_scans_are_known_to_belong_together(report):
    def pool_of(*groups):
        cases = [
            Case(scan=Path(f"{it}.png"), group=group, normal=True, mask=None)
            for it, group in enumerate(groups)
        ]
        return Pool(cases=cases, rows=[], images=IMAGES, hash="images")

    assert "group of its own" not in report.text
    (said,) = crossval_report.without_groups(pool_of("a", "b", "c"))
    assert "Every scan is a group of its own" in said
    assert crossval_report.without_groups(pool_of("a", "b", "a")) == []


def test_there_are_curves_of_every_protocol_and_grouping_and_of_every_fit(report):
    each = {
        f"{what}_{protocol}_{grouping}.png"
        for what in ("scores", "roc", "f1")
        for protocol in PROTOCOLS
        for grouping in GROUPINGS
    }
    assert {it.name for it in report.curves} == {*each, "training_cae.png"}


def test_there_are_pages_of_every_method_with_results_and_all_of_them_side_by_side(report):
    each = {f"cae_{protocol}{ending}" for protocol in PROTOCOLS for ending in (".html", ".png")}
    together = {f"side_by_side_{protocol}.png" for protocol in PROTOCOLS}
    assert {it.name for it in report.pages} == each | together


def test_a_study_whose_folds_all_keep_groups_together_has_pages_of_those(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crossval_report, "DPI", 30)
    for name in SCANS:
        cv2.imwrite(name, np.zeros((SIDE, SIDE), np.uint8))
    kept = tmp_path / "panels/study/cae"
    evaluation.save(kept, kept / "metrics.json", panels_of_each_outcome("cae"))
    test = as_in_panels(
        fold_results.half_result(
            protocol="study", half=0, names="s", scores=[0.1, 0.2, 0.6, 0.4, 0.7, 0.8]
        )
    )
    grouped = fold_results.fold(method="cae", number=0, trivial=False, grouped=True, tests=[test])
    config = numbers().block(CrossvalConfig, "crossval")

    def pages(*groupings):
        own = replace(config, grouped=groupings)
        return [it.name for it in crossval_report._pages(tmp_path, own, [grouped])]

    assert "cae_study.html" in pages(True)
    assert pages(False, True) == []


def test_there_are_all_tables(report):
    expected = {"crossval.csv", "folds.csv", "tests.csv", "crossval.md", "groups.csv"}
    assert {it.name for it in report.tables} == expected
    assert all(it.read_text().count("\n") > 1 for it in report.tables if it.name != "tests.csv")


def test_every_picture_shows_something(report):
    pictures = [it for it in report.files if it.suffix == ".png"]
    assert len(pictures) == 13 + 4
    for path in pictures:
        picture = cv2.imread(str(path))
        assert min(picture.shape[:2]) > 50, path
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20, path


def test_a_page_shows_every_scan_and_how_it_was_judged(report):
    (page,) = (it for it in report.pages if it.name == "cae_study.html")
    text = page.read_text()
    assert all(name in text for name in SCANS)
    assert text.count("<img") >= len(SCANS)


def test_what_has_pixels_of_scans_is_never_among_what_the_repository_keeps(report):
    assert not {*report.pages} & {*report.tables, *report.curves}
    assert report.files == [*report.tables, *report.curves, *report.pages]
