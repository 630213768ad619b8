"""A model ships with the numbers by which the images were made that it was fitted to."""

import json
from pathlib import Path

import pytest

from tests.export.tiny_study import write_params
from train.data import DataConfig
from train.params import BadParamsError, load
from train.paths import data_folder
from train.prepared_with import FILE, save_numbers
from train.same_numbers import changed_numbers, refuse_other_numbers


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """What a study's params file says when it is prepared."""
    monkeypatch.chdir(tmp_path)
    params = write_params()
    save_numbers(data_folder(params.study), params.block(DataConfig, "data"))
    return Path("params.yaml").read_text()


def changed(text):
    Path("params.yaml").write_text(text)
    params = load("params.yaml")
    return changed_numbers(params.study, params.block(DataConfig, "data"))


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("image_size: [32, 32]", "image_size: [64, 64]", "image_size"),
        ("noise: none", "noise: median", "preprocessing"),
        ("slice_range: [0.0, 1.0]", "slice_range: [0.2, 1.0]", "slice_range"),
        ("plane: axial", "plane: coronal", "plane"),
    ],
)
def test_what_shapes_images_must_be_as_when_they_were_made(prepared, right, wrong, name):
    assert right in prepared
    assert changed(prepared.replace(right, wrong, 1)) == [name]
    with pytest.raises(BadParamsError, match=f"data.{name} has changed since tiny was prepared"):
        refuse_other_numbers(load("params.yaml"))


def test_what_shapes_none_may_change(prepared):
    assert "store: float32" in prepared
    assert changed(prepared.replace("store: float32", "store: uint8", 1)) == []


def test_of_data_of_before_nothing_is_known(prepared):
    (data_folder("tiny") / FILE).unlink()
    assert changed(prepared.replace("plane: axial", "plane: coronal", 1)) == []


def test_a_key_that_came_later_and_changes_nothing_is_no_change(prepared, monkeypatch):
    monkeypatch.setattr("train.added_keys.CHANGES_NOTHING", {"inside": "all"})
    path = data_folder("tiny") / FILE
    numbers = json.loads(path.read_text())
    assert numbers["intensity"].pop("inside") == "all"
    path.write_text(json.dumps(numbers))
    assert changed(prepared) == []
