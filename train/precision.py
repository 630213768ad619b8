"""Device and precision of a fit: half where a device computes in it, which is what `auto` asks for.

bfloat16 takes a third of float32's time on processors with AMX or AVX-512 BF16 and on today's GPUs.
Elsewhere PyTorch emulates it: a step of f-AnoGAN's critic then takes eleven times as long.
"""

from typing import Literal

import torch

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Resolved = Literal["32-true", "bf16-mixed"]  # as Lightning Fabric names them

# Of `torch.cpu.get_capabilities`. Arm's is left out: not every build of PyTorch makes use of it.
_NATIVE = ("amx_bf16", "avx512_bf16", "avx10_2")


def resolve(precision: Precision, device: str) -> Resolved:
    """What `precision` means on a type of device: cpu, cuda, mps.

    What is asked for by name is what one gets, emulated or not.
    """
    if precision != "auto":
        return precision
    return "bf16-mixed" if computes_bf16(device) else "32-true"


def warning_of(precision: Precision, device: str) -> str:
    """What to say of a precision that was asked for by name and is emulated; empty: nothing."""
    if precision != "bf16-mixed" or computes_bf16(device):
        return ""
    return (
        f"this {device} emulates bfloat16: precision bf16-mixed may take ten times as long as "
        "32-true here, and auto chooses by itself"
    )


def computes_bf16(device: str) -> bool:
    """Whether a type of device has instructions for bfloat16, and PyTorch uses them."""
    match device:
        case "cpu":
            found = torch.cpu.get_capabilities()
            return any(found.get(name, False) for name in _NATIVE)
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case _:
            return False


def device_type(asked: str) -> str:
    """The type of device that Fabric takes for `auto`, cpu or cuda."""
    if asked == "cpu":
        return "cpu"
    found = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if found is None else found.type
