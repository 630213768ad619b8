"""Variants of an exported model in fewer bits, each checked on validation, in one table.

`python -m export.stages.quantise params.yaml cae [--precisions fp16 int8 bf16]`

models/<study>/<method>.fp16.onnx and .int8.onnx are written where validation accepts them (see
`export.variant_check`), and removed where it does not any more. bf16 is no file: OpenVINO computes
the one in fp32 in it, and the table says what that changes. reports/<study>/quantise/<method>.csv
and .md have a row for each file on the CPU and, where it is installed, through OpenVINO.
"""

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import onnx

from export import onnx_file
from export.calibration import ExportConfig
from export.half import Half
from export.int8 import Int8
from export.normal_images import normal_images
from export.reduction import Reduction
from export.remembering import remembers
from export.same_data import refuse_other_data
from export.same_rules import refuse_other_rules
from export.scan_scores import BATCH_SIZE, THREADS
from export.throughput import seconds_per_image
from export.variant import Source, Tried, make, said_of, source_of
from export.variant_check import Comparison, compared, objections
from export.variant_table import VariantRow, to_csv, to_markdown
from infer.engine import OnnxEngine, open_engine, open_graph
from infer.errors import (
    BadModelError,
    MissingExtraError,
    UnknownChoiceError,
    UnreadableScanError,
)
from infer.manifest import Manifest
from infer.precision import OF_VARIANTS, Precision, VariantPrecision
from infer.volumetric import usual_batch_size
from infer.writers.atomic import write_bytes
from train.command import run_stage
from train.data import load_cases
from train.params import Params
from train.paths import model_path, report_folder

PRECISIONS = (*OF_VARIANTS, "bf16")
ORDER = ("fp32", *PRECISIONS)
REFERENCE = "fp32 cpu"
ACCEPTED = "accepted"


@dataclass(slots=True)
class _Found:
    """Rows by name, and the engines of those whose speed is measured."""

    rows: dict[str, VariantRow]
    engines: dict[str, OnnxEngine]


def quantise(params: Params, method: str, precisions: Sequence[Precision]) -> None:
    """Write what is accepted, and the table.

    Raises:
        CalibrationError: validation has no normal or no abnormal scan.
        BadModelError: the study's file is none, not as it was exported, made of other data
            than is prepared now or by other rules than params give, or remembers images.
    """
    study = params.study
    path = model_path(study, method)
    validation = [it.case for it in load_cases(study) if it.split == "validation"]
    manifest = open_engine(path, device="cpu", threads=THREADS).manifest
    _refuse_changed(path, manifest)
    if remembers(manifest):
        raise BadModelError(
            f"{path} compares remembered images in float64: in fewer bits others would be alike",
            hint="leave it, or an ensemble with it, as it is",
        )
    refuse_other_data(
        path, manifest.provenance.data_hash, study, hint=f"fit and export {method} again"
    )
    refuse_other_rules(path, params)
    source = source_of(path, validation, normal_images(study, manifest))
    itself = compared(source.scored, source.scored, source.abnormal)
    found = _Found({}, {})
    _add(found, REFERENCE, source.engine, source.content, path, itself, "")
    _through_openvino(found, source, source.content, path, "fp32")
    for precision in precisions:
        if precision == "fp16" or precision == "int8":
            _variant(found, source, precision, params.block(ExportConfig, "export"))
        else:
            _through_openvino(found, source, source.content, path, precision)
    batch = usual_batch_size(manifest.image_size, BATCH_SIZE)
    seconds = seconds_per_image(found.engines, source.normals[:batch])
    _report(study, method, _timed(found.rows, seconds), source, batch)


def _refuse_changed(path: Path, manifest: Manifest) -> None:
    """Variants are made of what was exported: its numbers, and thresholds that validation gave."""
    if manifest.variant is not None:
        raise BadModelError(
            f"{path} is a variant itself, in {manifest.variant.precision}",
            hint="name the method whose file is in fp32",
        )
    if manifest.recalibrated:
        raise BadModelError(
            f"{path} has the thresholds of a site, a variant would have those of the validation",
            hint="make the variant of the file as it was exported, then recalibrate the variant",
        )


def _variant(
    found: _Found, source: Source, precision: VariantPrecision, config: ExportConfig
) -> None:
    """A file in fewer bits, written if validation accepts it."""
    tried = make(source, _reduction(source, precision), precision, config)
    before = source.engine.manifest
    target = model_path(before.study, f"{before.method}.{precision}")
    if tried.against:
        target.unlink(missing_ok=True)  # of an earlier export: it is a variant of nothing now
        found.rows[f"{precision} cpu"] = _refused(precision, tried)
        return
    content = onnx_file.content_of(tried.model, _accepted_on(tried.manifest, "cpu", "openvino"))
    if not _through_openvino(found, source, content, target, precision):
        content = onnx_file.content_of(tried.model, _accepted_on(tried.manifest, "cpu"))
    write_bytes(target, content)
    engine = open_graph(content, target, device="cpu", threads=THREADS)
    _add(found, f"{precision} cpu", engine, content, target, tried.comparison, ACCEPTED)


def _accepted_on(manifest: Manifest, *devices: Literal["cpu", "openvino"]) -> Manifest:
    """A variant's manifest that says so."""
    if manifest.variant is None:
        raise ValueError("only a variant is accepted or not")
    return replace(manifest, variant=replace(manifest.variant, accepted_on=devices))


def _reduction(source: Source, precision: VariantPrecision) -> Reduction:
    model = onnx.load_model_from_string(source.content)
    return Half(model) if precision == "fp16" else Int8(model, source.normals)


def _through_openvino(
    found: _Found, source: Source, content: bytes, path: Path, precision: Precision
) -> bool:
    """A file as OpenVINO computes it, the one in fp32 perhaps in bf16: does nothing speak against?

    If it cannot be measured, the row says why.
    """
    name = f"{precision} openvino"
    asked = None if precision == "fp32" else precision
    try:
        engine = open_graph(content, path, device="openvino", threads=THREADS, precision=asked)
        said = said_of(source.validation, engine, engine.manifest)
    except (MissingExtraError, UnknownChoiceError, BadModelError, UnreadableScanError) as error:
        found.rows[name] = VariantRow(
            precision=precision, device="openvino", file=path.name, verdict=f"not measured: {error}"
        )
        return False
    comparison = compared(said, source.scored, source.abnormal)
    against = objections(comparison, precision)
    _add(found, name, engine, content, path, comparison, _verdict(against))
    return not against


def _add(
    found: _Found,
    name: str,
    engine: OnnxEngine,
    content: bytes,
    path: Path,
    comparison: Comparison,
    verdict: str,
) -> None:
    manifest = engine.manifest
    found.engines[name] = engine
    found.rows[name] = VariantRow(
        precision=engine.device.precision,
        device=engine.device.got,
        file=path.name,
        mib=len(content) / 2**20,
        **_measures(comparison),
        left_in_float=", ".join(manifest.variant.left_in_float) if manifest.variant else "",
        verdict=verdict,
    )


def _refused(precision: Precision, tried: Tried) -> VariantRow:
    return VariantRow(
        precision=precision,
        device="cpu",
        file="",
        **_measures(tried.comparison),
        left_in_float=", ".join(tried.left_in_float),
        verdict=_verdict(tried.against),
    )


def _measures(found: Comparison) -> dict[str, Any]:
    return {
        "auroc": found.auroc,
        "auroc_drop": found.auroc_before - found.auroc,
        "correlation": found.correlation,
        "decided_otherwise": found.decided_otherwise,
    }


def _verdict(against: Sequence[str]) -> str:
    return f"refused: {'; '.join(against)}" if against else ACCEPTED


def _timed(
    rows: Mapping[str, VariantRow], seconds: Mapping[str, float]
) -> Mapping[str, VariantRow]:
    """With the speed of those that were run."""
    return {
        name: replace(
            row, ms_per_image=seconds[name] * 1e3, speed=seconds[REFERENCE] / seconds[name]
        )
        if name in seconds
        else row
        for name, row in rows.items()
    }


def _report(
    study: str, method: str, rows: Mapping[str, VariantRow], source: Source, batch: int
) -> None:
    folder = report_folder(study, "quantise")
    folder.mkdir(parents=True, exist_ok=True)
    table = sorted(rows.values(), key=lambda row: (ORDER.index(row.precision), row.device))
    text = to_markdown(
        table,
        title=f"Study {study}, {method}: fewer bits",
        measured_on=f"{platform.system()} {platform.machine()}, {THREADS} thread(s)",
        scans=len(source.validation),
        batch=batch,
    )
    write_bytes(folder / f"{method}.csv", to_csv(table).encode())
    write_bytes(folder / f"{method}.md", text.encode())
    print(text)


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m export.stages.quantise")
    parser.add_argument("params")
    parser.add_argument("method")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=OF_VARIANTS)
    given = parser.parse_args(arguments)
    return run_stage(
        lambda params: quantise(params, given.method, given.precisions), [given.params]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
