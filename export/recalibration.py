"""A model with thresholds and a table of normals from a site's own scans; its graph is untouched.

A scanner that the model's validation never saw moves scores, and a threshold chosen elsewhere lets
through more, or less, than it says. Normals of the place where the model is used put that right.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import onnx

from export import onnx_file
from export.calibration import (
    Calibration,
    CalibrationError,
    ExportConfig,
    calibrate,
    kept_by_odds,
)
from export.draft import calibrated
from export.scan_scores import THREADS, ScoredScan, score_volumes
from infer.digest import digest, digest_of_all
from infer.engine import open_engine
from infer.errors import BadModelError, BadOutputError, UnreadableScanError
from infer.images import images_for
from infer.manifest import SCHEMA, Manifest, Recalibration
from infer.readers import read_series, read_with_digest
from infer.readers.choice import seen_along
from infer.readers.discovery import scans_in
from infer.readers.sources import Sources
from infer.signature import unsigned
from infer.volume import Volume
from train.datasets.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What share of the normals may lie above the new thresholds."""

    scans: float  # of the score threshold
    pixels: float  # of the map threshold

    def __post_init__(self) -> None:
        for rate in (self.scans, self.pixels):
            if not 0 < rate < 1:
                raise CalibrationError(
                    f"a false-positive rate must lie between 0 and 1, got {rate:g}",
                    hint="0.05 lets one of twenty normal scans through",
                )

    @property
    def fewest_scans(self) -> int:
        """So many that one of them may lie above: with fewer the rate would in truth be 0."""
        return math.ceil(1 / self.scans - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """What a recalibration wrote."""

    path: Path
    before: Manifest
    manifest: Manifest
    unreadable: list[str]  # why, of each scan that was left out

    def in_words(self) -> str:
        """For the terminal."""
        old, new = self.before, self.manifest
        return "\n".join(
            (
                *(f"left out: {reason}" for reason in self.unreadable),
                f"{self.path}: thresholds of {len(new.normals.scores)} normal scans",
                f"  score threshold {new.score_threshold.value:.4g} instead of "
                f"{old.score_threshold.value:.4g}: {new.score_threshold.chosen_by}",
                f"  map threshold {new.map_threshold.value:.4g} instead of "
                f"{old.map_threshold.value:.4g}: {new.map_threshold.chosen_by}",
            )
        )


@dataclass(slots=True)
class _Seen:
    """What came of reading."""

    digests: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def recalibrate(model: Path, normals: Path, *, rates: Rates, out: Path) -> Recalibrated:
    """Write a new model file whose thresholds and normals are those of the scans in a folder.

    Raises:
        CalibrationError: there are too few scans for the rate, or it would decide nothing.
        BadModelError: the file is no model of ours.
        BadOutputError: there is something at `out`.
    """
    if out.exists():
        raise BadOutputError(
            f"{out} exists: a recalibrated model is a new file", hint="choose another --out"
        )
    engine = open_engine(model, device="cpu", threads=THREADS)
    before = engine.manifest
    _refuse_by_mask(before, model)
    sources, seen = scans_in(normals, out).scans, _Seen()
    _refuse_few(len(sources), rates, seen, normals)
    scans = _volumes(sources, before, seen)
    found = _calibration(score_volumes(scans, before, engine), before, rates, seen, normals)
    content = _same(model, engine.sha256)
    entry = Recalibration(
        original_sha256=digest(unsigned(content)),
        scans=len(seen.digests),
        scans_sha256=digest_of_all(seen.digests),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        score_threshold=before.score_threshold,
        map_threshold=before.map_threshold,
        normals=len(before.normals.scores),
    )
    manifest = replace(
        calibrated(before, found), schema=SCHEMA, recalibrated=(*before.recalibrated, entry)
    )
    onnx_file.write(out, onnx.load_model_from_string(content), manifest)
    return Recalibrated(path=out, before=before, manifest=manifest, unreadable=seen.unreadable)


def _calibration(
    scored: Iterable[ScoredScan], manifest: Manifest, rates: Rates, seen: _Seen, normals: Path
) -> Calibration:
    """As the export calibrates; the scans are read meanwhile, and may turn out to be too few."""
    config = ExportConfig(
        anomalous_by=manifest.anomalous_by,
        score_threshold=rates.scans,
        normals="scans",
        map_false_positive_rate=rates.pixels,
        map_odds=None,
        aggregation=manifest.aggregation,
        postprocessing=manifest.postprocessing,
    )
    try:
        by_odds = kept_by_odds(manifest.map_threshold)
        found = calibrate(scored, config, of="normals of the site", map_threshold=by_odds)
    except CalibrationError:
        _refuse_few(len(seen.digests), rates, seen, normals)
        raise
    _refuse_few(len(seen.digests), rates, seen, normals)
    return found


def _volumes(sources: Sources, manifest: Manifest, seen: _Seen) -> Iterator[tuple[Case, Volume]]:
    """Each scan that the model can take; why not, of the others."""
    choice = seen_along(manifest.plane)
    for name, source in sources.items():
        try:
            volume, content = (
                read_series(source.series, choice)
                if source.series
                else read_with_digest(source.path, choice)
            )
            images_for(volume, manifest)  # refuses what is too thin, or of other channels
        except UnreadableScanError as error:
            seen.unreadable.append(f"{name}: {error}")
            continue
        seen.digests.append(content)
        yield Case(scan=source.path, group=name, normal=True, mask=None), volume


def _refuse_few(count: int, rates: Rates, seen: _Seen, normals: Path) -> None:
    if count >= rates.fewest_scans:
        return
    lost = f"; {len(seen.unreadable)} could not be used, e.g. " if seen.unreadable else ""
    raise CalibrationError(
        f"{normals} has {count} normal scans: a false-positive rate of {rates.scans:g} needs at "
        f"least {rates.fewest_scans}{lost}{seen.unreadable[0] if lost else ''}",
        hint=f"add {rates.fewest_scans - count} normal scans, or choose a higher rate",
    )


def _refuse_by_mask(manifest: Manifest, model: Path) -> None:
    if manifest.anomalous_by == "mask":
        raise CalibrationError(
            f"{model} calls a scan anomalous where its mask is not empty: a threshold of its score "
            "would change nothing",
            hint="export it with anomalous_by: score",
        )


def _same(model: Path, sha256: str) -> bytes:
    """The file's bytes, if they are those that were scored with."""
    content = model.read_bytes()
    if digest(content) != sha256:
        raise BadModelError(
            f"{model} has changed since the scans were scored", hint="start it again"
        )
    return content
