"""What a classifier looks at in every test scan: a picture each, from its checkpoint.

`python -m export.stages.attention studies/head_ct_supervised/params.yaml densenet`.

reports/<study>/attention/<method>/<label>/<scan>.png: the scan's strongest slice, then the same
under each kind of map of `train.attention`, side by side. By the label one finds what was missed.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from export import registry
from export.fitted import Fitted, load_fitted
from export.same_data import refuse_other_data
from infer.readers import read
from infer.readers.choice import seen_along
from infer.writers.atomic import write_bytes
from train.command import run_stage
from train.data import DataConfig, load_cases
from train.datasets.case import Case
from train.params import BadParamsError, Params
from train.paths import checkpoint_path, report_folder
from train.reading import prepared_images
from train.recipes import find
from train.validation import as_tensor


def attention(params: Params, method: str) -> None:
    """Draw every test scan; the pictures go to the run of the fit as well.

    Raises:
        BadParamsError: the method does not learn from labels: its maps are those of `uad-infer`.
        BadModelError: it was fitted to other data than is prepared now.
    """
    if not find(method).supervised:
        raise BadParamsError(
            f"{method} is no classifier: there is nothing that it looks at to decide",
            hint="its anomaly maps are written by `uad-infer --maps`, pictures by --overlays all",
        )
    data = params.block(DataConfig, "data")
    path = checkpoint_path(params.study, method)
    fitted = load_fitted(path, method, data)
    refuse_other_data(path, fitted.metadata["data_hash"], params.study, hint=f"fit {method} again")
    folder = report_folder(params.study, "attention") / method
    shutil.rmtree(folder, ignore_errors=True)  # pictures of scans that are no longer tested
    test = [it.case for it in load_cases(params.study) if it.split == "test"]
    drawn = [_draw(case, data, fitted, method, folder) for case in test]
    registry.log_files(
        drawn, study=params.study, method=method, run_id=fitted.metadata["run_id"], to="attention"
    )
    print(f"{method}: {len(drawn)} test scans, {folder}")


def _draw(case: Case, data: DataConfig, fitted: Fitted, method: str, folder: Path) -> Path:
    """The picture of a case."""
    low, high = fitted.intensity_range
    images = prepared_images(read(case.scan, seen_along(data.plane)), data)
    taken = fitted.scale.standardised(as_tensor(images, (low, high), torch.device("cpu")))
    with torch.inference_mode():
        worst = int(fitted.graph(taken)[1].argmax())
    grids = find(method).watch(fitted.graph.model, taken[worst : worst + 1]).grids
    panels = [images[worst], *((it[0] - low) / (high - low) for it in grids.values())]
    path = folder / ("normal" if case.normal else "abnormal") / _place(case.scan, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, _side_by_side(panels))
    return path


def _place(scan: Path, data: DataConfig) -> Path:
    """Where its picture goes: as the scan lies in the study's source, or else all its folders."""
    source = Path(data.source)
    own = scan.relative_to(source if scan.is_relative_to(source) else scan.anchor)
    return own if own.suffix == ".png" else own.with_name(f"{own.name}.png")


def _side_by_side(panels: Sequence[np.ndarray]) -> bytes:
    """A PNG of images `(channel, height, width)` in [0, 1], grey or red, green and blue."""
    colour = [np.broadcast_to(it, (3, *it.shape[1:])) if len(it) == 1 else it for it in panels]
    row = np.concatenate(colour, axis=2).transpose(1, 2, 0)[..., ::-1]
    return bytes(cv2.imencode(".png", (row.clip(0, 1) * 255).round().astype(np.uint8))[1])


def main(arguments: list[str]) -> int:
    """The command line; its exit code."""
    return run_stage(attention, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
