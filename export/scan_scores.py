"""Score scan files as the product does: its readers, its findings, any engine."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from infer.batch import BATCH_SIZES
from infer.engine_batches import Engine, EngineOutputs, ask
from infer.finding import Finding, finding_of
from infer.images import images_for, slices_of
from infer.manifest import Manifest
from infer.masking import Postprocessing, lesions_above
from infer.readers import read
from infer.readers.choice import seen_along
from infer.shapes import Images, Mask
from infer.slicing import Plane, to_slices
from infer.volume import Volume
from infer.volumetric import usual_batch_size
from train.datasets.case import Case
from train.truth import truth_of

# Images. That of `uad-infer`: results are the same in the last digits only for equal batches.
BATCH_SIZE = BATCH_SIZES["cpu"]
VOXELS_AT_ONCE = 1 << 22  # scans are read together until they hold so many: bounds the memory
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredScan:
    """A scan, what was found in it, and what is true of it."""

    case: Case
    volume: Volume
    finding: Finding
    truth: Mask | None  # on the volume's grid; empty for a normal scan; None: not known
    plane: Plane = "axial"  # whose slices were looked at
    slices: range | None = None  # which of them; None: all

    def sliced(self, array: np.ndarray) -> np.ndarray:
        """An array `(*spatial)` as the slices that were looked at, `(slice, height, width)`."""
        slices = to_slices(array[np.newaxis], self.plane)[:, 0]
        return slices if self.slices is None else slices[self.slices.start : self.slices.stop]

    @property
    def slice_count(self) -> int:
        """How many slices were looked at."""
        return len(self.sliced(self.finding.mask))

    @property
    def abnormal_slices(self) -> np.ndarray | None:
        """In which slices the truth marks anything; None: not known."""
        return None if self.truth is None else _any(self.sliced(self.truth))

    @property
    def foreground_slices(self) -> np.ndarray:
        """In which slices there is any foreground; all, where postprocessing names none."""
        if self.finding.foreground is None:
            return np.ones(self.slice_count, bool)
        return _any(self.sliced(self.finding.foreground))

    @property
    def masked_slices(self) -> np.ndarray:
        """In which slices the mask has anything."""
        return _any(self.sliced(self.finding.mask))


def _any(slices: np.ndarray) -> np.ndarray:
    return np.asarray(slices.any(axis=(1, 2)))


def score_scans(cases: Iterable[Case], manifest: Manifest, engine: Engine) -> Iterator[ScoredScan]:
    """Every case with its finding, in the order given; a scan that cannot be read is an error."""
    for (scored,) in score_under(cases, (manifest,), engine):
        yield scored


def score_under(
    cases: Iterable[Case], manifests: Sequence[Manifest], engine: Engine
) -> Iterator[tuple[ScoredScan, ...]]:
    """Every case with its finding under each manifest; the engine runs once.

    Manifests may differ in what follows the engine: thresholds and postprocessing.
    """
    choice = seen_along(manifests[0].plane)
    yield from _score_read(((case, read(case.scan, choice)) for case in cases), manifests, engine)


def score_volumes(
    scans: Iterable[tuple[Case, Volume]], manifest: Manifest, engine: Engine
) -> Iterator[ScoredScan]:
    """Every scan with its finding, of scans that somebody else reads, one at a time."""
    for (scored,) in _score_read(scans, (manifest,), engine):
        yield scored


def _score_read(
    scans: Iterable[tuple[Case, Volume]], manifests: Sequence[Manifest], engine: Engine
) -> Iterator[tuple[ScoredScan, ...]]:
    """As many scans at a time as memory may hold."""
    waiting: list[tuple[Case, Volume]] = []
    held = 0
    for case, volume in scans:
        waiting.append((case, volume))
        held += volume.voxels.size
        if held >= VOXELS_AT_ONCE:
            yield from _score(waiting, manifests, engine)
            waiting, held = [], 0
    yield from _score(waiting, manifests, engine)


def is_anomalous(finding: Finding, manifest: Manifest) -> bool:
    """What the shipped thresholds say of a scan."""
    if manifest.anomalous_by == "mask":
        return bool(finding.mask.any())
    return finding.score > manifest.score_threshold.value


def _score(
    waiting: list[tuple[Case, Volume]], manifests: Sequence[Manifest], engine: Engine
) -> Iterator[tuple[ScoredScan, ...]]:
    first = manifests[0]
    groups = [images_for(volume, first) for _, volume in waiting]
    batch_size = usual_batch_size(first.image_size, BATCH_SIZE)
    outputs = ask(groups, first, engine, batch_size=batch_size)
    for (case, volume), images, said in zip(waiting, groups, outputs, strict=True):
        truth = truth_of(case, volume, seen_along(first.plane))
        yield tuple(
            ScoredScan(
                case=case,
                volume=volume,
                finding=it,
                truth=truth,
                plane=first.plane,
                slices=slices_of(volume, first),
            )
            for it in _findings(volume, images, said, manifests)
        )


def _findings(
    volume: Volume, images: Images, said: EngineOutputs, manifests: Sequence[Manifest]
) -> list[Finding]:
    """One under each manifest; what changes the mask only takes the map that is there already."""
    found: list[tuple[Postprocessing, Finding]] = []
    for manifest in manifests:
        how = manifest.postprocessing
        alike = [it for before, it in found if before.alike_before_threshold(how)]
        if alike:
            mask, lesions = lesions_above(
                alike[0].anomaly_map, manifest.map_threshold.value, how, manifest.plane
            )
            finding = replace(alike[0], mask=mask, lesions=lesions)
        else:
            finding = finding_of(volume, images, said, manifest)
        found.append((how, finding))
    return [finding for _, finding in found]
