"""Numbers with bounds, as types of a config's fields: `train.params` refuses what lies beyond.

Otherwise a learning rate below 0 or an epoch of no batches would be a traceback in the midst of a
library, after the data has been prepared.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from train.params import BadParamsError

SEEDS = 2**32  # that NumPy's generator takes

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, lt=SEEDS)]
Rate = Annotated[float, Meta(gt=0)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Dropout = Annotated[float, Meta(ge=0, lt=1)]  # with all dropped, nothing would be left to learn
Decay = Annotated[float, Meta(ge=0, lt=1)]  # of a running mean: at 1 nothing would come to it
Widths = Annotated[tuple[Count, ...], Meta(min_length=1)]  # channels, layer after layer


def refuse_reversed(config: Any, *, where: str) -> None:
    """See that black lies below white in a method's `intensity_range`, which no type can say.

    Raises:
        BadParamsError: it does not.
    """
    black, white = config.intensity_range
    if black >= white:
        raise BadParamsError(
            f"{where}.intensity_range must be black before white, got {[black, white]}"
        )


def refuse_repeats(name: str, values: Sequence[object]) -> None:
    """A list of what is to be done names something, and nothing twice.

    Raises:
        ValueError: it does not.
    """
    if not values:
        raise ValueError(f"{name} is empty: name at least one")
    if repeated := [it for it in values if values.count(it) > 1]:
        raise ValueError(f"{name} names {repeated[0]} twice")
