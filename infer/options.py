"""What a user may choose of a run, and what it means for reading and for thresholds."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from infer.engine_cache import check_cache
from infer.errors import UnknownChoiceError
from infer.manifest import Manifest, Threshold
from infer.part import Part
from infer.precision import Precision
from infer.providers import CUDA_NUMBER, check_request
from infer.readers.choice import Choice
from infer.slicing import Plane
from infer.worker import Overlays


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may choose; None: as the model or the machine suggests."""

    device: str
    precision: Precision | None  # None: the model's own
    batch_size: int | None
    workers: int | None
    threshold: float | None  # of the score
    map_threshold: float | None
    overlays: Overlays
    maps: bool
    dicom_seg: bool
    keep_identifiers: bool  # in DICOM Segmentations: nothing else ever holds any
    volume: int  # of a scan that holds several, from 0
    max_voxels: int  # larger scans are refused by their headers
    overwrite: bool
    max_failures: int | None  # with one more, the run stops; None: however many
    part: Part | None  # of the folder; None: all of it
    executor: Literal["local", "ray"]  # on this machine, or on those of a cluster
    ray_address: str | None  # of the cluster; None: as RAY_ADDRESS says, else this machine alone
    retries: int | None  # of a scan whose worker was lost, on a cluster
    require_signature: Path | None  # the public key; None: the model need not be signed
    tensorrt_cache: Path | None  # where TensorRT keeps what it builds

    def __post_init__(self) -> None:
        for name in ("batch_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UnknownChoiceError(f"{name.replace('_', '-')} must be at least 1")
        if self.keep_identifiers and not self.dicom_seg:
            raise UnknownChoiceError(
                "keep-identifiers concerns what dicom-seg writes, which was not asked for",
                hint="nothing else that is written holds any",
            )
        if self.max_failures is not None and self.max_failures < 0:
            raise UnknownChoiceError("max-failures must be at least 0")
        self._check_executor()
        check_request(self.device, self.precision)
        check_cache(self.tensorrt_cache, device=self.device)
        choice_of(self, "axial")  # refuses what is senseless

    def _check_executor(self) -> None:
        if self.executor == "ray":
            if self.retries is not None and self.retries < 0:
                raise UnknownChoiceError("retries must be at least 0")
            if CUDA_NUMBER.fullmatch(self.device):
                raise UnknownChoiceError(
                    f"device {self.device} is for Ray to choose: it gives each worker a GPU",
                    hint="say --device cuda",
                )
            return
        for name in ("ray_address", "retries"):
            if getattr(self, name) is not None:
                raise UnknownChoiceError(
                    f"{name.replace('_', '-')} concerns a cluster, which was not asked for",
                    hint="add --executor ray",
                )


def choice_of(options: Options, plane: Plane) -> Choice:
    """How scans are read."""
    return Choice(volume=options.volume, max_voxels=options.max_voxels, plane=plane)


def with_thresholds(
    manifest: Manifest, threshold: float | None, map_threshold: float | None
) -> Manifest:
    """The manifest with the user's own thresholds in place of its own.

    Raises:
        UnknownChoiceError: one is not a finite number: nothing would ever lie above it, or below;
            or that of the score decides nothing.
    """
    for name, given in (("threshold", threshold), ("map-threshold", map_threshold)):
        if given is not None and not math.isfinite(given):
            raise UnknownChoiceError(
                f"{name} must be a finite number, got {given}", hint="without it, the model's own"
            )
    if threshold is not None and manifest.anomalous_by == "mask":
        raise UnknownChoiceError(
            "threshold is of the score, but this model calls a scan anomalous by its mask",
            hint="--map-threshold says which voxels are in it",
        )
    score, of_map = manifest.score_threshold, manifest.map_threshold
    if threshold is not None:
        score = Threshold(value=threshold, chosen_by="given as --threshold")
    if map_threshold is not None:
        of_map = Threshold(value=map_threshold, chosen_by="given as --map-threshold")
    return replace(manifest, score_threshold=score, map_threshold=of_map)
