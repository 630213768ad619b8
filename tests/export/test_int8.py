"""int8: products in integers, calibrated on the images given, everything else as it was."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.int8 import PRODUCTS, Int8
from export.reduction import Reduction
from tests.export.fitted_graphs import METHODS, exported, images, run

CALIBRATION = images(8, seed=1)


@pytest.fixture(scope="module", params=METHODS)
def model(request):
    return exported(request.param)


@pytest.fixture(scope="module")
def reduction(model):
    return Int8(model, CALIBRATION)


@pytest.fixture(scope="module")
def int8(reduction):
    return reduction.reduced(())


def constants(model):
    return {it.name: numpy_helper.to_array(it) for it in model.graph.initializer}


def makers(model):
    return {name: node for node in model.graph.node for name in node.output}


def in_integers(model):
    """Names of the products whose weights come out of integers."""
    made = makers(model)
    return {
        node.name
        for node in model.graph.node
        if node.op_type in PRODUCTS
        and node.input[1] in made
        and made[node.input[1]].op_type == "DequantizeLinear"
    }


def test_it_is_a_reduction_that_says_what_it_was_calibrated_on(reduction):
    assert isinstance(reduction, Reduction)
    assert reduction.calibration_images == 8
    assert "8 images of validation normals" in reduction.in_words


def test_inputs_and_outputs_are_those_of_the_graph_it_was_made_of(model, int8):
    onnx.checker.check_model(int8, full_check=True)
    assert [it.name for it in int8.graph.input] == ["image"]
    for before, after in zip(model.graph.output, int8.graph.output, strict=True):
        assert (after.name, after.type.tensor_type.elem_type) == (before.name, TensorProto.FLOAT)
    assert {it.domain for it in int8.opset_import} == {""}


def test_every_product_with_weights_is_in_integers(reduction, int8):
    assert in_integers(int8) == set(reduction.operators) != set()


def test_the_image_is_quantised_by_the_range_it_had_in_calibration(int8):
    (first,) = [
        it for it in int8.graph.node if it.op_type == "QuantizeLinear" and it.input[0] == "image"
    ]
    scale = constants(int8)[first.input[1]]
    # From 0, which always is a value of its own, to the brightest pixel, in 255 steps.
    assert scale == pytest.approx(CALIBRATION.max() / 255, rel=1e-6)


def test_weights_have_seven_bits_and_a_scale_for_each_channel(int8):
    stored = constants(int8)
    weights = [it for it in stored.values() if it.dtype == np.int8 and it.ndim > 1]
    assert weights
    assert max(np.abs(it.astype(int)).max() for it in weights) <= 64


def test_it_says_nearly_what_fp32_says(model, int8):
    seen = images(16, seed=2)
    expected, found = run(model, seen)["reconstruction"], run(int8, seen)["reconstruction"]
    assert found.dtype == np.float32
    # A step of 8 bits is 0.4 % of a layer's range; errors of a dozen layers partly cancel.
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).max()


def test_nodes_that_are_left_stay_in_float(model, reduction):
    kept, *others = reduction.operators
    assert in_integers(reduction.reduced([kept])) == set(others)
    alone = reduction.reduced(others)
    assert in_integers(alone) == {kept}


def test_the_same_is_made_however_often_it_is_asked(model, reduction, int8):
    before = model.SerializeToString()
    again = reduction.reduced(())
    np.testing.assert_array_equal(run(again, images(2))["score"], run(int8, images(2))["score"])
    assert model.SerializeToString() == before
