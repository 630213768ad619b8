"""Four plots of where: ROC, precision over recall, Dice over threshold, sensitivity over size."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.localisation import LesionLine, Where
from export.voxel_curves import VoxelCurves

CLASSES = 6  # of lesions by size, equally many in each


def where_figure(where: Where, curves: VoxelCurves) -> Figure:
    """Of one model or baseline."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    figure.suptitle(f"{where.name}: voxels and lesions of all test scans")
    roc, precision, dice, sensitivity = (figure.add_subplot(2, 2, at + 1) for at in range(4))
    metrics = where.metrics
    roc.plot(curves.false_positive_rate, curves.true_positive_rate)
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.6)
    roc.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title=f"ROC, area {metrics['voxel_auroc']:.3f}",
    )
    precision.plot(curves.true_positive_rate, curves.precision)
    precision.set(xlabel="recall", ylabel="precision", title=f"AP {metrics['voxel_ap']:.3f}")
    _dice(dice, where, curves)
    _sensitivity(sensitivity, where.lesions)
    for axes in (roc, precision, dice, sensitivity):
        axes.set_ylim(-0.02, 1.02)
    return figure


def _dice(axes: Axes, where: Where, curves: VoxelCurves) -> None:
    """Of the map before the mask is cleaned, with the thresholds that validation chose."""
    axes.plot(curves.threshold, curves.dice)
    for (name, threshold), style in zip(
        where.map_thresholds.items(), ("-", "--", ":"), strict=False
    ):
        label = name.replace("_", " ")
        axes.axvline(threshold, color="black", linewidth=1, linestyle=style, label=label)
    shown = [*where.map_thresholds.values(), float(curves.threshold[curves.dice.argmax()])]
    axes.set_xlim(min(0.0, float(curves.threshold.min())), 2 * max(shown) or 1.0)
    axes.set(
        xlabel="threshold",
        ylabel="Dice",
        title=f"Dice before cleaning; oracle {where.metrics['oracle_dice']:.3f}",
    )
    axes.legend(fontsize="small", loc="upper right")


def _sensitivity(axes: Axes, lesions: tuple[LesionLine, ...]) -> None:
    """Lesions by rising size, in classes of equally many; pictures' in px, else in ml."""
    in_ml = all(it.volume_ml is not None for it in lesions)
    sizes = np.array([it.volume_ml if in_ml else it.voxels for it in lesions], float)
    found = np.array([it.found for it in lesions], float)
    order = np.argsort(sizes, kind="stable")
    classes = np.array_split(order, min(CLASSES, len(order)))
    axes.plot(sizes, found, "|", color="grey", label="lesion, found (1) or not (0)")
    middle = [float(np.median(sizes[it])) for it in classes]
    mean = [float(found[it].mean()) for it in classes]
    axes.plot(middle, mean, "o-", label="share found")
    axes.set_xscale("log")
    unit = "ml" if in_ml else "px"
    axes.set(xlabel=f"lesion size ({unit})", ylabel="sensitivity", title=f"{len(lesions)} lesions")
    axes.legend(fontsize="small", loc="lower right")
