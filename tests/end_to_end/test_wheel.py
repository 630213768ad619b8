"""The wheel alone, in an empty environment: a working `uad-infer` and no torch."""

import csv
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.infer.dicom_files import series
from tests.infer.tiny_model import write_tiny_model

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "infer")


def run(*command: str | Path) -> str:
    """What a command prints; nothing of this process's Python leaks into it."""
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no stale build folder and no other test meets it."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        clone = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        clone(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", copy / "dist", copy)
    return next((copy / "dist").glob("uad-*.whl"))


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    venv.create(folder, with_pip=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    run(commands / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    return commands


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def test_the_wheel_holds_infer_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    code = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert code == {"infer"}
    sources = [*(ROOT / "infer").rglob("*.py"), *(ROOT / "infer/report_page").iterdir()]
    in_repository = {path.relative_to(ROOT).as_posix() for path in sources}
    assert in_repository == {name for name in names if ".dist-info/" not in name}


def test_the_environment_has_no_torch(commands: Path) -> None:
    find = "from importlib.util import find_spec; print(find_spec('torch'), find_spec('train'))"
    assert run(commands / "python", "-I", "-c", find).strip() == "None None"


def test_the_installed_command_says_how_to_use_it(commands: Path) -> None:
    assert "FOLDER" in run(commands / "uad-infer", "--help")


def test_the_installed_command_agrees_with_the_export(commands: Path, model: Path) -> None:
    out = run(commands / "uad-infer", "--self-test", "--model", model, "--device", "cpu")
    assert "agrees" in out


def test_the_installed_command_scores_a_folder(commands: Path, model: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    noise = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(scans / name), noise.integers(0, 255, (40, 48), dtype=np.uint8))
    out = tmp_path / "out"
    run(commands / "uad-infer", scans, "--model", model, "--out", out, "--device", "cpu")
    with (out / "report.csv").open(newline="") as report:
        rows = list(csv.DictReader(report))
    assert [(row["scan"], row["status"]) for row in rows] == [("a.png", "ok"), ("b.png", "ok")]
    assert all((out / row["mask"]).is_file() for row in rows)


@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless, JPEGLSLossless, RLELossless], ids=str)
def test_the_installed_command_reads_dicom_compressed_or_not(
    commands: Path, model: Path, tmp_path: Path, syntax: UID | None
) -> None:
    y, x = np.indices((64, 48))
    series(
        tmp_path / "scans", np.stack([1024 + (x + y + at) // 3 for at in range(3)]), syntax=syntax
    )
    out = tmp_path / "out"
    scans = tmp_path / "scans"
    run(commands / "uad-infer", scans, "--model", model, "--out", out, "--device", "cpu")
    with (out / "report.csv").open(newline="") as report:
        rows = list(csv.DictReader(report))
    assert [(row["scan"], row["status"], row["slices"]) for row in rows] == [("scans", "ok", "3")]
