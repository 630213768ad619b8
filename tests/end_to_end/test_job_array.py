"""The scripts of docs/scale.md as they stand there, run as a scheduler would run them."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infer.tiny_model import write_tiny_model, write_tiny_scans

PAGE = (Path(__file__).parents[2] / "docs/scale.md").read_text()
SCRIPTS = [it for it in re.findall(r"```sh\n(.*?)```", PAGE, re.S) if it.startswith("#!")]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs scripts of bash")


def run(script, environment, *, changed):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    whole = {**os.environ, "PATH": path, **environment, **changed}
    return subprocess.run(["bash"], input=script, text=True, env=whole, capture_output=True)


def test_the_tasks_score_every_scan_once_and_one_report_has_them_all(tmp_path):
    score, merge = SCRIPTS
    scans = write_tiny_scans(tmp_path / "scans")
    environment = {
        "SCANS": str(scans),
        "MODEL": str(write_tiny_model(tmp_path / "tiny.onnx")),
        "RESULTS": str(tmp_path / "results"),
    }
    first, last = map(int, re.findall(r"#SBATCH --array=(\d+)-(\d+)", score)[0])
    array = {"MIN": first, "MAX": last, "STEP": 1, "COUNT": last - first + 1}
    for task in range(first, last + 1):
        said = {f"SLURM_ARRAY_TASK_{it}": str(n) for it, n in (array | {"ID": task}).items()}
        done = run(score, environment, changed=said)
        # Of seven scans in three parts, none may be left for one; that is said, and no failure.
        assert done.returncode == 0, done.stderr
    joined = run(merge, environment, changed={})
    assert joined.returncode == 0, joined.stderr
    with (tmp_path / "results/all/report.csv").open(newline="") as text:
        found = [row["scan"] for row in csv.DictReader(text)]
    files = [path for path in scans.rglob("*") if path.is_file()]
    assert found == sorted(path.relative_to(scans).as_posix() for path in files)
