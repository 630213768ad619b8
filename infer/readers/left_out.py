"""Files of a folder that are no scans known here, counted by ending: nothing is lost in silence."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infer.counted import counted

WITHOUT_ENDING = "without ending"
EMPTY = "empty (0 bytes; cut off while copying?)"  # whatever their ending: slices may be missing
_ENDING = re.compile(r"(\.[a-z][a-z0-9]{0,7})?\.[a-z][a-z0-9]{0,7}")
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_INDEX = "DICOMDIR"  # of a disc: nobody misses it
_MOST_KINDS = 5


def count(
    files: Iterable[Path], *, is_empty: Callable[[Path], bool] = lambda file: False
) -> dict[str, int]:
    """Ending → how many files have it, the most frequent first, whatever their order."""
    endings = Counter(
        EMPTY if is_empty(file) else ending_of(file.name)
        for file in files
        if file.name.upper() != _INDEX
    )
    return dict(sorted(endings.items(), key=lambda kind: (-kind[1], kind[0])))


def ending_of(name: str) -> str:
    """A file's ending in small letters; what follows the dot in a number or a sentence is none.

    >>> [ending_of(name) for name in ("a.NRRD", "a.b.mgz.gz", "1.2.840.10008", "note")]
    ['.nrrd', '.mgz.gz', 'without ending', 'without ending']
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes[-2:]]
    if len(suffixes) > 1 and suffixes[-1] not in _PACKED:
        del suffixes[0]
    ending = "".join(suffixes)
    return ending if _ENDING.fullmatch(ending) else WITHOUT_ENDING


def in_words(left_out: Mapping[str, int]) -> str:
    """A sentence's worth of it; empty where there is nothing to say.

    >>> in_words({".gif": 2, "without ending": 1})
    '3 files were left out, they are no scans known here: 2 .gif, 1 without ending'
    """
    if not left_out:
        return ""
    total = sum(left_out.values())
    kinds = [f"{number:,} {ending}" for ending, number in left_out.items()]
    if len(kinds) > _MOST_KINDS:
        others = total - sum(list(left_out.values())[:_MOST_KINDS])
        kinds[_MOST_KINDS:] = [f"{others:,} of other endings"]
    said = "was left out, it is no scan" if total == 1 else "were left out, they are no scans"
    return f"{counted(total, 'file')} {said} known here: {', '.join(kinds)}"
