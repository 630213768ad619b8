"""In which numbers a graph computes: fp32, unless its file or the user's wish says less."""

from collections.abc import Collection
from typing import Literal, get_args

from infer.errors import UnknownChoiceError

Precision = Literal["fp32", "bf16", "fp16", "int8"]
VariantPrecision = Literal["fp16", "int8"]  # what a file may be in; others are for an engine to do
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
OF_VARIANTS: tuple[VariantPrecision, ...] = get_args(VariantPrecision)
# What a device's engine makes of a file in fp32.
OFFERED: dict[str, tuple[Precision, ...]] = {
    "openvino": ("fp32", "bf16", "fp16"),
    "tensorrt": ("fp32", "bf16", "fp16"),
}
WHERE = (
    "of a file in fp32, --device openvino and tensorrt also compute in bf16 or fp16, if the "
    "processor can; python -m export.stages.quantise makes files in fp16 and int8"
)


def check_precision(asked: str | None, *, device: str) -> Precision | None:
    """What was asked for, if the device can have it of one file or another; None: nothing was.

    Raises:
        UnknownChoiceError: there is none of this name, or never on this device.
    """
    if asked is None:
        return None
    for known in PRECISIONS:
        if asked == known:
            if known not in OF_VARIANTS and known not in _offered(device):
                raise _cannot_be_had(known, device)
            return known
    raise UnknownChoiceError(
        f"unknown precision {asked!r}", hint=f"choose one of {', '.join(PRECISIONS)}"
    )


def precision_of(
    asked: Precision | None,
    *,
    device: str,
    variant: VariantPrecision | None,
    runs_on: Collection[str] = (),
) -> Precision:
    """In which numbers a device computes a file; whether the processor can, the engine says itself.

    Args:
        variant: what the file is in, if not in fp32.
        runs_on: of a variant, the devices that may compute it.

    Raises:
        UnknownChoiceError: not in what was asked for, or not on this device.
    """
    if variant is None:
        wanted = asked or "fp32"
        if wanted not in _offered(device):
            raise _cannot_be_had(wanted, device)
        return wanted
    if asked not in (None, variant):
        raise UnknownChoiceError(
            f"precision {asked} cannot be had of a file in {variant}",
            hint="leave --precision out, or take the file it was made from: --describe says which",
        )
    if device not in runs_on:
        raise UnknownChoiceError(
            f"precision {variant} cannot be had with device {device}",
            hint=f"this file was found to be as good on {', '.join(runs_on)} only; or take the "
            "file it was made from",
        )
    return variant


def _offered(device: str) -> tuple[Precision, ...]:
    return OFFERED.get(device, ("fp32",))


def _cannot_be_had(precision: Precision, device: str) -> UnknownChoiceError:
    return UnknownChoiceError(
        f"precision {precision} cannot be had with device {device}", hint=WHERE
    )
