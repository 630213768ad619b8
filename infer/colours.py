"""The colours of a scan as the channels that a model has."""

from typing import TypeAlias

import numpy as np

from infer.errors import UnreadableScanError
from infer.shapes import Voxels

Colours: TypeAlias = tuple[int, ...]  # of red (0), green (1) and blue (2); empty: no choice is made

# Luminance of red, green and blue (ITU-R BT.601): a grey picture stored in colour is unchanged.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def check_colours(colours: Colours, channels: int) -> None:
    """Refuse what is not a choice of red (0), green (1) and blue (2), one for each channel.

    Raises:
        ValueError: it is none; empty is one.
    """
    if colours and (len(colours) != channels or not set(colours) <= {0, 1, 2}):
        raise ValueError(
            f"colours must name one of 0 (red), 1 (green) and 2 (blue) for each of {channels} "
            f"channels, or none, got {list(colours)}"
        )


def with_channels(voxels: Voxels, channels: int, colours: Colours = ()) -> np.ndarray:
    """Voxels with as many channels as the model has: grey ↔ colour, or some of the colours.

    Raises:
        UnreadableScanError: neither equal, nor 3 → 1 (luminance), nor 1 → 3 (repeated); where
            `colours` are named, neither 3 nor 1.
    """
    found = len(voxels)
    if colours and found in (1, 3):
        return voxels[list(colours)] if found == 3 else np.repeat(voxels, len(colours), axis=0)
    if found == channels:
        return voxels
    if (found, channels) == (3, 1):
        return _luminance(voxels)
    if (found, channels) == (1, 3):
        return np.repeat(voxels, 3, axis=0)
    raise UnreadableScanError(
        f"it has {found} channels, the model takes {channels}",
        hint="score it with a model made for such scans",
    )


def _luminance(voxels: Voxels) -> np.ndarray:
    # Not as a matrix product: NumPy's would call up threads, and every worker is one already.
    red, green, blue = (weight * colour for weight, colour in zip(LUMINANCE, voxels, strict=True))
    grey: np.ndarray = (red + green + blue)[np.newaxis]
    return grey
