"""How prepared images were made of scans, written down beside them.

Not part of their hash: it says what the images are, and they are what they are. But what ships
makes its images by the numbers of today, and must make them as those were that it was fitted to.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infer.writers.atomic import write_bytes
from train.data import DataConfig
from train.paths import data_folder

FILE = "looked_at.json"
# Of the block `data`, what a file that ships repeats.
SHAPING = (
    "modality",
    "channels",
    "colours",
    "image_size",
    "plane",
    "slice_range",
    "intensity",
    "preprocessing",
)


def save_look(folder: Path, data: DataConfig) -> None:
    """Write it beside the images in `folder`."""
    write_bytes(folder / FILE, json.dumps(_look(data), indent=1).encode() + b"\n")


def changed_look(study: str, data: DataConfig) -> list[str]:
    """Which of these numbers have another value than when the study was prepared.

    None where that was not written down, as by versions of before.
    """
    path = data_folder(study) / FILE
    if not path.exists():
        return []
    then, now = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(_look(data)))
    return [name for name in SHAPING if then.get(name) != now[name]]


def _look(data: DataConfig) -> dict[str, Any]:
    every = asdict(data)
    return {name: every[name] for name in SHAPING}
