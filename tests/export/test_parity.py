from dataclasses import replace

import numpy as np
import pytest

from export import parity
from infer.engine_batches import EngineOutputs
from tests.export.tiny_graph import SIZE, tiny_graph

IMAGES = np.random.default_rng(0).random((4, 1, *SIZE), np.float32)


class Changed:
    """An engine whose outputs are changed on the way out."""

    def __init__(self, engine, change):
        self.engine = engine
        self.change = change

    def run(self, images) -> EngineOutputs:
        return self.change(self.engine.run(images))


def measure(engine):
    return parity.measure(tiny_graph(), engine, IMAGES, measured_on="random images")


def test_the_exported_file_says_what_torch_says(tiny_engine):
    found = measure(tiny_engine)
    assert found.images == 4
    assert max(found.reconstruction, found.anomaly_map, found.score) < 1e-5


@pytest.mark.parametrize("name", ["anomaly_map", "score", "reconstruction"])
def test_a_larger_difference_is_refused(tiny_engine, name):
    def change(outputs):
        return replace(outputs, **{name: getattr(outputs, name) + np.float32(2e-4)})

    with pytest.raises(parity.ParityError, match=name.replace("_", " ")):
        measure(Changed(tiny_engine, change))


def test_a_score_part_that_differs_is_refused(tiny_engine):
    def change(outputs):
        return replace(outputs, score_parts={"latent": outputs.score_parts["latent"] * 2})

    with pytest.raises(parity.ParityError):
        measure(Changed(tiny_engine, change))


def test_a_value_that_is_no_number_is_refused(tiny_engine):
    def change(outputs):
        return replace(outputs, score=outputs.score * np.float32("nan"))

    with pytest.raises(parity.ParityError):
        measure(Changed(tiny_engine, change))


def test_a_file_that_is_right_only_for_whole_batches_is_refused(tiny_engine):
    def change(outputs):
        alone = len(outputs.score) == 1
        return replace(outputs, score=outputs.score + np.float32(alone))

    with pytest.raises(parity.ParityError):
        measure(Changed(tiny_engine, change))


def test_large_maps_are_compared_relatively_and_reconstructions_absolutely():
    large = np.full((1, 1, 2, 2), 100, np.float32)
    assert parity._relative(large, large + np.float32(0.005)) < parity.LARGEST_DIFFERENCE
    assert parity._absolute(large, large + np.float32(0.005)) > parity.LARGEST_DIFFERENCE
