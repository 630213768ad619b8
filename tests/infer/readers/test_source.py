"""How much there is to read of a scan."""

from infer.readers.source import Source


def test_a_scan_is_as_large_as_its_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"12345")
    assert Source(tmp_path / "a.png").size() == 5


def test_a_series_is_as_large_as_all_its_files(tmp_path):
    files = tuple(tmp_path / f"{at}.dcm" for at in range(3))
    for at, path in enumerate(files):
        path.write_bytes(b"x" * at)
    assert Source(files[0], files).size() == 0 + 1 + 2


def test_what_is_gone_has_no_size(tmp_path):
    assert Source(tmp_path / "gone.png").size() == 0
