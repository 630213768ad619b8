"""A model ships with the numbers by which the images were made that it was fitted to."""

from pathlib import Path

import pytest

from export.same_data import refuse_other_look
from infer.errors import BadModelError
from tests.export.tiny_study import write_params
from train.data import DataConfig
from train.looked_at import save_look
from train.params import load
from train.paths import data_folder


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """What a study's params file says now."""
    monkeypatch.chdir(tmp_path)
    params = write_params()
    save_look(data_folder(params.study), params.block(DataConfig, "data"))
    return Path("params.yaml").read_text()


def refused(text):
    Path("params.yaml").write_text(text)
    with pytest.raises(BadModelError) as caught:
        refuse_other_look(load("params.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("image_size: [32, 32]", "image_size: [64, 64]", "data.image_size"),
        ("noise: none", "noise: median", "data.preprocessing"),
        ("slice_range: [0.0, 1.0]", "slice_range: [0.2, 1.0]", "data.slice_range"),
        ("plane: axial", "plane: coronal", "data.plane"),
    ],
)
def test_what_shapes_images_must_be_as_when_they_were_made(prepared, right, wrong, name):
    assert right in prepared
    said = refused(prepared.replace(right, wrong, 1))
    assert f"{name} has changed since tiny was prepared" in said


def test_what_shapes_none_may_change(prepared):
    text = prepared.replace("store: float32", "store: uint8", 1)
    assert text != prepared
    Path("params.yaml").write_text(text)
    refuse_other_look(load("params.yaml"))


def test_of_data_of_before_nothing_is_known(prepared):
    (data_folder("tiny") / "looked_at.json").unlink()
    Path("params.yaml").write_text(prepared.replace("plane: axial", "plane: coronal", 1))
    refuse_other_look(load("params.yaml"))
