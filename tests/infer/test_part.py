"""Shares of a folder: each scan in exactly one, whatever else is there."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.errors import UnknownChoiceError
from infer.part import Part, part_of
from infer.readers.discovery import find_sources
from infer.readers.source import Source
from tests.infer.dicom_files import base, head, saved, series, with_pixels

NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from("\udcff\udc80"), min_size=1)


def takes(part, scan):
    return part.takes(scan, Source(Path(scan)))


@given(NAMES, st.integers(1, 50))
def test_each_scan_is_in_exactly_one_part(scan, of):
    assert sum(takes(Part(number, of), scan) for number in range(1, of + 1)) == 1


def test_the_parts_of_names_never_change():
    """Tasks of one job may run on machines with different Pythons."""
    first = [scan for scan in (f"{at}.png" for at in range(12)) if takes(Part(1, 3), scan)]
    assert first == ["3.png", "9.png", "11.png"]  # by sha256sum: the first 8 bytes, modulo 3


def test_parts_are_about_equally_large():
    scans = [f"{at:06}.nii.gz" for at in range(10_000)]
    sizes = [sum(takes(Part(number, 10), scan) for scan in scans) for number in range(1, 11)]
    assert sum(sizes) == 10_000
    assert all(abs(size - 1000) < 150 for size in sizes)  # five standard deviations


def parts_of(folder):
    """Scan by scan, the one part of 50 that it is in."""
    return {
        scan: next(it for it in range(1, 51) if Part(it, 50).takes(scan, source))
        for scan, source in find_sources(folder).items()
    }


def test_a_series_stays_in_its_part_when_more_of_it_or_another_comes(tmp_path):
    """It is called after its file, then after a folder, after one above, after its UID."""
    series(tmp_path / "whole", head(shape=(6, 12, 10)), name="a{:03}")
    series(tmp_path / "other", head(shape=(2, 12, 10), seed=1), name="b{:03}")
    whole, other = (sorted((tmp_path / it).iterdir()) for it in ("whole", "other"))
    scans, seen = tmp_path / "scans", []
    for arrived, where in (
        (whole[:1], "p/1"),
        (whole[1:4], "p/1"),
        (whole[4:], "p/2"),
        (other, "p"),
    ):
        for file in arrived:
            (scans / where).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, scans / where)
        seen.append(parts_of(scans))
    assert [list(it) for it in seen[:3]] == [["p/1/a000"], ["p/1"], ["p"]]
    assert len({number for it in seen[:3] for number in it.values()}) == 1
    assert set(seen[2].values()) < set(seen[3].values())


def test_a_nifti_pair_stays_in_its_part_when_its_header_comes(tmp_path):
    (tmp_path / "x.img").write_bytes(b"voxels")
    before = parts_of(tmp_path)
    (tmp_path / "x.hdr").write_bytes(b"header")
    after = parts_of(tmp_path)
    assert (list(before), list(after)) == (["x.img"], ["x.hdr"])
    assert list(before.values()) == list(after.values())


def test_a_part_is_the_same_where_the_folder_lies_elsewhere(tmp_path):
    """Machines of one job may have the share at different places."""
    series(tmp_path / "one/p", head())
    film = with_pixels(base(modality="DX"), head()[0])  # lies nowhere: known by its file, too
    saved(film, tmp_path / "one/q/film.dcm")
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere/another")
    here = parts_of(tmp_path / "one")
    assert here.keys() == {"p", "q/film.dcm"}
    assert here == parts_of(tmp_path / "elsewhere/another")


def test_one_of_one_is_all():
    assert takes(Part(1, 1), "any.png")


@pytest.mark.parametrize("text", ["2/10", "10/10", "1/1"])
def test_a_part_is_said_as_it_is_asked_for(text):
    assert str(part_of(text)) == text


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/2", "a/b", "1/0", "-1/3", "1.0/2", ""])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(UnknownChoiceError, match="is not a part"):
        part_of(text)
