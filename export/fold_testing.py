"""What a shipped file says of a fold's test scans, through `infer` as the product does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from export import evaluation
from export.calibration import ExportConfig
from export.fold_job import FoldJob
from export.fold_result import HalfResult, ScanResult
from export.fold_shipping import Shipped
from export.reconstruction_quality import quality_of
from export.scan_scores import ScoredScan, is_anomalous, score_scans
from infer.manifest import Manifest
from infer.scoring import scan_score
from train.metrics import Bootstrap
from train.params import Params
from train.pool import Pool
from train.protocol import CrossvalConfig, Fold, Protocol
from train.scores import ScoreRecipe
from train.validation import score

SHOWN = (0, 0)  # fold and half whose panels are kept, of the scans as published


class HalfTests:
    """The tests of a fold with either half of the abnormals; panels go to `reports`."""

    def __init__(self, params: Params, job: FoldJob, pool: Pool, fold: Fold, reports: Path) -> None:
        self.job = job
        self.fold = fold
        self.reports = reports
        self.recipes = params.blocks(ScoreRecipe, "scores")
        self.shows_grouped = params.block(CrossvalConfig, "crossval").shows_grouped
        self.aggregation = params.block(ExportConfig, "export").aggregation
        self.group_of = {case.scan: case.group for case in pool.cases}

    def of(self, shipped: Shipped) -> list[HalfResult]:
        """Of the half that the file may be tested on; `blind` may be tested on both."""
        halves = (0, 1) if shipped.keeper == "blind" else (int(shipped.keeper[-1]),)
        return [self._test(shipped, half) for half in halves]

    def _test(self, shipped: Shipped, half: int) -> HalfResult:
        cases, manifest = self.fold.halves[half].test, shipped.manifest
        scored = list(score_scans(cases, manifest, shipped.engine))
        protocol: Protocol = "blind" if shipped.keeper == "blind" else "study"
        shown = self.job.grouped == self.shows_grouped and not self.job.trivial
        if shown and (self.job.fold, half) == SHOWN:
            self._keep_panels(scored, manifest, protocol)
        return HalfResult(
            protocol=protocol,
            half=half,
            recipe=shipped.recipe,
            record=shipped.record,
            validation_auroc=shipped.auroc,
            score_threshold=manifest.score_threshold.value,
            chosen_by=manifest.score_threshold.chosen_by,
            scans=tuple(self._tested(it, manifest) for it in scored),
            other_scores=self._other_scores(shipped, scored),
        )

    def _tested(self, scored: ScoredScan, manifest: Manifest) -> ScanResult:
        case, finding = scored.case, scored.finding
        quality = quality_of(finding, manifest) if case.normal else None
        return ScanResult(
            scan=case.scan.as_posix(),
            group=self.group_of[case.scan],
            abnormal=not case.normal,
            score=finding.score,
            anomalous=is_anomalous(finding, manifest),
            psnr=None if quality is None else quality.psnr,
            ssim=None if quality is None else quality.ssim,
        )

    def _other_scores(
        self, shipped: Shipped, scored: Sequence[ScoredScan]
    ) -> dict[str, tuple[float, ...]]:
        """What every score recipe would have said of the same scans: for the table only.

        And each of the model's score parts by itself (`features_alone`), which no choice is made
        of: whether an f-AnoGAN finds by its images or by its critic's features is worth knowing.
        """
        if shipped.graph is None or shipped.healthy is None:
            return {}
        groups = [it.finding.images for it in scored]
        ends = np.cumsum([len(images) for images in groups])[:-1]
        images = torch.from_numpy(np.concatenate(groups))
        patches = shipped.manifest.patches
        *_, said = score(shipped.graph.model, self.recipes, images, shipped.healthy, patches)
        parts = {
            f"{name}_alone": tuple(
                scan_score(it.finding.score_parts[name], self.aggregation) for it in scored
            )
            for name in scored[0].finding.score_parts
        }
        return parts | {
            name: tuple(scan_score(own, self.aggregation) for own in np.split(scores, ends))
            for name, scores in said.items()
            if np.isfinite(scores).all()  # as validation compares
        }

    def _keep_panels(
        self, scored: Sequence[ScoredScan], manifest: Manifest, protocol: Protocol
    ) -> None:
        """What the pages show; of one fold and half, for it is many pixels."""
        few = Bootstrap(resamples=1, confidence=0.5, seed=0)  # the table has its own intervals
        folder = self.reports / "panels" / protocol / self.job.name
        found = evaluation.evaluate(scored, manifest, few)
        evaluation.save(folder, folder / "metrics.json", found)
