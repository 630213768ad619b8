"""Is a variant as good as the file it was made from? Both on the same validation scans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from export.calibration import CalibrationError
from infer.precision import Precision

# Of scan scores with those in fp32. bf16, which has fewer bits than fp16, is held to the same, and
# so is another engine in fp32.
SMALLEST_CORRELATION: dict[Precision, float] = {
    **{"fp32": 0.999, "bf16": 0.999, "fp16": 0.999},
    "int8": 0.99,
}
LARGEST_AUROC_DROP = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a file says of validation scans, in their order."""

    scores: np.ndarray
    anomalous: np.ndarray  # at its own thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What fewer bits change."""

    scans: int
    correlation: float  # NaN where scores are not finite, or all the same
    auroc: float
    auroc_before: float
    decided_otherwise: int


def compared(after: Scored, before: Scored, abnormal: np.ndarray) -> Comparison:
    """A file beside the one in fp32.

    Raises:
        CalibrationError: validation has no normal or no abnormal scan: there is no AUROC.
    """
    if abnormal.all() or not abnormal.any():
        lacking = "normal" if abnormal.all() else "abnormal"
        raise CalibrationError(
            f"no validation scan is {lacking}: whether fewer bits cost AUROC cannot be seen",
            hint="variants are made of studies whose validation has normal and abnormal scans",
        )
    finite = bool(np.isfinite(after.scores).all())
    return Comparison(
        scans=len(abnormal),
        correlation=_correlation(after.scores, before.scores) if finite else float("nan"),
        auroc=float(roc_auc_score(abnormal, after.scores)) if finite else float("nan"),
        auroc_before=float(roc_auc_score(abnormal, before.scores)),
        decided_otherwise=int((after.anomalous != before.anomalous).sum()),
    )


def objections(found: Comparison, precision: Precision) -> Sequence[str]:
    """What speaks against a file, in words; none: it is accepted."""
    said = []
    least = SMALLEST_CORRELATION[precision]
    if not found.correlation >= least:  # NaN is no number that is enough
        said.append(f"correlation {found.correlation:.4f}, at least {least:g} is asked")
    drop = found.auroc_before - found.auroc
    if not drop <= LARGEST_AUROC_DROP + 1e-12:  # 0.875 - 0.87 is a little more than 0.005
        said.append(f"AUROC drops by {drop:.4f}, at most {LARGEST_AUROC_DROP:g} is allowed")
    return said


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if not (np.ptp(one) and np.ptp(other)):
        return float("nan")
    return float(np.corrcoef(one.astype(np.float64), other.astype(np.float64))[0, 1])
