"""Where, to disk and back."""

import csv

import pytest

from export import where_files
from export.ablation import StepRow
from tests.export.test_localisation import cohort, located, scan

STEPS = [StepRow("none", 0.25, {"dice": 0.5}), StepRow("closing 1", 0.25, {"dice": 0.625})]


@pytest.fixture(scope="module")
def where():
    unknown = scan(cohort()[0].finding.anomaly_map, None, name="unknown", normal=False)
    return located([*cohort(), unknown])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, where):
    reports = tmp_path_factory.mktemp("reports")
    written = where_files.save(reports / "cae", reports / "cae_where.json", where, STEPS)
    assert all(path.is_file() for path in written)
    return reports


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_written_is_read_back(folder, where):
    numbers = where_files.load_flat(folder / "cae_where.json")
    assert numbers == where_files.flat(where)
    assert where_files.load_steps(folder / "cae") == STEPS


def test_the_table_that_is_looked_for_comes_last(tmp_path, where, monkeypatch):
    def killed(*args, **named):
        raise KeyboardInterrupt

    for step in ("_scan_line", "_step_line", "where_figure"):
        with monkeypatch.context() as patch:
            patch.setattr(where_files, step, killed)
            with pytest.raises(KeyboardInterrupt):
                where_files.save(tmp_path / "cae", tmp_path / "cae_where.json", where, STEPS)
        assert not (tmp_path / "cae_where.csv").exists()


def test_what_was_written_of_kinds_and_sizes_is_read_back(folder, where):
    parts = where_files.load_parts(folder / "cae_where.csv")
    assert parts["kind"].keys() == where.kinds.keys()
    for name, metrics in where.sizes.items():
        assert parts["size"][name] == pytest.approx(metrics, rel=1e-4)


def test_every_group_kind_and_size_has_its_lines(folder, where):
    lines = read_csv(folder / "cae_where.csv")
    for of, rows in (("kind", where.kinds), ("group", where.groups), ("size", where.sizes)):
        found = {(it["name"], it["metric"]): float(it["value"]) for it in lines if it["of"] == of}
        expected = {(name, it): row[it] for name, row in rows.items() for it in row}
        assert found == pytest.approx(expected, rel=1e-5)  # six digits are written


def test_a_scan_that_is_not_measured_has_a_line_that_says_why(folder):
    *measured, unknown = read_csv(folder / "cae" / "where_scans.csv")
    assert {it["measured"] for it in measured} == {"True"}
    assert not any(it["why_not"] for it in measured)
    assert (unknown["measured"], unknown["dice"]) == ("False", "")
    assert "no mask" in unknown["why_not"]


def test_equal_results_are_equal_bytes(folder, where, tmp_path):
    where_files.save(tmp_path / "cae", tmp_path / "cae_where.json", where, STEPS)
    for path in tmp_path.rglob("*.*"):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()
