"""Speed beside each other, in turns."""

import time

import numpy as np
import pytest

from export.throughput import seconds_per_image

IMAGES = np.zeros((4, 1, 8, 8), np.float32)


class Sleeps:
    def __init__(self, seconds, calls, name):
        self.seconds, self.calls, self.name = seconds, calls, name

    def run(self, images):
        self.calls.append(self.name)
        time.sleep(self.seconds)


def test_time_is_that_of_an_image_and_engines_take_turns():
    calls = []
    engines = {"fast": Sleeps(0.004, calls, "f"), "slow": Sleeps(0.02, calls, "s")}
    found = seconds_per_image(engines, IMAGES, rounds=5)
    assert "".join(calls) == "fs" * 6  # once to warm up
    # A sleep lasts at least as long as asked; a loaded machine makes it longer.
    assert 0.001 <= found["fast"] < found["slow"]
    assert found["slow"] == pytest.approx(0.005, rel=0.5)
