"""Fewer bits where they do least harm: which operators of a graph to leave in float.

A reduction makes a graph of another in fewer bits, but for the operators it is told to leave. What
an operator loses is measured by reducing it alone; those that lose most are left first.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import onnx


@runtime_checkable
class Reduction(Protocol):
    """A way to compute one graph in fewer bits."""

    @property
    def operators(self) -> Sequence[str]:
        """What it can reduce, and can be told to leave: types of operators, or nodes by name."""
        ...

    @property
    def in_words(self) -> str:
        """How, for the manifest."""
        ...

    @property
    def calibration_images(self) -> int:
        """On how many images it measured ranges; 0: it needs none."""
        ...

    def reduced(self, leave: Collection[str]) -> onnx.ModelProto:
        """The graph in fewer bits, these operators in float."""
        ...


class Reduced(NamedTuple):
    """A graph in fewer bits, and what of it is not."""

    model: onnx.ModelProto
    left_in_float: tuple[str, ...]


def ever_more_in_float(
    reduction: Reduction, loss: Callable[[onnx.ModelProto], float]
) -> Iterator[Reduced]:
    """First all operators reduced, then all but the one that loses most, down to a single one.

    Losses are measured when the first graph did not do: who takes it, pays for none.
    """
    yield Reduced(reduction.reduced(()), ())
    operators = reduction.operators
    alone = {
        it: loss(reduction.reduced([other for other in operators if other != it]))
        for it in operators
    }
    worst_first = sorted(operators, key=lambda it: alone[it], reverse=True)
    for count in range(1, len(operators)):
        left = tuple(worst_first[:count])
        yield Reduced(reduction.reduced(left), left)
