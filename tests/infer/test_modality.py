"""A scan of another modality than the model's is scored, and not without a word."""

from dataclasses import replace

import numpy as np
import pytest

import infer
from infer.intensity import Intensity
from infer.modality import warnings_of
from tests.infer.dicom_files import base, saved, series, with_pixels
from tests.infer.test_batch import report, run
from tests.infer.tiny_model import MANIFEST, write_tiny_model

FOREIGN = "it is MR, the model was made for CT"


def brain(seed=0):
    return np.random.default_rng(seed).normal(1050, 2, (5, 40, 36)).round().astype(int)


@pytest.fixture
def ward(tmp_path):
    """A series of each modality, and one that says none."""
    folder = tmp_path / "ward"
    series(folder / "ct", brain())
    series(folder / "mr", brain(), modality="MR")
    series(folder / "unsaid", brain(), modality="")
    return folder


def warnings(ward, model, out):
    run(ward, model, out)
    rows = report(out)
    assert {row["status"] for row in rows.values()} == {"ok"}
    return {scan: row["warning"] for scan, row in rows.items()}


def test_a_series_of_another_modality_is_scored_with_a_warning(ward, tiny_model, tmp_path):
    found = warnings(ward, tiny_model, tmp_path / "out")
    assert found == {"ct": "", "mr": FOREIGN, "unsaid": ""}


def test_so_it_is_where_each_scan_is_scaled_by_its_own_values(ward, tmp_path):
    shares = Intensity(recipe="percentile", low=1.0, high=99.0, output_low=0.0, output_high=1.0)
    manifest = replace(MANIFEST, modality="MR", intensity=shares)
    model = write_tiny_model(tmp_path / "mr.onnx", manifest)
    found = warnings(ward, model, tmp_path / "out")
    assert found == {"ct": "it is CT, the model was made for MR", "mr": "", "unsaid": ""}


def test_it_follows_what_was_wrong_with_the_series_itself(ward, tiny_model, tmp_path):
    for file in (ward / "mr").iterdir():
        (file.parent / f"{file.name}-again").write_bytes(file.read_bytes())
    found = warnings(ward, tiny_model, tmp_path / "out")
    assert found["mr"] == f"5 slices are there twice and equal: each was scored once; {FOREIGN}"


def test_formats_that_do_not_say_have_no_warning(scans, tiny_model, tmp_path):
    assert set(warnings(scans, tiny_model, tmp_path / "out").values()) == {""}


def test_the_finding_in_python_has_the_same_warning(ward, tiny_model):
    assert infer.load(tiny_model, device="cpu").score(ward / "mr").warnings == (FOREIGN,)


def test_a_word_that_is_no_modality_is_not_repeated(tiny_model, tmp_path):
    dataset = with_pixels(base(modality="KOWALCZYK"), brain()[0] - 1020)
    saved(dataset, tmp_path / "ward/a.dcm")
    assert warnings(tmp_path / "ward", tiny_model, tmp_path / "out") == {"a.dcm": ""}


@pytest.mark.parametrize(
    ("modality", "made_for"),
    [("CT", "CT"), ("CT", "ct"), ("OP", "fundus"), ("MR", "MRI"), ("DX", "CR"), ("CR", "X-ray")],
)
def test_a_model_may_call_its_modality_by_another_name(modality, made_for):
    assert warnings_of(modality, made_for=made_for) == ()


def test_a_name_that_is_not_known_is_of_another_modality():
    said = ("it is MR, the model was made for something else",)
    assert warnings_of("MR", made_for="something else") == said
