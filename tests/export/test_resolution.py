"""What the size of a picture alone tells of its label."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.resolution import in_words, size_areas
from train.datasets.case import Case


@pytest.fixture
def cases(tmp_path):
    """Pictures of these sizes `(height, width)`."""

    def of(normal, abnormal):
        found = []
        for at, (size, is_normal) in enumerate(
            [*((it, True) for it in normal), *((it, False) for it in abnormal)]
        ):
            scan = tmp_path / f"{at}.png"
            cv2.imwrite(str(scan), np.zeros(size, np.uint8))
            found.append(Case(scan=scan, group=str(at), normal=is_normal, mask=None))
        return found

    return of


def test_two_sizes_that_part_the_classes_are_found_out_whichever_is_larger(cases):
    areas = size_areas(cases([(30, 40)] * 3, [(30, 20)] * 2))
    assert areas == {"width": 1.0, "height": 0.5}
    (said,) = in_words(areas)
    assert said.startswith("**The size of a scan tells its label: AUROC of width alone 1.000")


def test_equal_sizes_tell_nothing(cases):
    areas = size_areas(cases([(30, 40)] * 2, [(30, 40)] * 2))
    assert areas == {"width": 0.5, "height": 0.5}
    assert in_words(areas)[0].startswith("Larger or smaller scans are no more often abnormal")


def test_the_area_is_that_of_all_pairs(cases):
    areas = size_areas(cases([(30, 10), (30, 20), (30, 30)], [(30, 25), (30, 40)]))
    assert areas["width"] == pytest.approx(5 / 6)  # pairs in which the abnormal one is wider


def test_of_one_class_or_of_volumes_there_is_nothing_to_say(cases, tmp_path):
    one = cases([(30, 40)] * 2, [])
    assert in_words(size_areas(one)) == []
    volume = Case(scan=Path(tmp_path / "a.nii.gz"), group="v", normal=False, mask=None)
    assert size_areas([*one, volume]) == {}
