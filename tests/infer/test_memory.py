"""Freed memory stays: arrays of the same size, made again, cost no new pages."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from infer.memory import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("not offered here")
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
size = int(sys.argv[2]) // 4
make = lambda: [np.ones(size, np.float32) for _ in range(4)]
make()
before = faults()
for _ in range(20):
    make()
print(faults() - before)
"""


def faults_of(mode, mebibytes):
    command = [sys.executable, "-c", SCRIPT, mode, str(mebibytes * 2**20)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "not offered here" in done.stderr:
        pytest.skip("this system's allocator is not glibc's")
    return int(done.stdout)


@pytest.mark.parametrize("mebibytes", [1, 40])
def test_arrays_made_again_cost_no_new_pages(mebibytes):
    # Of 20 times 4 such arrays, 20,480 pages of 4 KiB per mebibyte.
    assert faults_of("kept", mebibytes) < 2000
