import pytest
import torch

from infer.errors import BadModelError
from train import checkpoint


def test_weights_and_metadata_come_back(tmp_path):
    path = tmp_path / "models" / "cae.safetensors"
    weights = {"a": torch.rand(3, 4).t(), "b": torch.tensor(7)}
    checkpoint.save(path, weights, {"method": "cae"})
    loaded, metadata = checkpoint.load(path)
    assert metadata == {"method": "cae"}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())
    assert [file.name for file in path.parent.iterdir()] == ["cae.safetensors"]


def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "cae.safetensors"
    checkpoint.save(path, {"a": torch.ones(1)}, {})

    def half_written(weights, unfinished, metadata):
        unfinished.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", half_written)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"a": torch.zeros(1)}, {})
    assert checkpoint.load(path)[0]["a"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint at all"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "cae.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadModelError, match=r"cae\.safetensors"):
        checkpoint.load(path)


@pytest.mark.parametrize("left", [0, 1, 0.5])
def test_a_state_that_a_power_cut_left_unreadable_is_none_and_is_said_to_be(tmp_path, capsys, left):
    path = tmp_path / "cae.resume"
    checkpoint.save_resume(path, {"weights": {"a": torch.ones(500)}}, "same")
    content = path.read_bytes()
    path.write_bytes(content[: left if isinstance(left, int) else int(left * len(content))])
    assert checkpoint.load_resume(path, "same") is None
    assert f"{path} cannot be read" in capsys.readouterr().err


def test_a_fit_goes_on_only_from_the_state_of_the_same_numbers_and_data(tmp_path):
    path = tmp_path / "cae.resume"
    assert checkpoint.load_resume(path, "same") is None
    checkpoint.save_resume(path, {"record": 3, "weights": {"a": torch.ones(2)}}, "same")
    assert checkpoint.load_resume(path, "other") is None
    assert checkpoint.load_resume(path, "same")["record"] == 3
