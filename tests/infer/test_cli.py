"""The command line: exit codes, the error lines, what is printed where."""

import json
import os
import shlex
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from infer import batch, cli
from infer.cli import app
from tests.infer.test_batch import report


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_all_scored_is_0_and_says_where_the_results_are(scans, tiny_model, tmp_path):
    done = uad_infer(scans, "--model", tiny_model, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "7 scans: 7 ok (3 anomalous), 0 failed" in done.stdout
    assert str(tmp_path / "out/report.csv") in done.stdout
    assert "auto: " in done.stdout


def test_nothing_is_passed_over_in_silence(scans, tiny_model, tmp_path):
    for at in range(5):
        (scans / f"broken\x1b{at}.png").write_bytes(b"")
    (scans / "brain.nrrd").write_bytes(b"NRRD")
    voxels = np.full((20, 21, 5, 2), 30, np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), scans / "several.nii.gz")
    done = uad_infer(scans, "--model", tiny_model, "--out", tmp_path / "out")
    assert "13 scans: 8 ok (3 anomalous, 1 with a warning), 5 failed" in done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert told[0].startswith("failed: broken\\x1b0.png is empty (0 bytes)")
    assert len(told) == 4
    assert told[3] == "failed: 2 more, report.csv says why of each"
    assert "1 file was left out, it is no scan known here: 1 .nrrd" in done.stdout
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert record["left_out"] == {".nrrd": 1}
    assert record["counts"]["warned"] == 1


def test_what_is_wrong_with_the_model_is_said_before_scans_are_looked_for(
    scans, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch, "scans_in", lambda *given: pytest.fail("scans were looked for"))
    done = uad_infer(scans, "--model", tmp_path / "gone.onnx", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "gone.onnx cannot be read" in done.stderr


def test_a_terminal_that_knows_few_letters_is_told_all_the_same(scans, tiny_model):
    environment = {**os.environ, "PYTHONIOENCODING": "cp437"}
    command = [sys.executable, "-m", "infer.cli", str(scans), "--list"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"40 \\xd7 50" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has other shells")
@pytest.mark.parametrize(
    "end", ["2>&-", ">&-", "<&- >&- 2>&-", ">/dev/full", "| true; exit ${PIPESTATUS[0]}"]
)
def test_whoever_does_not_listen_changes_nothing_of_a_run(scans, tiny_model, tmp_path, end):
    words = [sys.executable, "-m", "infer.cli", str(scans), "--model", str(tiny_model)]
    said = shlex.join([*words, "--device", "cpu", "--out", str(tmp_path / "out")])
    done = subprocess.run(["bash", "-c", f"{said} {end}"], check=False)
    assert done.returncode == 0
    assert len(report(tmp_path / "out")) == 7


def test_a_bug_is_no_exit_code_of_a_run_that_finished(monkeypatch, capsys):
    def bug():
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(cli, "app", bug)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.BUG
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


def test_a_failed_scan_is_1(scans, tiny_model, tmp_path):
    (scans / "text.png").write_text("hello")
    done = uad_infer(scans, "--model", tiny_model, "--out", tmp_path / "out", "--quiet")
    assert (done.exit_code, done.output) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{scans}"],
        ["{scans}", "--model", "nowhere.onnx"],
        ["nowhere", "--model", "{model}"],
        ["{scans}", "--model", "{scans}/lesion000.png"],
        ["{scans}", "--model", "{model}", "--out", "{scans}"],
        ["{scans}", "--model", "{model}", "--device", "cuda:x"],
        ["{scans}", "--model", "{model}", "--device", "cpu", "--precision", "bf16"],
        ["--self-test", "--model", "{model}", "--device", "openvino", "--precision", "int8"],
        ["--describe", "nowhere.onnx"],
        ["--self-test"],
    ],
)
def test_wrong_use_is_2_with_an_error_and_a_hint(scans, tiny_model, arguments):
    filled = [argument.format(scans=scans, model=tiny_model) for argument in arguments]
    done = uad_infer(*filled)
    assert done.exit_code == 2
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint:  ")


@pytest.mark.parametrize(
    "wrong", [["--device", "gpu"], ["--overlays", "some"], ["--workers", "0"], ["--batchsize=3"]]
)
def test_a_wrong_option_is_2(scans, tiny_model, wrong):
    assert uad_infer(scans, "--model", tiny_model, *wrong).exit_code == 2


def test_describe_says_what_a_model_is(tiny_model):
    done = uad_infer("--describe", tiny_model)
    assert done.exit_code == 0
    for fact in ("blur", "study tiny", "CT", "32 × 32", "axial", "0.45", "eye", "HU"):
        assert fact in done.stdout


def test_the_self_test_passes_on_a_model_that_works(tiny_model):
    done = uad_infer("--self-test", "--model", tiny_model)
    assert done.exit_code == 0
    assert "agrees" in done.stdout


def test_the_version_is_printed():
    done = uad_infer("--version")
    assert done.exit_code == 0
    assert done.stdout.startswith("uad-infer ")


def test_help_is_instant_and_imports_nothing_heavy():
    script = (
        "import sys; from infer.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'nibabel', 'scipy'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    command = [sys.executable, "-c", script]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    after = os.times()
    assert (done.returncode, done.stderr) == (0, "")
    assert "FOLDER" in done.stdout
    # Of the processor, not of the clock: the machine may be busy with other tests.
    seconds = sum(after[2:4]) - sum(before[2:4])
    assert seconds < 0.5


@pytest.mark.parametrize(
    ("asked", "idle", "use"),
    [
        (("scans", "--self-test", "--model", "m.onnx"), "FOLDER", "--self-test"),
        (("--self-test", "--model", "m.onnx", "--threshold", "0.9"), "--threshold", "--self-test"),
        (("--describe", "m.onnx", "--model", "m.onnx"), "--model", "--describe"),
        (("--merge", "a", "b", "--json"), "--json", "--merge"),
        (("--merge", "a", "--dicom-seg", "--list"), "--dicom-seg", "--merge"),
        (("--monitor", "a", "--overwrite"), "--overwrite", "--monitor"),
    ],
)
def test_what_a_use_of_the_command_would_not_heed_is_refused(asked, idle, use):
    done = uad_infer(*asked)
    assert done.exit_code == 2
    assert f"{idle} does nothing beside {use}" in done.stderr


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("", "--model", "m.onnx"), "is a variable of your script not set"),
        (("scans", "--model", "m.onnx", "--out", ""), "is a variable of your script not set"),
        (("scans", "--model", "m.onnx", "--out", "s3:/b/c"), "has two slashes"),
    ],
)
def test_what_names_no_place_is_refused(asked, why):
    done = uad_infer(*asked)
    assert done.exit_code == 2
    assert why in done.stderr.replace("\n", " ")


def test_addresses_reach_the_run_as_they_were_given(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "run", lambda *given, **how: seen.append(given[:3]) or 0)
    done = uad_infer("s3://b/scans/", "--model", "s3://b/m.onnx", "--out", "s3://b/out")
    assert done.exit_code == 0, done.stderr
    assert [str(it) for it in seen[0]] == ["s3://b/scans", "s3://b/m.onnx", "s3://b/out"]


@pytest.mark.parametrize("option", ["--model", "--out", "--describe"])
def test_an_address_with_a_key_is_refused_and_not_repeated(option):
    asked = [] if option == "--describe" else ["scans", "--model", "m.onnx"]
    asked += [option, "s3://AKIA:secret@bucket/a"]
    done = uad_infer(*asked)
    assert done.exit_code == 2
    assert "with a key" in done.stderr
    assert "AKIA" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("places", [("https://h/scans", "out"), ("scans", "https://h/out")])
def test_scans_and_results_are_not_on_web_servers(places, scans, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = uad_infer(places[0], "--model", tiny_model, "--out", places[1], "--device", "cpu")
    assert done.exit_code == 2
    assert "is on a web server" in done.stderr


def test_parts_in_a_store_are_not_merged():
    done = uad_infer("--merge", "s3://bucket/part1", "--out", "all")
    assert done.exit_code == 2
    assert "--merge wants folders of this machine" in done.stderr
