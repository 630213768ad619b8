"""In which numbers a graph computes: fp32, unless the user asks for less and the device has it."""

from typing import Literal, get_args

from infer.errors import UnknownChoiceError

Precision = Literal["fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
OFFERED: dict[str, tuple[Precision, ...]] = {"openvino": ("fp32", "bf16", "fp16")}
WHERE = (
    "every device computes in fp32; --device openvino in bf16 or fp16 too, if the processor can; "
    "none in int8"
)


def check_precision(asked: str, *, device: str) -> Precision:
    """The precision, if the device's engine has it; whether the processor has, it says itself.

    Raises:
        UnknownChoiceError: there is none of this name, or not on this device.
    """
    for known in PRECISIONS:
        if asked == known and asked in OFFERED.get(device, ("fp32",)):
            return known
    if asked not in PRECISIONS:
        raise UnknownChoiceError(
            f"unknown precision {asked!r}", hint=f"choose one of {', '.join(PRECISIONS)}"
        )
    raise UnknownChoiceError(f"precision {asked} cannot be had with device {device}", hint=WHERE)
