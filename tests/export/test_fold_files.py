"""Folds that are kept: few bytes, and all that went in comes back."""

from dataclasses import replace

import pytest

from export import fold_files, fold_result
from tests.export import fold_results

RESULTS = [*fold_results.many("cae", 0.5), *fold_results.many("random", 0.0, trivial=True)]
GROUPED = [replace(it, grouped=True, fit_seconds=3.0) for it in fold_results.many("cae", 0.3)]


@pytest.fixture
def kept(tmp_path):
    fold_files.keep(tmp_path / "kept", RESULTS + GROUPED)
    return tmp_path / "kept"


def test_each_method_is_one_file(kept):
    assert sorted(it.name for it in kept.iterdir()) == ["cae.jsonl.gz", "random.jsonl.gz"]


@pytest.mark.parametrize("result", RESULTS + GROUPED, ids=lambda it: f"{it.method} {it.fold}")
def test_what_was_kept_comes_back_as_it_was(kept, result):
    found = fold_files.fetch(kept, result.method, grouped=result.grouped, fold=result.fold)
    assert found == fold_result.encoded(result)
    back = fold_result.decoded(found, "f", where="here")
    assert fold_result.encoded(back) == found


def test_a_run_elsewhere_may_also_start_from_the_folder_of_another(tmp_path):
    (result, *_) = GROUPED
    path = fold_files.path_of(tmp_path, "cae", grouped=True, fold=result.fold)
    fold_result.save(path, result)
    found = fold_files.fetch(tmp_path, "cae", grouped=True, fold=result.fold)
    assert found == path.read_bytes()
    assert fold_files.fetch(tmp_path, "cae", grouped=False, fold=result.fold) is None


def test_what_was_not_kept_is_not_found(kept):
    assert fold_files.fetch(kept, "cae", grouped=False, fold=2) is None
    assert fold_files.fetch(kept, "vae", grouped=False, fold=0) is None


def test_folds_that_a_partial_run_did_not_have_stay(kept):
    (first, *_) = RESULTS
    again = replace(first, fit_seconds=77.0)
    fold_files.keep(kept, [again])
    found = fold_files.fetch(kept, "cae", grouped=False, fold=again.fold)
    assert found == fold_result.encoded(again)
    for other in GROUPED:
        found = fold_files.fetch(kept, "cae", grouped=True, fold=other.fold)
        assert found == fold_result.encoded(other)


def test_keeping_the_same_again_changes_no_byte(kept, tmp_path):
    fold_files.keep(tmp_path / "again", RESULTS + GROUPED)
    for path in kept.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
