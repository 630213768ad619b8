"""Whether a division leaves each split what it needs.

The 2×5 protocol chooses thresholds and reports by normal and abnormal scans, so it needs both in
validation and test. Other schemes serve volumes: there, normal slices of scans with lesions train
and calibrate, and a data set may have no abnormal scan at all.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from train.data import SPLITS, SplitCase
from train.datasets.case import BadDatasetError, Split
from train.protocol import Scheme

NEEDED: dict[Scheme, tuple[tuple[Split, bool], ...]] = {
    "folds": (
        ("train", True),
        *((split, normal) for split in SPLITS[1:] for normal in (True, False)),
    )
}


def refuse_insufficient(
    kept: Sequence[SplitCase], normal_images: Collection[Split], scheme: Scheme
) -> None:
    """Stop before anything is fitted to nothing.

    Args:
        kept: every case that could be read.
        normal_images: the splits of the images that show nothing abnormal.

    Raises:
        BadDatasetError: a split lacks what training, thresholds or the test need.
    """
    refuse_one_sided(kept, scheme)
    for split in SPLITS[:2]:
        if split not in normal_images:
            raise BadDatasetError(
                f"no readable slice without an anomaly is left for {split}",
                hint="training and thresholds need normal slices: of normal scans, or of abnormal "
                "ones whose mask leaves slices free; is there a mask, and does data.slice_range "
                "hold such slices?",
            )


def refuse_one_sided(cases: Sequence[SplitCase], scheme: Scheme) -> None:
    """What can be known of a division before any scan is read, which may take hours.

    Raises:
        BadDatasetError: a split lacks scans of a kind that the scheme needs, or none is tested.
    """
    found = Counter((it.split, it.case.normal) for it in cases)
    for split, normal in NEEDED.get(scheme, ()):
        if not found[split, normal]:
            raise BadDatasetError(
                f"no readable {'normal' if normal else 'abnormal'} scan is left for {split}",
                hint="training needs normal scans; validation and test normal and abnormal ones",
            )
    if not any(it.split == "test" for it in cases):
        raise BadDatasetError("no scan is left for the test", hint="see the block split")
