"""A file, a folder or a list → the scans it names."""

import nibabel
import numpy as np
import pytest

from infer.errors import UnreadableScanError
from infer.readers import find_sources, left_out, read
from infer.readers.discovery import find, scans_in
from infer.readers.source import Source


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no scan")


def listed(path, *lines, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_a_list_names_scans_relative_to_itself(tmp_path):
    make(tmp_path, "a.png", "ward/b.nii.gz", "not listed.png")
    given = listed(tmp_path / "scans.txt", "# ward 3", "", "ward/b.nii.gz", "  a.png  ", "a.png")
    assert {name: it.path for name, it in find_sources(given).items()} == {
        "a.png": tmp_path / "a.png",
        "ward/b.nii.gz": tmp_path / "ward/b.nii.gz",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_in_a_list_may_hold_any_letter(tmp_path, encoding):
    make(tmp_path, "ünï #1.png")
    given = listed(tmp_path / "scans.txt", "ünï #1.png", encoding=encoding)
    assert list(find_sources(given)) == ["ünï #1.png"]


def test_what_is_missing_from_the_disk_is_a_scan_that_cannot_be_read(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "hollow").mkdir()
    found = find_sources(listed(tmp_path / "scans.txt", "a.png", "gone.png", "gone", "hollow"))
    assert set(found) == {"a.png", "gone.png", "gone", "hollow"}
    with pytest.raises(UnreadableScanError, match=r"gone\.png could not be opened: No such file"):
        read(found["gone.png"].path)
    with pytest.raises(UnreadableScanError, match="gone could not be opened: No such file"):
        read(found["gone"].path)


def test_a_file_of_an_unknown_kind_that_was_listed_is_not_lost(tmp_path):
    make(tmp_path, "a.mha")
    assert list(find_sources(listed(tmp_path / "scans.txt", "a.mha"))) == ["a.mha"]


def test_a_folder_in_a_list_stands_for_all_its_scans(tmp_path):
    make(tmp_path, "ward/a.png", "ward/b/c.png", "ward/notes.doc", "d.png")
    found = find_sources(listed(tmp_path / "scans.txt", "ward", "d.png", "ward/a.png"))
    assert set(found) == {"ward/a.png", "ward/b/c.png", "d.png"}


def test_names_of_scans_elsewhere_never_lead_out_of_the_results(tmp_path):
    make(tmp_path, "elsewhere/a.png", "home/b.png")
    lines = ["../elsewhere/a.png", str(tmp_path / "home/b.png"), "./deep/../b.png"]
    found = find_sources(listed(tmp_path / "home/scans.txt", *lines))
    outside = (tmp_path / "elsewhere/a.png").relative_to(tmp_path.anchor).as_posix()
    assert set(found) == {"b.png", outside}
    assert not any(name.startswith("/") or ".." in name.split("/") for name in found)


def test_two_scans_whose_results_would_meet_are_refused(tmp_path):
    outside = tmp_path / "elsewhere/a.png"
    twin = (tmp_path / "home").joinpath(*outside.parts[1:])
    for path in (outside, twin):
        make(path.parent, path.name)
    given = listed(tmp_path / "home/scans.txt", str(outside), str(twin))
    with pytest.raises(UnreadableScanError, match="would both be called"):
        find_sources(given)


def test_what_is_not_a_text_file_is_no_list(tmp_path):
    (tmp_path / "scans.txt").write_bytes(b"a.png\0b.png")
    with pytest.raises(UnreadableScanError, match="is not a text file"):
        find_sources(tmp_path / "scans.txt")


def test_an_empty_list_is_an_error(tmp_path):
    with pytest.raises(UnreadableScanError, match="lists no scans"):
        scans_in(listed(tmp_path / "scans.txt", "# nothing yet"), tmp_path / "out")


def test_a_pair_is_one_scan_and_a_lone_part_is_one_that_fails(tmp_path):
    make(tmp_path, "a.hdr", "a.img", "b.HDR", "b.IMG", "c.img", "d.hdr")
    assert list(find_sources(tmp_path)) == ["a.hdr", "b.HDR", "c.img", "d.hdr"]
    assert list(find_sources(tmp_path / "a.img")) == ["a.hdr"]


def test_a_pair_is_read_whichever_of_its_files_is_named(tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), tmp_path / "a.img")
    (source,) = find_sources(tmp_path / "a.img").values()
    assert sorted(read(source.path).voxels.ravel()) == list(range(60))


def test_results_of_this_run_are_no_scans_of_a_folder_that_a_list_names(tmp_path):
    make(tmp_path, "ward/a.png", "ward/out/masks/a.png")
    given = listed(tmp_path / "scans.txt", "ward")
    assert list(scans_in(given, tmp_path / "ward/out").scans) == ["ward/a.png"]


@pytest.mark.parametrize("ending", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_a_line_feed_ends_a_line_of_a_list(tmp_path, ending):
    make(tmp_path, f"a{ending}b.png")
    given = listed(tmp_path / "scans.txt", f"a{ending}b.png")
    assert list(find_sources(given)) == [f"a{ending}b.png"]


def test_files_that_are_no_scans_known_here_are_counted(tmp_path):
    make(tmp_path, "a.png", "b.NRRD", "ward/c.nrrd", "ward/notes.txt", "1.2.840.10008.5")
    make(tmp_path, "DICOMDIR", ".hidden.nrrd", "._a.png")
    assert find(tmp_path).left_out == {".nrrd": 2, "without ending": 1, ".txt": 1}
    (tmp_path / "IM000007").touch()
    assert find(tmp_path).left_out[left_out.EMPTY] == 1
    (tmp_path / "IM000007").unlink()
    assert find(tmp_path / "a.png").left_out == {}
    given = listed(tmp_path / "scans.txt", "ward")
    assert find(given).left_out == {".nrrd": 1, ".txt": 1}


def test_results_of_an_earlier_run_are_not_counted(tmp_path):
    make(tmp_path, "a.png", "out/.uad-journal.jsonl", "out/run.json", "out/report.csv")
    make(tmp_path, "out/masks/a.png", "out/note.md")
    scans, others = find(tmp_path)
    assert dict(scans.items()) == {"a.png": Source(tmp_path / "a.png")}
    assert others == {".md": 1}


def test_a_folder_without_scans_is_told_what_it_holds_instead(tmp_path):
    make(tmp_path, "a.nrrd", "b.nrrd")
    with pytest.raises(UnreadableScanError, match=r"holds no scans \(2 files .*: 2 \.nrrd\)"):
        scans_in(tmp_path, tmp_path / "out")


def test_a_line_that_no_system_takes_for_a_name_is_a_scan_that_cannot_be_read(tmp_path):
    long = "a" * 300 + ".png"
    make(tmp_path, "b.png")
    assert set(find_sources(listed(tmp_path / "scans.txt", "b.png", long))) == {"b.png", long}


def test_a_file_of_a_pair_may_have_the_longest_name_there_is(tmp_path):
    name = "a" * 251 + ".img"  # with .hdr.gz it would be too long
    make(tmp_path, name)
    assert list(find_sources(tmp_path)) == [name]


def test_a_folder_that_cannot_be_opened_is_refused_in_words(tmp_path):
    with pytest.raises(UnreadableScanError, match="cannot be opened: File name too long"):
        scans_in(tmp_path / ("a" * 300), tmp_path / "out")
    with pytest.raises(UnreadableScanError, match="does not exist"):
        scans_in(tmp_path / "a", tmp_path / "out")
