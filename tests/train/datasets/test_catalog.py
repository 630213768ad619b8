from dataclasses import replace
from pathlib import Path

import pytest

from infer.errors import UnknownChoiceError
from train.datasets.case import BadDatasetError, Case, refuse_unusable_names
from train.datasets.catalog import DATASETS, dataset


@pytest.mark.parametrize("name", DATASETS)
def test_a_known_dataset_is_found(name):
    assert dataset(name) is DATASETS[name]


def test_an_unknown_dataset_is_refused_with_those_there_are():
    with pytest.raises(UnknownChoiceError, match="'moon' is unknown") as caught:
        dataset("moon")
    assert ", ".join(DATASETS) in caught.value.hint


@pytest.mark.parametrize("name", DATASETS)
def test_no_dataset_may_name_a_scan_twice(name):
    case = Case(scan=Path("a.png"), group="a", normal=True, mask=None)
    twice = replace(DATASETS[name], cases=lambda source, options, out: [case, case])
    with pytest.raises(BadDatasetError, match=r"names a\.png twice"):
        twice.find(Path(), None, Path())


@pytest.mark.parametrize("changes", [{"scan": Path("M\udcfcller.png")}, {"group": "M\udcfcller"}])
def test_names_that_are_no_text_are_refused_before_anything_is_read(changes):
    case = replace(Case(scan=Path("a.png"), group="a", normal=True, mask=None), **changes)
    with pytest.raises(BadDatasetError, match="is not in UTF-8"):
        refuse_unusable_names([case])
