"""fp16: half the bits in the network, none lost after it, and the contract of every file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from scipy.ndimage import uniform_filter

from export.half import Half, network_of
from export.reduction import Reduction
from tests.export.fitted_graphs import METHODS, exported, images, run

EPSILON = 2.0**-11  # half the distance of numbers in fp16, relative


@pytest.fixture(scope="module", params=METHODS)
def model(request):
    return exported(request.param)


@pytest.fixture(scope="module")
def half(model):
    return Half(model).reduced(())


def types_of(model):
    return {it.name: it.data_type for it in model.graph.initializer}


def test_it_is_a_reduction_and_needs_no_images(model):
    assert isinstance(Half(model), Reduction)
    assert Half(model).calibration_images == 0


def test_inputs_and_outputs_are_those_of_the_graph_it_was_made_of(model, half):
    onnx.checker.check_model(half, full_check=True)
    assert half.graph.input == model.graph.input
    assert half.graph.output == model.graph.output


def test_weights_take_half_the_room(model, half):
    big = [it for it in half.graph.initializer if np.prod(it.dims) > 64]
    assert {it.data_type for it in big} == {TensorProto.FLOAT16}
    assert len(half.SerializeToString()) < 0.75 * len(model.SerializeToString())


def test_it_says_what_fp32_says_but_for_the_rounding(model, half):
    seen = images(3)
    expected, found = run(model, seen), run(half, seen)
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        scale = max(1.0, np.abs(values).max())
        # A dozen layers, each rounding what it takes, its weights and what it gives.
        np.testing.assert_allclose(found[name], values, atol=40 * EPSILON * scale)


def test_residual_and_score_are_computed_in_fp32_from_what_the_network_gave(half):
    seen = images(2)
    found = run(half, seen)
    residual = (seen - found["reconstruction"]).astype(np.float64)
    maps = np.abs(uniform_filter(residual, size=(1, 1, 3, 3), mode="constant"))
    inner = (..., slice(1, -1), slice(1, -1))  # at the border, means are of fewer pixels
    np.testing.assert_allclose(found["anomaly_map"][inner], maps[inner], atol=1e-6)
    strongest = np.sort(found["anomaly_map"].reshape(2, -1), axis=1)[:, -10:]
    np.testing.assert_allclose(found["score"], strongest.mean(axis=1), rtol=1e-6)


def test_an_operator_that_is_left_keeps_its_weights(model):
    left = Half(model).reduced(["Conv"])
    types = types_of(left)
    convolutions = [it for it in left.graph.node if it.op_type == "Conv"]
    assert convolutions
    assert {types[it.input[1]] for it in convolutions} == {TensorProto.FLOAT}
    expected, found = run(model, images(1)), run(left, images(1))
    np.testing.assert_allclose(found["score"], expected["score"], rtol=0.01)


def test_the_graph_that_is_given_is_left_untouched(model):
    before = model.SerializeToString()
    Half(model).reduced(())
    assert model.SerializeToString() == before


def test_the_network_ends_with_its_last_product(model):
    assert network_of(model).graph.node[-1].op_type in ("Conv", "ConvTranspose")
