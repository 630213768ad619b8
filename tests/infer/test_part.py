"""Shares of a folder: each scan in exactly one, whatever else is there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.errors import UnknownChoiceError
from infer.part import Part, part_of

NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from("\udcff\udc80"), min_size=1)


@given(NAMES, st.integers(1, 50))
def test_each_scan_is_in_exactly_one_part(scan, of):
    assert sum(Part(number, of).takes(scan) for number in range(1, of + 1)) == 1


def test_the_parts_of_names_never_change():
    """Tasks of one job may run on machines with different Pythons."""
    first = [scan for scan in (f"{at}.png" for at in range(12)) if Part(1, 3).takes(scan)]
    assert first == ["3.png", "9.png", "11.png"]  # by sha256sum: the first 8 bytes, modulo 3


def test_parts_are_about_equally_large():
    scans = [f"{at:06}.nii.gz" for at in range(10_000)]
    sizes = [sum(map(Part(number, 10).takes, scans)) for number in range(1, 11)]
    assert sum(sizes) == 10_000
    assert all(abs(size - 1000) < 150 for size in sizes)  # five standard deviations


@given(NAMES, st.integers(1, 50))
def test_a_series_stays_in_its_part_when_another_comes_into_its_folder(folder, of):
    """It was called after its folder, and is now called after its number and UID, too."""
    alone, beside = (
        f"ward/{folder}",
        [f"ward/{folder}/series-5-12ab34cd", f"ward/{folder}/series-0a1b2c3d"],
    )
    for part in (Part(number, of) for number in range(1, of + 1)):
        assert {part.takes(scan) for scan in beside} == {part.takes(alone)}


def test_one_of_one_is_all():
    assert Part(1, 1).takes("any.png")


@pytest.mark.parametrize("text", ["2/10", "10/10", "1/1"])
def test_a_part_is_said_as_it_is_asked_for(text):
    assert str(part_of(text)) == text


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/2", "a/b", "1/0", "-1/3", "1.0/2", ""])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(UnknownChoiceError, match="is not a part"):
        part_of(text)
