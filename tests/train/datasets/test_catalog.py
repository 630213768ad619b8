import pytest

from infer.errors import UnknownChoiceError
from train.datasets.catalog import DATASETS, dataset


@pytest.mark.parametrize("name", DATASETS)
def test_a_known_dataset_is_found(name):
    assert dataset(name) is DATASETS[name]


def test_an_unknown_dataset_is_refused_with_those_there_are():
    with pytest.raises(UnknownChoiceError, match="'moon' is unknown") as caught:
        dataset("moon")
    assert ", ".join(DATASETS) in caught.value.hint
