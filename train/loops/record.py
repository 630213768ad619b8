"""What a way of fitting hands back after each stretch of training."""

from typing import NamedTuple


class Record(NamedTuple):
    """The mean losses of one stretch, and whether the model can find anomalies by now.

    A GAN without its encoder cannot: such a record is no candidate for the model we keep.
    """

    losses: dict[str, float]
    candidate: bool
