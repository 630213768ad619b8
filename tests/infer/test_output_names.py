"""Masks and overlays: names that mirror the input and never meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.output_names import Names, mask_ending, mask_names, overlay_names

ENDINGS = (".png", ".PNG", ".jpg", ".png.png", ".jpg.png", ".nii", ".nii.gz", ".nii.nii.gz")
SCANS = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(("", "s/", "S/", "a.jpg.png/")),
        st.sampled_from("aAbß"),
        st.sampled_from(ENDINGS),
    ),
    unique=True,
)


def test_a_png_tiff_or_nii_gz_keeps_its_name_and_others_get_the_ending_appended():
    names = mask_names(["s/a.png", "b.nii.gz", "c.jpg", "d.nii", "e.tiff"], case_matters=True)
    assert names == {
        "s/a.png": "s/a.png",
        "b.nii.gz": "b.nii.gz",
        "c.jpg": "c.jpg.png",
        "d.nii": "d.nii.nii.gz",
        "e.tiff": "e.tiff",
    }


def test_overlays_are_pictures_also_of_volumes():
    assert overlay_names(["a.png", "b.nii.gz"], case_matters=True) == {
        "a.png": "a.png",
        "b.nii.gz": "b.nii.gz.png",
    }


@pytest.mark.parametrize("case_matters", [True, False])
@given(SCANS)
def test_names_are_the_same_whether_all_are_held_or_not(case_matters, scans):
    names = Names(lambda: ((scan, False) for scan in scans), mask_ending, case_matters=case_matters)
    assert {scan: names.of(scan, False) for scan in scans} == mask_names(
        scans, case_matters=case_matters
    )


@given(SCANS)
def test_no_two_scans_share_a_mask(scans):
    names = mask_names(scans, case_matters=True)
    assert names.keys() == set(scans)
    assert len(set(names.values())) == len(scans)


@given(SCANS)
def test_no_two_scans_share_a_mask_where_case_is_lost(scans):
    names = mask_names(scans, case_matters=False)
    assert len({name.casefold() for name in names.values()}) == len(scans)


@given(SCANS)
def test_a_scan_keeps_its_mask_whatever_order_the_folder_is_read_in(scans):
    forwards = mask_names(scans, case_matters=True)
    assert forwards == mask_names(scans[::-1], case_matters=True)


def test_a_mask_never_takes_the_name_of_a_folder():
    names = mask_names(["a.jpg", "a.jpg.png/b.png"], case_matters=True)
    assert names["a.jpg"] == "a.jpg.png.png"


STEPS = st.sampled_from(["..", ".", "", "a", "_", "a\n", "\udcff", "..."])
ELSEWHERE = st.lists(st.lists(STEPS, min_size=1).map("/".join), unique=True)


@given(ELSEWHERE)
def test_no_name_leads_out_of_the_folder(scans):
    names = mask_names(scans, case_matters=True)
    for name in names.values():
        assert not name.startswith("/")
        assert ".." not in name.split("/")
    assert len(set(names.values())) == len(scans)
