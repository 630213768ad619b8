"""Which file each scan's mask, map and overlay goes to: the input's tree, no two scans sharing."""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

VOLUME_ENDINGS = (".nii", ".nii.gz")
VOLUME_MASK = ".nii.gz"
PICTURE = ".png"
SEGMENTATION = ".dcm"
UP = "_"  # what stands for `..`, so that no name leads out of the output folder
PICTURE_MAP = ".tif"  # the picture format that keeps float32 as it is and opens in viewers


def mask_names(
    scans: Sequence[str], *, case_matters: bool, series: Collection[str] = ()
) -> dict[str, str]:
    """Scan → mask, both relative: a PNG or .nii.gz keeps its name, others get the ending appended.

    A name that another scan keeps (`a.jpg` beside `a.jpg.png`) gets the ending once more.
    `case_matters`: whether the output's file system tells `A.png` from `a.png`; `series`: which
    of the scans are DICOM series, volumes whatever their name ends in.

    >>> mask_names(["a.jpg", "b.png", "c.nii"], case_matters=True)
    {'b.png': 'b.png', 'a.jpg': 'a.jpg.png', 'c.nii': 'c.nii.nii.gz'}
    """
    volumes = {scan for scan in scans if is_volume(scan)} | set(series)
    endings = {scan: VOLUME_MASK if scan in volumes else PICTURE for scan in scans}
    return _assign(endings, case_matters=case_matters)


def map_names(
    scans: Sequence[str], *, case_matters: bool, series: Collection[str] = ()
) -> dict[str, str]:
    """Scan → anomaly map, both relative: a .tif or .nii.gz keeps its name, others as for masks."""
    volumes = {scan for scan in scans if is_volume(scan)} | set(series)
    endings = {scan: VOLUME_MASK if scan in volumes else PICTURE_MAP for scan in scans}
    return _assign(endings, case_matters=case_matters)


def overlay_names(scans: Sequence[str], *, case_matters: bool) -> dict[str, str]:
    """Scan → overlay, both relative: a PNG keeps its name, others get `.png` appended."""
    return _assign(dict.fromkeys(scans, PICTURE), case_matters=case_matters)


def segmentation_names(series: Sequence[str], *, case_matters: bool) -> dict[str, str]:
    """DICOM series → DICOM Segmentation, both relative: one that ends in .dcm keeps its name."""
    return _assign(dict.fromkeys(series, SEGMENTATION), case_matters=case_matters)


def is_volume(scan: str) -> bool:
    """Does the name say that this is a volume?"""
    return scan.lower().endswith(VOLUME_ENDINGS)


def _assign(endings: dict[str, str], *, case_matters: bool) -> dict[str, str]:
    """Give names to the scans that keep theirs first, then to the others, in order."""
    # A folder's name is taken too: `a.jpg` beside the folder `a.jpg.png/`.
    places = {scan: _below(scan) for scan in endings}
    folders = {place.rpartition("/")[0] for place in places.values()} - {""}
    taken = {
        _folded(str(folder), case_matters)
        for innermost in folders
        for folder in (PurePosixPath(innermost), *PurePosixPath(innermost).parents)
    }
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
