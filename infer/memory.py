"""Keep freed memory in the process: the next scan needs as much again.

A scan goes through several arrays, of some hundred kilobytes for a picture and of tens of megabytes
for a volume. By default, glibc returns each to the system and asks for fresh pages, which the
kernel clears one by one: up to a fifth of the time.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt(3)
# So much is kept: what one unusually large volume took beyond is returned.
_KEPT_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Whether this system's allocator could be told so; others do well without."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; musl has none
    if mallopt is None:
        return False
    # An array with a mapping of its own would be returned whatever the threshold.
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)])
