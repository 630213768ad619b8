"""Keep freed memory in the process: the next scan needs as much again.

A picture goes through several arrays of some hundred kilobytes. By default, glibc returns each to
the system and asks for fresh pages, which the kernel clears one by one: up to a fifth of the time.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
# The most that mallopt takes: arrays of volumes, which are larger, are still returned.
_KEPT_BYTES = 32 * 2**20


def keep_freed_memory() -> bool:
    """Whether this system's allocator could be told so; others do well without."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; musl has none
    if mallopt is None:
        return False
    told = [mallopt(which, _KEPT_BYTES) for which in (_TRIM_THRESHOLD, _MMAP_THRESHOLD)]
    return all(told)
