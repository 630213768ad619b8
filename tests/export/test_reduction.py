"""Which operators stay in float: those that lose most, found by reducing each alone."""

from itertools import islice

import onnx

from export.reduction import Reduction, ever_more_in_float

LOSSES = {"a": 0.1, "b": 0.7, "c": 0.3}


class Named:
    """A reduction whose graphs say what was reduced."""

    operators = tuple(LOSSES)
    in_words = "by name"
    calibration_images = 0

    def reduced(self, leave):
        named = "".join(it for it in self.operators if it not in leave)
        return onnx.ModelProto(producer_name=named)


def loss_of(model):
    return LOSSES[model.producer_name]


def test_all_first_then_without_the_worst_down_to_the_best_alone():
    assert isinstance(Named(), Reduction)
    found = [
        (it.model.producer_name, it.left_in_float) for it in ever_more_in_float(Named(), loss_of)
    ]
    assert found == [("abc", ()), ("ac", ("b",)), ("a", ("b", "c"))]


def test_nothing_is_measured_where_all_may_be_reduced():
    def measured(model):
        raise AssertionError("for nothing")

    (first,) = islice(ever_more_in_float(Named(), measured), 1)
    assert first.left_in_float == ()
