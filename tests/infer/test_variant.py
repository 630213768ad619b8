"""A file in int8: what is said of it wherever it is run, and what may be asked of it."""

import csv
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from infer import load
from infer.cli import app
from infer.engine import read_manifest
from infer.errors import UnknownChoiceError
from infer.manifest import from_json, to_json
from tests.infer.tiny_model import MANIFEST, VARIANT, write_tiny_model, write_tiny_scans


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_tiny_scans(tmp_path_factory.mktemp("scans") / "scans", pictures=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """What stands in the manifest decides, and the graph is whatever it is."""
    path = tmp_path_factory.mktemp("model") / "tiny.int8.onnx"
    return write_tiny_model(path, replace(MANIFEST, variant=VARIANT))


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(it) for it in arguments])


@pytest.mark.parametrize("device", ["auto", "cpu", "openvino"])
@pytest.mark.parametrize("asked", [[], ["--precision", "int8"]], ids=["not asked", "asked"])
def test_the_record_of_a_run_says_what_the_file_is(scans, model, tmp_path, device, asked):
    out = tmp_path / "out"
    options = ["--model", model, "--out", out, "--device", device, "--workers", 1, *asked]
    done = uad_infer(scans, *options)
    assert done.exit_code == 0, done.output
    run = json.loads((out / "run.json").read_text())
    assert run["model"]["variant"]["of"] == VARIANT.of
    assert run["device"]["precision"] == run["options"]["precision"] == "int8"
    change = run["device"]["precision_change"]
    assert change["fp32"] == {"score": 0.5, "peak_value": 0.625}
    here = read_manifest(model).self_test
    assert change["int8"] == pytest.approx({"score": here.score, "peak_value": here.peak_value})
    assert "int8 instead of fp32: on the built-in phantom the score is" in done.output


def test_asked_for_by_name_or_not_is_the_same_run(scans, model, tmp_path):
    options = ["--model", model, "--out", tmp_path / "out", "--device", "cpu", "--workers", 1]
    uad_infer(scans, *options)
    again = uad_infer(scans, *options, "--precision", "int8")
    assert "3 were done by an earlier run with the same settings" in again.output


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_another_precision_is_refused_and_nothing_is_written(scans, model, tmp_path, precision):
    out = tmp_path / "out"
    refused = uad_infer(scans, "--model", model, "--out", out, "--precision", precision)
    assert refused.exit_code == 2
    assert f"precision {precision} cannot be had of a file in int8" in refused.stderr
    assert not out.exists()
    with pytest.raises(UnknownChoiceError, match="of a file in int8"):
        load(model, device="cpu", precision=precision)


def test_int8_runs_only_where_it_was_accepted(scans, tmp_path):
    variant = replace(VARIANT, accepted_on=("cpu",))
    model = write_tiny_model(tmp_path / "m.onnx", replace(MANIFEST, variant=variant))
    options = ["--model", model, "--out", tmp_path / "out", "--device", "openvino"]
    refused = uad_infer(scans, *options)
    assert refused.exit_code == 2
    assert "precision int8 cannot be had with device openvino" in refused.stderr
    assert replace(variant, precision="fp16").runs_on == ("cpu", "cuda", "tensorrt", "openvino")


def test_the_self_test_is_the_files_own(model):
    assert "on cpu in int8" in uad_infer("--self-test", "--model", model, "--device", "cpu").output


def test_it_is_described(model):
    said = " ".join(uad_infer("--describe", model).output.split())
    assert "in int8, of file abababababab in fp32: static quantisation" in said
    assert "left in float: node_conv_7" in said
    assert "correlation of scores with that file's 0.99410, AUROC 0.871 (that file's 0.874)" in said
    assert "2 decided otherwise; accepted on cpu, openvino" in said
    assert "from the file in fp32" in said


def test_manifests_before_schema_5_are_of_files_in_fp32(tmp_path):
    said = json.loads(to_json(replace(MANIFEST, schema=4)))
    del said["variant"]
    assert from_json(json.dumps(said), where="old.onnx").variant is None


def test_scores_are_those_of_the_file(scans, model, tmp_path):
    out = tmp_path / "out"
    uad_infer(scans, "--model", model, "--out", out, "--device", "cpu", "--workers", 1)
    with (out / "report.csv").open(newline="") as table:
        rows = {row["scan"]: float(row["score"]) for row in csv.DictReader(table)}
    found = load(model, device="cpu").score(scans / "lesion.nii.gz").score
    assert rows["lesion.nii.gz"] == pytest.approx(found, rel=1e-5)
