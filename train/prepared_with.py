"""The numbers by which a study's images were made of scans, written down beside them.

Not part of the images' hash, which says what they are.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infer.writers.atomic import write_bytes
from train.data import DataConfig
from train.paths import data_folder

FILE = "prepared_with.json"
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


def save_numbers(folder: Path, data: DataConfig) -> None:
    """Write them beside the images in `folder`."""
    every = asdict(data)
    numbers = {name: every[name] for name in SHAPING}
    write_bytes(folder / FILE, json.dumps(numbers, indent=1).encode() + b"\n")


def load_numbers(study: str) -> dict[str, Any] | None:
    """Those of a prepared study; None where none were written down, as by versions of before."""
    path = data_folder(study) / FILE
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
