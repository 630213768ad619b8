"""A prepared study of a few synthetic heads, at any size and with any number of channels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np

from infer.images import images_of
from infer.phantom import brain_window, head, head_volume
from infer.readers import read
from tests.train.tiny_configs import tiny
from train.data import DataConfig, ImageRow, Prepared, SplitCase, save
from train.datasets.case import Case
from train.params import Params, load
from train.paths import data_folder

STUDY = "contract"
REPOSITORY = Path(__file__).parents[2]
SLICE_SIZE = (72, 60)  # (height, width) of the scans, pixels
VOLUME_SIZES = ((9, 48, 40), (12, 40, 48), (36, 24, 20))  # in turn: all become images of one size
COUNTS = {"train": (8, 2), "validation": (3, 3), "test": (2, 1)}  # normal, abnormal


def make_phantom_study(
    method: str,
    image_size: tuple[int, ...],
    channels: int,
    patches: Mapping[str, Any] | None = None,
) -> Params:
    """Write scans and tables into the working directory; the method's numbers are made tiny.

    Slices are pictures; where `image_size` is of volumes, scans are NIfTI volumes of several sizes.
    With two channels, `with_channels` of `infer.images` and `infer.finding` must be `powers`.

    Args:
        patches: of the method's images, as in the block `patches`; None: it takes them whole.
    """
    params = _params(method, image_size, channels, patches)
    scans = data_folder(STUDY) / "scans"
    scans.mkdir(parents=True)
    kinds = [
        (split, at < normal)
        for split, (normal, abnormal) in COUNTS.items()
        for at in range(normal + abnormal)
    ]
    draw, ending = (_draw_volume, "nii.gz") if len(image_size) == 3 else (_draw, "png")
    names = [scans / f"{split}_{seed:02}.{ending}" for seed, (split, _) in enumerate(kinds)]
    cases = [
        SplitCase(case=draw(names[seed], seed, normal=normal), split=split)
        for seed, (split, normal) in enumerate(kinds)
    ]
    data = params.block(DataConfig, "data")
    seen = [it for it in cases if it.split != "test"]
    rows = [
        ImageRow(scan=it.case.scan, slice=0, split=it.split, normal=it.case.normal) for it in seen
    ]
    images = np.concatenate([image_of(it.case.scan, data) for it in seen])
    save(data_folder(STUDY), Prepared(cases=cases, rows=rows, images=images))
    return params


def powers(voxels: np.ndarray, channels: int, colours: tuple[int, ...] = ()) -> np.ndarray:
    """As many channels from a grey scan, as no file that we read has two; others as they are."""
    if len(voxels) == channels:
        return voxels
    return np.concatenate([voxels ** (at + 1) for at in range(channels)])


def _params(
    method: str, image_size: tuple[int, ...], channels: int, patches: Mapping[str, Any] | None
) -> Params:
    params = load(REPOSITORY / "params.yaml")
    values = dict(params.values)
    values["study"] = STUDY
    blocks = values["fit"]
    of = blocks[method].get("of", method)  # of a variant, the method that it is fitted after
    values["methods"] = [of]
    values["variants"] = {method: of} if of != method else {}
    values["data"] = {**values["data"], "image_size": list(image_size), "channels": channels}
    values["fit"] = {name: tiny(name, blocks[name], len(image_size)) for name in (method, of)}
    for block in values["fit"].values():
        if "atlas" in block:
            block["atlas"] = channels > 1  # both are tried, without a study more
    values["patches"] = {} if patches is None else {of: dict(patches)}
    return Params(params.path, values)


def _draw(path: Path, seed: int, *, normal: bool) -> Case:
    phantom = head(seed, size=SLICE_SIZE, lesions=[] if normal else ["bleed"])
    cv2.imwrite(str(path), brain_window(phantom.voxels_hu))
    return Case(scan=path, group=path.stem, normal=normal, mask=None)


def _draw_volume(path: Path, seed: int, *, normal: bool) -> Case:
    shape, lesions = VOLUME_SIZES[seed % len(VOLUME_SIZES)], [] if normal else ["bleed"]
    phantom = head_volume(seed, shape=shape, lesions=lesions)
    stored = phantom.voxels_hu.transpose(2, 1, 0)  # towards L, P and S
    affine = np.diag([-phantom.spacing_mm[2], -phantom.spacing_mm[1], phantom.spacing_mm[0], 1.0])
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    return Case(scan=path, group=path.stem, normal=normal, mask=None)


def image_of(scan: Path, data: DataConfig) -> np.ndarray:
    """What a network sees of a scan, in [0, 1]: (1, channel, height, width)."""
    return images_of(
        read(scan),
        channels=data.channels,
        intensity=data.intensity.to_range(0.0, 1.0),
        preprocessing=data.preprocessing,
        plane=data.plane,
        image_size=data.image_size,
    )
