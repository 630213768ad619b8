"""How fast volumes can be read and masks of volumes written, with every core at its service."""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pydicom

from benchmarks.machine import cores
from benchmarks.stages import rate
from infer.memory import keep_freed_memory
from infer.readers import read, read_series, read_with_digest
from infer.volume import Volume
from infer.writers.nifti import encode_mask

DISTINCT_MASKS = 8  # in memory at a time


class WrittenMask(NamedTuple):
    """A mask in memory as `uad-infer` found it, and as its file stores it."""

    volume: Volume  # without voxels
    mask: np.ndarray
    stored: np.ndarray
    affine: np.ndarray


def reading(scans: Sequence[Path]) -> float:
    """Volumes per second by nibabel."""
    return rate_apart(_read_by_nibabel, scans)


def own_reading(scans: Sequence[Path]) -> float:
    """The same as `uad-infer` does it: inflated by ISA-L, checked, and hashed."""
    return rate_apart(_read_and_hash, scans)


def series_reading(series: Sequence[Sequence[Path]]) -> float:
    """Series per second by pydicom, pixels and positions."""
    return rate_apart(_read_by_pydicom, series)


def own_series_reading(series: Sequence[Sequence[Path]]) -> float:
    """The same as `uad-infer` does it: headers first, checked, and hashed."""
    return rate_apart(_read_series_and_hash, series)


def writing(masks: Sequence[Path], out: Path) -> float:
    """Masks per second, encoded and written by nibabel."""
    return rate(_save, _in_memory(masks, out), threads=cores(), images=len(masks))


def own_writing(masks: Sequence[Path], out: Path) -> float:
    """The same by ISA-L."""
    return rate(_save_by_isal, _in_memory(masks, out), threads=cores(), images=len(masks))


def rate_apart(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """Items per second of `work`, in a process on each core: threads wait for Python's lock."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(cores() + 1)
    with context.Pool(cores(), _warm_up, (work, items[0], ready)) as pool:
        ready.wait()
        start = perf_counter()
        pool.map(work, items, chunksize=1)
        return len(items) / (perf_counter() - start)


def _warm_up(work: Callable[[Any], Any], item: Any, ready: Barrier) -> None:
    keep_freed_memory()
    work(item)
    ready.wait()


def _read_by_nibabel(path: Path) -> None:
    nibabel.Nifti1Image.from_filename(path).get_fdata()


def _read_and_hash(path: Path) -> None:
    read_with_digest(path)


def _read_by_pydicom(files: Sequence[Path]) -> None:
    slices = [pydicom.dcmread(file) for file in files]
    np.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices])


def _read_series_and_hash(files: Sequence[Path]) -> None:
    read_series(files)


def _in_memory(masks: Sequence[Path], out: Path) -> list[tuple[Path, WrittenMask]]:
    """Masks in memory, and where each is to be written."""
    out.mkdir(parents=True)
    written = [_of(path) for path in masks[:DISTINCT_MASKS]]
    return [(out / f"{at}.nii.gz", written[at % len(written)]) for at, _ in enumerate(masks)]


def _of(path: Path) -> WrittenMask:
    volume, image = read(path), nibabel.Nifti1Image.from_filename(path)
    return WrittenMask(
        replace(volume, voxels=np.empty((1, 0, 0, 0), np.float32)),
        volume.voxels[0] > 0,
        np.asanyarray(image.dataobj),
        image.affine,
    )


def _save(to_write: tuple[Path, WrittenMask]) -> None:
    path, written = to_write
    image = nibabel.Nifti1Image(written.stored, written.affine)  # type: ignore[no-untyped-call]
    nibabel.save(image, path)


def _save_by_isal(to_write: tuple[Path, WrittenMask]) -> None:
    path, written = to_write
    path.write_bytes(encode_mask(written.mask, written.volume))
