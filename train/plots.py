"""Pictures of a fit: what the model redraws, how losses fell, how scores part normal from not."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from infer.shapes import Images, Maps, Scores

COLUMNS = 8  # images side by side
TILE_INCHES = 1.2
BINS = 30


def grid(images: Images, intensity_range: tuple[float, float]) -> Figure:
    """Images in rows, black and white at the ends of their range."""
    tiles = [picture(image, intensity_range) for image in images]
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    figure = Figure(figsize=(COLUMNS * TILE_INCHES, len(rows) * TILE_INCHES))
    axes = figure.add_axes((0, 0, 1, 1))  # one for all: an axes each takes seconds
    axes.imshow(np.vstack(rows), cmap="gray", vmin=0, vmax=1, aspect="auto")
    axes.set_axis_off()
    return figure


def reconstructions(
    images: Images, redrawn: Images, maps: Maps, intensity_range: tuple[float, float]
) -> Figure:
    """Rows of image, reconstruction, image minus reconstruction, and anomaly map."""
    low, high = intensity_range
    figure = Figure(figsize=(len(images) * TILE_INCHES, 4 * TILE_INCHES), layout="constrained")
    brightest = float(maps.max()) or 1.0
    for column in range(len(images)):
        residual = middle(images[column] - redrawn[column]).mean(axis=0) / (high - low)
        tiles = (
            (picture(images[column], intensity_range), "gray", 0.0, 1.0),
            (picture(redrawn[column], intensity_range), "gray", 0.0, 1.0),
            (residual, "RdBu_r", -0.5, 0.5),
            (middle(maps[column])[0], "magma", 0.0, brightest),
        )
        for row, (tile, colours, darkest, lightest) in enumerate(tiles):
            axes = figure.add_subplot(4, len(images), row * len(images) + column + 1)
            axes.imshow(tile, cmap=colours, vmin=darkest, vmax=lightest)
            axes.set_axis_off()
    return figure


def marker_of(points: Sequence[object]) -> str:
    """How a curve through these points is drawn: of one record there is no line to be seen."""
    return "o" if len(points) == 1 else "-"


def curves(history: Sequence[Mapping[str, float]], names: Sequence[str], title: str) -> Figure:
    """Metrics over the records that have them."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name in names:
        points = [(step, record[name]) for step, record in enumerate(history) if name in record]
        if points:
            axes.plot(*zip(*points, strict=True), marker_of(points), label=name, linewidth=1)
    axes.set(title=title, xlabel="record")
    axes.grid(alpha=0.3)
    # Where curves seldom are. To look for the best place takes seconds, and a warning.
    axes.legend(fontsize="small", loc="lower right" if "AUROC" in title else "upper right")
    return figure


def histogram(scores: Scores, abnormal: np.ndarray) -> Figure:
    """Scores of normal and of abnormal images."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    values = scores.astype(np.float64)  # in float32, neighbours have no edges between them
    edges = np.histogram_bin_edges(values, BINS).tolist()
    axes.hist(values[~abnormal], edges, alpha=0.6, label="normal")
    axes.hist(values[abnormal], edges, alpha=0.6, label="abnormal")
    axes.set(title="validation scores", xlabel="score", ylabel="images")
    axes.legend(loc="upper right")
    return figure


def roc(scores: Scores, abnormal: np.ndarray, auroc: float) -> Figure:
    """Sensitivity against false alarms."""
    false_positive, true_positive, _ = roc_curve(abnormal, scores)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(false_positive, true_positive)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.set(
        title=f"validation AUROC {auroc:.3f}",
        xlabel="false positive rate",
        ylabel="true positive rate",
        aspect="equal",
    )
    return figure


def f1_over_threshold(scores: Scores, abnormal: np.ndarray) -> Figure:
    """F1 for every threshold the scores allow."""
    precision, recall, thresholds = precision_recall_curve(abnormal, scores)
    total = np.maximum(precision + recall, np.finfo(float).tiny)
    f1 = (2 * precision * recall / total)[: len(thresholds)]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(thresholds, f1)
    axes.set(title=f"best validation F1 {f1.max():.3f}", xlabel="threshold", ylabel="F1")
    axes.grid(alpha=0.3)
    return figure


def middle(image: np.ndarray) -> np.ndarray:
    """What is shown of `(channel, *pixels)`: all of a slice, of a volume its middle axial slice."""
    return image if image.ndim == 3 else image[:, image.shape[1] // 2]


def picture(image: np.ndarray, intensity_range: tuple[float, float]) -> np.ndarray:
    """An image `(channel, *pixels)` as matplotlib shows it: grey, or colour in [0, 1].

    Of a volume, its middle axial slice.
    """
    low, high = intensity_range
    shown = np.clip((middle(image) - low) / (high - low), 0, 1)
    if len(shown) == 3:
        return np.moveaxis(shown, 0, -1)
    return np.asarray(shown.mean(axis=0))
