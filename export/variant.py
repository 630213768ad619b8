"""A variant of an exported model: in fewer bits, checked on validation, with thresholds of its own.

Thresholds and the table of normals are not kept but chosen again, as the export chose them, by the
variant's own scores. What decides whether it is accepted, correlation and AUROC, does not see a
shift of all scores; a threshold and a percentile of normals do (int8 moved those of `cae` by a
tenth of their standard deviation).

Which operators stay in float is chosen on normals alone; whether the outcome is accepted, on all
validation scans. Test scans have no part in either.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from export import onnx_file, parity
from export.calibration import Calibration, ExportConfig, calibrate, kept_by_odds
from export.draft import calibrated
from export.reduction import Reduced, Reduction, ever_more_in_float
from export.release import SELF_TEST_TOLERANCE
from export.scan_scores import BATCH_SIZE, THREADS, ScoredScan, is_anomalous, score_scans
from export.variant_check import Comparison, Scored, compared, objections
from infer.digest import digest
from infer.engine import OnnxEngine, open_engine
from infer.engine_batches import Engine, EngineOutputs, run_batches
from infer.errors import UnreadableScanError
from infer.manifest import SCHEMA, Manifest, SelfTest, Variant
from infer.precision import VariantPrecision
from infer.self_test import measure as measure_self_test
from infer.shapes import Images
from infer.signature import unsigned
from infer.volumetric import usual_batch_size
from train.datasets.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The file in fp32, and what it says of validation."""

    content: bytes
    engine: OnnxEngine
    validation: Sequence[Case]
    scored: Scored
    normals: Images  # as the graph takes them

    @property
    def abnormal(self) -> np.ndarray:
        """Which of the validation scans are."""
        return np.array([not it.normal for it in self.validation])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """The last graph that was tried, accepted or not."""

    left_in_float: tuple[str, ...]
    comparison: Comparison
    against: Sequence[str]  # what speaks against it
    model: onnx.ModelProto
    manifest: Manifest  # complete only where nothing does


def source_of(path: Path, validation: Sequence[Case], normals: Images) -> Source:
    """A file in fp32 as what variants are made of and measured by."""
    engine = open_engine(path, device="cpu", threads=THREADS)
    return Source(
        content=unsigned(path.read_bytes()),
        engine=engine,
        validation=validation,
        scored=said_of(validation, engine, engine.manifest),
        normals=normals,
    )


def make(
    source: Source, reduction: Reduction, precision: VariantPrecision, config: ExportConfig
) -> Tried:
    """Reduce as much as validation accepts; if it accepts nothing, the attempt that came last."""
    expected = _of_normals(source.engine, source).score
    tried = None
    for found in ever_more_in_float(reduction, lambda it: _loss(it, source, expected)):
        tried = _try(source, reduction, found, precision, config)
        if not tried.against:
            break
    if tried is None:
        raise RuntimeError("a reduction has not even tried to reduce all")
    return tried


def said_of(validation: Iterable[Case], engine: Engine, manifest: Manifest) -> Scored:
    """Scores and decisions at the manifest's thresholds, in the order of the scans."""
    found = [
        (it.finding.score, is_anomalous(it.finding, manifest))
        for it in score_scans(validation, manifest, engine)
    ]
    scores, anomalous = zip(*found, strict=True)
    return Scored(scores=np.array(scores), anomalous=np.array(anomalous))


def open_model(model: onnx.ModelProto, manifest: Manifest) -> OnnxEngine:
    """An engine on a graph that is not a file yet, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "variant.onnx"
        onnx_file.write(path, model, manifest)
        return open_engine(path, device="cpu", threads=THREADS)


def _try(
    source: Source,
    reduction: Reduction,
    found: Reduced,
    precision: VariantPrecision,
    config: ExportConfig,
) -> Tried:
    before = source.engine.manifest
    engine = open_model(found.model, before)
    try:
        calibration = _calibration(source.validation, engine, before, config)
        manifest = replace(calibrated(before, calibration), schema=SCHEMA)
        after = said_of(source.validation, engine, manifest)
    except UnreadableScanError:  # it overflows: a score or map is not finite
        after = Scored(
            scores=np.full(len(source.validation), np.nan), anomalous=source.scored.anomalous
        )
        manifest = before
    comparison = compared(after, source.scored, source.abnormal)
    against = objections(comparison, precision)
    if not against:
        variant = _variant(source, reduction, found, precision, comparison)
        manifest = _complete(manifest, variant, source, engine)
    return Tried(
        left_in_float=found.left_in_float,
        comparison=comparison,
        against=against,
        model=found.model,
        manifest=manifest,
    )


def _calibration(
    validation: Sequence[Case], engine: Engine, manifest: Manifest, config: ExportConfig
) -> Calibration:
    """As the export calibrates."""
    scored: Iterator[ScoredScan] = score_scans(validation, manifest, engine)
    by_odds = kept_by_odds(manifest.map_threshold)
    return calibrate(scored, config, map_threshold=by_odds)


def _variant(
    source: Source,
    reduction: Reduction,
    found: Reduced,
    precision: VariantPrecision,
    comparison: Comparison,
) -> Variant:
    return Variant(
        of=digest(source.content),
        precision=precision,
        how=reduction.in_words,
        left_in_float=found.left_in_float,
        calibration_images=reduction.calibration_images,
        scans=comparison.scans,
        correlation=comparison.correlation,
        auroc=comparison.auroc,
        auroc_before=comparison.auroc_before,
        decided_otherwise=comparison.decided_otherwise,
        accepted_on=("cpu",),
        self_test=source.engine.manifest.self_test,
    )


def _complete(manifest: Manifest, variant: Variant, source: Source, engine: OnnxEngine) -> Manifest:
    """With what the variant itself says of the phantom, and how far it is from its source."""
    before = source.engine.manifest
    score, peak_value = measure_self_test(engine, manifest)
    expected = SelfTest(
        score=score,
        peak_value=peak_value,
        tolerance=SELF_TEST_TOLERANCE,
        score_zero=before.self_test.score_zero,
    )
    same = parity.differences(
        _of_normals(source.engine, source),
        [_of_normals(engine, source)],
        images=len(source.normals),
        measured_on="prepared validation normals",
    )
    return replace(manifest, self_test=expected, parity=same, variant=variant)


def _of_normals(engine: Engine, source: Source) -> EngineOutputs:
    """What an engine says of the normals' images, a batch at a time."""
    batch_size = usual_batch_size(source.normals.shape[2:], BATCH_SIZE)
    return run_batches([source.normals], engine, batch_size=batch_size)[0]


def _loss(model: onnx.ModelProto, source: Source, expected: np.ndarray) -> float:
    """How far normals' scores move, in standard deviations of theirs; infinite if not finite."""
    found = _of_normals(open_model(model, source.engine.manifest), source).score
    moved = float(np.sqrt(np.square(found - expected, dtype=np.float64).mean()))
    spread = float(expected.std(dtype=np.float64)) or 1.0  # all alike: any unit will do
    return moved / spread if np.isfinite(moved) else float("inf")
