"""Where each study's files lie: the one place that builds a path, tested against dvc.yaml."""

from pathlib import Path


def data_folder(study: str) -> Path:
    """The prepared data: cases.csv, images.csv, images.npy."""
    return Path("data") / study


def checkpoint_path(study: str, method: str) -> Path:
    """Weights of a fitted model."""
    return Path("models") / study / f"{method}.safetensors"


def model_path(study: str, method: str) -> Path:
    """The exported model."""
    return Path("models") / study / f"{method}.onnx"


def report_folder(study: str, stage: str) -> Path:
    """What a stage reports: JSON, tables and figures."""
    return Path("reports") / study / stage


def scans_table(study: str) -> Path:
    """What the files of its scans and masks held, see `train.scan_files`."""
    return report_folder(study, "prepare") / "scans.csv"
