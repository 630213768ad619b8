"""Which file each scan's mask, map and overlay goes to: the input's tree, no two scans sharing."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from infer.shelf import Shelf, as_name, batched

VOLUME_ENDINGS = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
VOLUME = ".nii.gz"
PICTURE = ".png"
ARRAY = ".npy"
SEGMENTATION = ".dcm"
# The picture format that has pages, keeps float32 as it is and opens in viewers.
PAGES = ".tif"
_PAGES = (PAGES, ".tiff")
UP = "_"  # what stands for `..`, so that no name leads out of the output folder


def mask_names(
    scans: Sequence[str], *, case_matters: bool, series: Collection[str] = ()
) -> dict[str, str]:
    """Scan → mask, both relative: PNG, TIFF, NPY and .nii.gz keep their names.

    Others get the ending of a format like theirs appended: .png, or .nii.gz for volumes. A name
    that another scan keeps (`a.jpg` beside `a.jpg.png`) gets the ending once more.
    `case_matters`: whether the output's file system tells `A.png` from `a.png`; `series`: which
    of the scans are DICOM series, volumes whatever their name ends in.

    >>> mask_names(["a.jpg", "b.png", "c.nii", "d.tiff"], case_matters=True)
    {'b.png': 'b.png', 'd.tiff': 'd.tiff', 'a.jpg': 'a.jpg.png', 'c.nii': 'c.nii.nii.gz'}
    """
    endings = {scan: _ending(scan, scan in series, picture=PICTURE) for scan in scans}
    return _assign(endings, case_matters=case_matters)


def map_names(
    scans: Sequence[str], *, case_matters: bool, series: Collection[str] = ()
) -> dict[str, str]:
    """Scan → anomaly map, both relative: as for masks, save for PNG, which becomes TIFF."""
    endings = {scan: _ending(scan, scan in series, picture=PAGES) for scan in scans}
    return _assign(endings, case_matters=case_matters)


def overlay_names(scans: Sequence[str], *, case_matters: bool) -> dict[str, str]:
    """Scan → overlay, both relative: a PNG keeps its name, others get `.png` appended."""
    return _assign(dict.fromkeys(scans, PICTURE), case_matters=case_matters)


def segmentation_names(series: Sequence[str], *, case_matters: bool) -> dict[str, str]:
    """DICOM series → DICOM Segmentation, both relative: one that ends in .dcm keeps its name."""
    return _assign(dict.fromkeys(series, SEGMENTATION), case_matters=case_matters)


def mask_ending(scan: str, is_series: bool) -> str:
    """What the name of a scan's mask ends in."""
    return _ending(scan, is_series, picture=PICTURE)


def map_ending(scan: str, is_series: bool) -> str:
    """What the name of a scan's map ends in."""
    return _ending(scan, is_series, picture=PAGES)


class Names:
    """Scan → output, as the functions above give it, for more scans than memory should hold.

    A name follows from the scan's own unless names meet, which is rare: then all are kept.
    `scans` gives all of them, each with whether it is a DICOM series, whenever it is called.
    """

    def __init__(
        self,
        scans: Callable[[], Iterable[tuple[str, bool]]],
        ending: Callable[[str, bool], str],
        *,
        case_matters: bool,
    ) -> None:
        self._ending = ending
        self._all: Mapping[str, str] | None = None
        usual = (self.of(scan, is_series) for scan, is_series in scans())
        if _any_meet(usual, case_matters=case_matters):
            endings = {scan: ending(scan, is_series) for scan, is_series in scans()}
            self._all = _assign(endings, case_matters=case_matters)

    def of(self, scan: str, is_series: bool) -> str:
        """The output of a scan, relative to its folder."""
        if self._all is not None:
            return self._all[scan]
        ending = self._ending(scan, is_series)
        place = _below(scan)
        return place if scan.lower().endswith(ending) else place + ending


def _any_meet(names: Iterable[str], *, case_matters: bool) -> bool:
    """Is a name given twice, or a folder's, too?"""
    kept, count, innermost = Shelf(), 0, set()
    for some in batched(names):
        count += len(some)
        innermost |= {name.rpartition("/")[0] for name in some}
        kept.put((as_name(_folded(name, case_matters)), b"") for name in some)
    folders = _with_parents(innermost - {""})
    return len(kept) < count or any(
        as_name(_folded(folder, case_matters)) in kept for folder in folders
    )


def _with_parents(innermost: Iterable[str]) -> set[str]:
    return {
        str(folder)
        for inner in innermost
        for folder in (PurePosixPath(inner), *PurePosixPath(inner).parents)
    }


def is_volume(scan: str) -> bool:
    """Does the name say that this is a volume?"""
    return scan.lower().endswith(VOLUME_ENDINGS)


def has_pages(name: str) -> bool:
    """Does the name say that this is a TIFF?"""
    return name.lower().endswith(_PAGES)


def is_array(name: str) -> bool:
    """Does the name say that this is a NumPy array?"""
    return name.lower().endswith(ARRAY)


def _ending(scan: str, is_series: bool, *, picture: str) -> str:
    """Of an output that goes with a scan's own format."""
    if is_series or is_volume(scan):
        return VOLUME
    if is_array(scan):
        return ARRAY
    if has_pages(scan):
        return next(ending for ending in _PAGES if scan.lower().endswith(ending))
    return picture


def _assign(endings: Mapping[str, str], *, case_matters: bool) -> dict[str, str]:
    """Give names to the scans that keep theirs first, then to the others, in order."""
    # A folder's name is taken too: `a.jpg` beside the folder `a.jpg.png/`.
    places = {scan: _below(scan) for scan in endings}
    folders = {place.rpartition("/")[0] for place in places.values()} - {""}
    taken = {_folded(folder, case_matters) for folder in _with_parents(folders)}
    names = {}
    keeps = {scan: scan.lower().endswith(ending) for scan, ending in endings.items()}
    for scan in sorted(endings, key=lambda scan: (not keeps[scan], scan)):
        name = places[scan] if keeps[scan] else places[scan] + endings[scan]
        while _folded(name, case_matters) in taken:
            name += endings[scan]
        taken.add(_folded(name, case_matters))
        names[scan] = name
    return names


def _below(scan: str) -> str:
    """The name of a scan that lies elsewhere (absolute, or above), as one below the folder.

    >>> _below("/data/../a.png"), _below("../b.png"), _below("ward/c.png")
    ('data/_/a.png', '_/b.png', 'ward/c.png')
    """
    steps = (UP if step == ".." else step for step in scan.split("/"))
    return "/".join(step for step in steps if step not in ("", ".")) or UP


def _folded(name: str, case_matters: bool) -> str:
    return name if case_matters else name.casefold()
