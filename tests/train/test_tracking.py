from pathlib import Path

from train import tracking


def test_an_experiments_copy_reaches_the_store_of_the_main_tree(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert tracking.store_folder() == tmp_path / "main" / "mlruns"


def test_the_address_is_absolute_wherever_we_are(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    address = tracking.store_address()
    assert address.startswith("sqlite:///")
    assert Path(address.removeprefix("sqlite:///")).is_absolute()
