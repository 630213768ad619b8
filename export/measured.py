"""All that test scans say of an engine, in one pass over them: usual metrics, where, each step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.ablation import RATE, Ablation, StepRow
from export.calibration import kept_by_odds, map_threshold_at
from export.evaluation import Evaluation, evaluate
from export.localisation import RATES, Localiser, Where
from export.montage import Montages
from export.normal_voxels import NormalOf, NormalVoxels
from export.scan_scores import score_under
from export.where_config import WhereConfig
from infer.engine_batches import Engine
from infer.manifest import Manifest
from train.datasets.case import Case
from train.metrics import Bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one model or baseline."""

    evaluation: Evaluation
    where: Where
    steps: list[StepRow]  # none where postprocessing is not ablated


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """What validation normals say beyond what ships."""

    map_thresholds: dict[str, float]  # by the names of `RATES`
    steps: dict[str, Manifest]  # each with the threshold that is its own


NOT_RECALIBRATED = Recalibrated(map_thresholds={}, steps={})


def is_measurable(test: Iterable[Case]) -> bool:
    """Whether of any abnormal scan it is known where it is abnormal."""
    return any(it.mask is not None for it in test)


def recalibrate(
    validation: Iterable[Case],
    manifest: Manifest,
    steps: Mapping[str, Manifest],
    engine: Engine,
    normal_of: NormalOf,
) -> Recalibrated:
    """Map thresholds at fixed rates on validation normals; test scans have no part in it.

    Steps have one of their own, unless what ships has that of its network's odds.

    Raises:
        CalibrationError: there are no normals.
    """
    wanted = [it for it in validation if it.normal or (normal_of == "slices" and it.mask)]
    under = [*steps.values(), manifest]
    voxels = [NormalVoxels(normal_of) for _ in under]
    for found in score_under(wanted, under, engine):
        for it, scored in zip(voxels, found, strict=True):
            it.add(scored)
    *of_steps, shipped = voxels
    by_odds = kept_by_odds(manifest.map_threshold)
    return Recalibrated(
        map_thresholds=thresholds_at_rates(shipped),
        steps={
            name: replace(step, map_threshold=by_odds or map_threshold_at(it.values, RATE))
            for (name, step), it in zip(steps.items(), of_steps, strict=True)
        },
    )


def thresholds_at_rates(voxels: NormalVoxels) -> dict[str, float]:
    """The map thresholds at which a share of normal voxels is above, by the names of `RATES`."""
    return {name: map_threshold_at(voxels.values, rate).value for name, rate in RATES.items()}


def measure(
    test: Sequence[Case],
    manifest: Manifest,
    engine: Engine,
    further: Recalibrated,
    bootstrap: Bootstrap,
    config: WhereConfig,
    *,
    montages: Path | None,
) -> Measured:
    """Score test scans once, and measure what was found.

    Args:
        montages: where a picture of each volume goes; None: none are drawn.
    """
    localiser = Localiser(manifest, further.map_thresholds, config)
    ablation = Ablation(further.steps, config)
    drawn = Montages(montages, manifest, config.montage_slices)
    found = score_under(test, [*further.steps.values(), manifest], engine)
    evaluation = evaluate(drawn.of(localiser.of(ablation.of(found))), manifest, bootstrap)
    return Measured(evaluation=evaluation, where=localiser.result(), steps=ablation.table())
