"""A stage that another run has started ends with it."""

import os
import subprocess
import sys

import pytest

from train.orphans import WITH_INPUT

STAGE = (
    "import time\n"
    "from train.command import run_stage\n"
    "def stage(params):\n"
    "    print('begun', flush=True)\n"
    "    time.sleep({seconds})\n"
    "raise SystemExit(run_stage(stage, ['params.yaml']))"
)


def started(seconds, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", STAGE.format(seconds=seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
    )


def test_when_its_input_ends_it_is_at_an_end():
    with started(600, **{WITH_INPUT: "1"}) as stage:
        assert stage.stdout.readline() == b"begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            stage.wait(timeout=1)
        stage.stdin.close()
        assert stage.wait(timeout=60) == 1


def test_one_that_was_started_by_hand_needs_no_input():
    with started(1) as stage:
        stage.stdin.close()
        assert stage.wait(timeout=60) == 0
