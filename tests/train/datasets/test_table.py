import csv

import pytest

from train.datasets.case import BadDatasetError
from train.datasets.table import Line, read_table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_programs_write_is_read_alike(tmp_path, encoding, end):
    lines = ["scan, patient", "a.png,  Müller ", "", 'b.png,"Eve, of Bob"', "c.png"]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode(encoding))

    table = read_table(tmp_path / "t.csv")

    assert table.columns == ["scan", "patient"]
    assert table.lines == [
        Line(2, {"scan": "a.png", "patient": "Müller"}),
        Line(4, {"scan": "b.png", "patient": "Eve, of Bob"}),
        Line(5, {"scan": "c.png", "patient": ""}),
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_named_in_a_sentence(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes("scan,patient\na.png,Müller\n".encode(encoding))
    with pytest.raises(BadDatasetError, match=r"t\.csv is not in UTF-8"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_named_in_a_sentence(tmp_path, separator, name):
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([["scan", "patient"], ["a.png", "eve"]])
    with pytest.raises(BadDatasetError, match=f"has {name} between its columns"):
        read_table(tmp_path / "t.csv")


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("scan,label,patient, label\na.png,normal,eve,abnormal\n")
    with pytest.raises(BadDatasetError, match=r"t\.csv has the column 'label' twice"):
        read_table(tmp_path / "t.csv")


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("scan,patient\na.png," + "x" * csv.field_size_limit() + "y\n")
    with pytest.raises(BadDatasetError, match=r"t\.csv is no table"):
        read_table(tmp_path / "t.csv")


def test_a_table_of_nothing_has_no_columns(tmp_path):
    (tmp_path / "t.csv").touch()
    assert read_table(tmp_path / "t.csv") == ([], [])
