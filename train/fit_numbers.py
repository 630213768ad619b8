"""Numbers of a fit that mean nothing, refused before anything long runs: the same of all methods.

A learning rate below 0 or an epoch of no batches would otherwise be a traceback in the midst of a
library, after the data has been prepared.
"""

from collections.abc import Callable
from typing import Any

from train.params import BadParamsError

COUNTS = (
    "devices",
    "width",
    "latent",
    "levels",
    "bottleneck",
    "components",
    "critic_steps",
    "steps_per_record",
    "batch_size",
    "epochs",
    "gan_steps",
    "encoder_steps",
    "validate_every",
)
RATES = ("learning_rate", "gan_learning_rate", "encoder_learning_rate", "variance")
AMOUNTS = ("seed", "weight_decay", "patience", "warm_up", "momentum")
SHARES = ("dropout", "estimation_dropout")

_RULES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (COUNTS, lambda it: it >= 1, "at least 1"),
    (RATES, lambda it: it > 0, "above 0"),
    (AMOUNTS, lambda it: it >= 0, "at least 0"),
    (SHARES, lambda it: 0 <= it < 1, "from 0 to below 1"),
    (("intensity_range",), lambda it: it[0] < it[1], "black before white"),
)


def refuse_meaningless(config: Any, *, where: str) -> None:
    """Say which of a method's numbers cannot be meant; what it has none of is not asked.

    Raises:
        BadParamsError: there is such a number.
    """
    for names, holds, words in _RULES:
        for name in names:
            value = getattr(config, name, None)
            if value is not None and not holds(value):
                raise BadParamsError(f"{where}.{name} must be {words}, got {_said(value)}")


def _said(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
