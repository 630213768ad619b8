"""However many scans there are, what leads a run holds no more; and it reports them all."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Little is cached, so that a few thousand scans show what a million would.
RUN = """
import resource, sys
from infer import shelf
shelf.CACHE_KIB = 64
from benchmarks.instant_run import run
run(int(sys.argv[1]), sys.argv[2], 2, sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(count, model, out):
    """The most that a run of so many scans held, in KiB."""
    command = [sys.executable, "-c", RUN, str(count), str(model), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory as Linux says it")
def test_memory_does_not_grow_with_the_scans_and_each_has_its_row(tiny_model, tmp_path):
    few, many = 4_000, 12_000
    grown_kib = run(many, tiny_model, tmp_path / "many") - run(few, tiny_model, tmp_path / "few")
    assert grown_kib < 0.5 * (many - few)  # 500 bytes a scan; all that was kept once took 1,200
    with (tmp_path / "many/report.csv").open(newline="") as text:
        scans = [row["scan"] for row in csv.DictReader(text)]
    assert scans == [f"{at // 1000:04}/{at:07}.png" for at in range(many)]
    page = (tmp_path / "many/report.html").read_text(encoding="utf-8")
    assert page.count('.png",') >= many


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory as Linux says it")
def test_nor_does_it_with_what_an_earlier_run_left(tiny_model, tmp_path):
    few, many = 2_000, 6_000
    for count in (few, many):
        run(count, tiny_model, tmp_path / str(count))
    again = [run(count, tiny_model, tmp_path / str(count)) for count in (few, many)]
    assert again[1] - again[0] < (many - few)  # 1,000 bytes a scan; it once took 3,600
