"""Pictures of a comparison: score histograms, ROC curves, galleries of the best and the worst."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from export.evaluation import Evaluation
from export.panels import TITLES, tiles
from export.table import Compared

HISTOGRAM_BINS = 30
NORMAL, ABNORMAL = "tab:blue", "tab:orange"
# Files without the drawing library's version: equal pictures are equal bytes.
PNG_METADATA = {"Software": None}
GAP_PX = 4  # between the tiles of a gallery
SHOWN = 99.9  # percentile of map values at which the colours of maps end


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """The block `compare`."""

    gallery: int  # scans of each kind in a gallery

    def __post_init__(self) -> None:
        if self.gallery < 1:
            raise ValueError(f"gallery must be at least 1, got {self.gallery}")


def score_histograms(rows: Sequence[Compared]) -> Figure:
    """Test scores of normal and abnormal scans with the shipped threshold, one plot per row."""
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * lines), layout="constrained")
    for place, row in enumerate(rows):
        _histogram(figure.add_subplot(lines, columns, place + 1), row.evaluation)
    figure.axes[0].legend(fontsize="small", loc="upper right")
    return figure


def _histogram(axes: Axes, evaluation: Evaluation) -> None:
    scores, abnormal = evaluation.scores, evaluation.abnormal
    edges = np.histogram_bin_edges(scores, HISTOGRAM_BINS).tolist()
    axes.hist(scores[~abnormal], edges, alpha=0.65, color=NORMAL, label="normal")
    axes.hist(scores[abnormal], edges, alpha=0.65, color=ABNORMAL, label="abnormal")
    if evaluation.anomalous_by == "score":
        axes.axvline(evaluation.score_threshold, color="black", linewidth=1, label="threshold")
    axes.set(title=evaluation.name, xlabel="score", ylabel="test scans")


def roc_curves(rows: Sequence[Compared]) -> Figure:
    """All rows in one plot: models in solid lines, trivial baselines dashed."""
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        found = row.evaluation.metrics.get("auroc")
        if found is None:
            continue
        false_positive, true_positive, _ = roc_curve(row.evaluation.abnormal, row.evaluation.scores)
        axes.plot(
            false_positive,
            true_positive,
            linestyle="--" if row.trivial else "-",
            linewidth=1 if row.trivial else 2.2,
            label=f"{row.name}  {found.value:.3f} [{found.low:.2f}, {found.high:.2f}]",
        )
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.6)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    figure.legend(loc="outside right upper", fontsize="small", title="AUROC")
    return figure


def gallery(evaluation: Evaluation, count: int) -> Figure:
    """Best and worst of normal and abnormal test scans, each a column of tiles."""
    scores, abnormal = evaluation.scores, evaluation.abnormal
    rising = np.argsort(scores, kind="stable").tolist()
    normal = [at for at in rising if not abnormal[at]]
    ill = [at for at in rising if abnormal[at]]
    groups = {
        "best normal: lowest scores": normal[:count],
        "worst normal: highest scores": normal[::-1][:count],
        "best abnormal: highest scores": ill[::-1][:count],
        "worst abnormal: lowest scores": ill[:count],
    }
    return _grouped(evaluation, groups, count)


def outcomes(evaluation: Evaluation, count: int) -> Figure:
    """True and false positives and negatives, each the surest first."""
    anomalous = np.array([row.anomalous for row in evaluation.rows])
    rising = np.argsort(evaluation.scores, kind="stable").tolist()
    falling, abnormal = rising[::-1], evaluation.abnormal
    groups = {
        "true positives": [at for at in falling if abnormal[at] and anomalous[at]][:count],
        "false positives": [at for at in falling if not abnormal[at] and anomalous[at]][:count],
        "false negatives": [at for at in rising if abnormal[at] and not anomalous[at]][:count],
        "true negatives": [at for at in rising if not (abnormal[at] or anomalous[at])][:count],
    }
    return _grouped(evaluation, groups, count)


def _grouped(evaluation: Evaluation, groups: Mapping[str, Sequence[int]], count: int) -> Figure:
    """Four groups of scans by their titles."""
    figure = Figure(figsize=(2.2 * count + 2, 2 * len(TITLES) + 2.5), layout="constrained")
    by_score = evaluation.anomalous_by == "score"
    said = f"threshold {evaluation.score_threshold:.3g}" if by_score else "called by the mask"
    figure.suptitle(f"{evaluation.name}: {said}")
    for place, (title, chosen) in enumerate(groups.items()):
        axes = figure.add_subplot(2, 2, place + 1)
        axes.set_title(title)
        if chosen:
            _mosaic(axes, evaluation, chosen)
        else:
            axes.set_axis_off()
    return figure


def _mosaic(axes: Axes, evaluation: Evaluation, chosen: Sequence[int]) -> None:
    high = map_high(evaluation)
    columns = [tiles(evaluation.panels.at(at), map_high=high) for at in chosen]
    height, width = columns[0][0].shape[:2]
    padded = [
        np.concatenate(
            [np.pad(it, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255) for it in column]
        )
        for column in columns
    ]
    axes.imshow(np.concatenate(padded, axis=1), interpolation="nearest")
    names = [evaluation.rows[at].scan.rsplit("/", 1)[-1] for at in chosen]
    labels = [
        f"{name}\n{evaluation.scores[at]:.3g}" for name, at in zip(names, chosen, strict=True)
    ]
    across = [at * (width + GAP_PX) + width / 2 for at in range(len(chosen))]
    axes.set_xticks(across, labels, fontsize="x-small")
    down = [at * (height + GAP_PX) + height / 2 for at in range(len(TITLES))]
    axes.set_yticks(down, [it.replace(", ", ",\n") for it in TITLES], fontsize="x-small")
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)


def map_high(evaluation: Evaluation) -> float:
    """Where the colours of maps end: the same for all pictures of a model, so that they compare."""
    maps = evaluation.panels.anomaly_map.astype(np.float32)
    return max(float(np.percentile(maps, SHOWN)), evaluation.map_threshold)
