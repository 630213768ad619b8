"""What a scan claims to be, by its header alone."""

from typing import NamedTuple


class Claim(NamedTuple):
    """What would be scored of a scan; what only its voxels can tell is not known yet."""

    format: str
    shape: tuple[int, ...]  # as it is stored, without colours
    kind: str  # of the stored values, in NumPy's words
    colours: int = 1
    warnings: tuple[str, ...] = ()
