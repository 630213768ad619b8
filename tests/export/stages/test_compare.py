"""What `compare` sets beside the models, and which of them it takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.calibration import ExportConfig
from export.evaluation import Evaluation, ScanRow
from export.stages import compare
from infer.digest import digest_of
from infer.errors import BadModelError
from infer.manifest import Threshold
from tests.export.test_table import NO_PANELS
from tests.infer.tiny_model import MANIFEST, write_tiny_model
from train.datasets.case import Case
from train.params import Params, load
from train.stored_images import StoredImages

ROOT = Path(__file__).parents[3]
TEST = [
    Case(scan=Path("scans/a.png"), group="a", normal=True, mask=None),
    Case(scan=Path("scans/b.png"), group="b", normal=False, mask=None),
]


def evaluated(*rows):
    """A report on these scans: (scan, group, label)."""
    numbers = dict.fromkeys(ScanRow._fields[3:], 0)
    return Evaluation(
        name="cae",
        rows=[ScanRow(*row, **numbers) for row in rows],
        metrics={},
        score_threshold=0.0,
        map_threshold=0.0,
        panels=NO_PANELS,
    )


def test_a_model_that_was_evaluated_on_these_scans_is_taken():
    rows = [("scans/a.png", "a", "normal"), ("scans/b.png", "b", "abnormal")]
    compare.refuse_other_test(evaluated(*rows), TEST)


@pytest.mark.parametrize(
    "rows",
    [
        [("scans/a.png", "a", "normal")],
        [("scans/a.png", "a", "normal"), ("scans/c.png", "c", "abnormal")],
        [("scans/a.png", "a", "normal"), ("scans/b.png", "b", "normal")],
    ],
    ids=["fewer", "others", "another label"],
)
def test_numbers_of_another_test_are_not_set_beside_these_baselines(rows):
    with pytest.raises(BadModelError, match=r"cae was evaluated on \d other test scans") as refused:
        compare.refuse_other_test(evaluated(*rows), TEST)
    assert "evaluate cae again" in refused.value.hint


def test_numbers_of_an_earlier_file_or_of_other_rules_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {"study": "study", "export": load(ROOT / "params.yaml").values["export"]}
    params = Params("params.yaml", values)
    config = params.block(ExportConfig, "export")
    manifest = replace(
        MANIFEST,
        method="cae",
        anomalous_by=config.anomalous_by,
        aggregation=config.aggregation,
        postprocessing=config.postprocessing,
        score_threshold=Threshold(value=0.5, chosen_by="best F1 (1.000) on 3 validation scans"),
        map_threshold=Threshold(
            value=0.5,
            chosen_by=f"false-positive rate {config.map_false_positive_rate:g} on 9 pixels",
        ),
    )
    path = Path("models/study/cae.onnx")
    path.parent.mkdir(parents=True)
    found = replace(evaluated(), model_sha256="0" * 64)
    compare.refuse_other_file(params, found)  # no file is there that it could not be of
    write_tiny_model(path, manifest)
    with pytest.raises(BadModelError, match="cae was evaluated before"):
        compare.refuse_other_file(params, found)
    compare.refuse_other_file(params, replace(found, model_sha256=digest_of(path)))
    for changed in (
        {"score_threshold": 0.05},
        {"map_false_positive_rate": 0.2},
        {"postprocessing": {**values["export"]["postprocessing"], "smallest_lesion_px": 500}},
    ):
        other = Params("params.yaml", {**values, "export": {**values["export"], **changed}})
        (name,) = changed
        with pytest.raises(BadModelError, match=rf"export\.{name} has changed since"):
            compare.refuse_other_file(other, replace(found, model_sha256=digest_of(path)))


def test_a_model_that_was_not_evaluated_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = Path("reports/study/fit/cae.json")
    with pytest.raises(BadModelError, match=f"there is no {report}") as refused:
        compare.load_model("study", "cae", fits=("cae",))
    assert "train.stages.fit" in refused.value.hint
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    with pytest.raises(BadModelError, match=r"there is no .*cae_where\.csv") as refused:
        compare.load_model("study", "cae", fits=("cae",))
    assert "export.stages.evaluate" in refused.value.hint


@pytest.mark.parametrize(
    ("report", "noted"),
    [('{"shared_networks": true}', True), ('{"shared_networks": false}', False), ("{}", True)],
)
def test_what_a_variant_took_over_is_said_of_one_that_did(tmp_path, monkeypatch, report, noted):
    """Reports of before it was noted are of further encoders of fanogan, which all did."""
    monkeypatch.chdir(tmp_path)
    path = Path("reports/study/fit/fanogan-izi.json")
    path.parent.mkdir(parents=True)
    path.write_text(report)
    assert compare._took_over("study", "fanogan-izi") == noted


def test_baselines_know_normal_training_images_only(monkeypatch):
    """Methods that learn from labels train on abnormal ones, too."""
    normal = np.full((6, 1, 8, 8), 0.3, np.float32)
    images = np.concatenate([normal, np.full((20, 1, 8, 8), 0.9, np.float32)])
    stored = StoredImages(images, np.arange(26)), np.arange(26) >= 6
    monkeypatch.setattr(compare, "open_images", lambda study, split: stored)
    trivial = {it.name: it for it in compare.trivial_rows("study")}
    assert trivial["mean_image"].run(normal[:1]).anomaly_map.max() < 1e-3
