"""The same test scans under every method: what each redraws, where it differs, what it marks."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from export.evaluation import Evaluation
from export.figures import map_high
from export.panels import Panel, tiles

GAP_PX = 4
MOST_MODELS = 6  # in a picture: more, and a screen shows no column whole
SHOWN = {"reconstruction": 1, "difference": 2, "mask": 4}  # by place in `panels.TITLES`


def pictures(evaluations: Iterable[Evaluation], count: int) -> Iterator[Figure]:
    """All of them in as many pictures as it takes, those of another image size in their own."""
    by_size: dict[tuple[int, ...], list[Evaluation]] = {}
    for it in evaluations:
        by_size.setdefault(it.panels.image.shape, []).append(it)
    for alike in by_size.values():
        needed = -(-len(alike) // MOST_MODELS)
        each = -(-len(alike) // needed)
        for start in range(0, len(alike), each):
            yield side_by_side(alike[start : start + each], count)


def side_by_side(evaluations: Sequence[Evaluation], count: int) -> Figure:
    """The first `count` normal and abnormal scans as columns; each method's tiles as rows."""
    first = evaluations[0]
    normal, abnormal = np.flatnonzero(~first.abnormal), np.flatnonzero(first.abnormal)
    names = [first.rows[at].scan for at in (*normal[:count], *abnormal[:count])]
    rows = {"scan": [tiles(_panel(first, name), map_high=1.0)[0] for name in names]}
    for evaluation in evaluations:
        high = map_high(evaluation)
        drawn = [tiles(_panel(evaluation, name), map_high=high) for name in names]
        rows |= {
            f"{evaluation.name}\n{what}": [it[at] for it in drawn] for what, at in SHOWN.items()
        }
    pad = ((0, GAP_PX), (0, GAP_PX), (0, 0))
    picture = np.concatenate(
        [
            np.concatenate([np.pad(it, pad, constant_values=255) for it in row], axis=1)
            for row in rows.values()
        ]
    )
    height, width = (side + GAP_PX for side in rows["scan"][0].shape[:2])
    figure = Figure(figsize=(1.3 * len(names) + 2, 1.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(picture, interpolation="nearest")
    axes.set_xticks(
        [(at + 0.5) * width for at in range(len(names))],
        [
            f"{name.rsplit('/', 1)[-1]}\n{'normal' if at < len(normal[:count]) else 'abnormal'}"
            for at, name in enumerate(names)
        ],
        fontsize="x-small",
    )
    axes.set_yticks([(at + 0.5) * height for at in range(len(rows))], list(rows), fontsize="small")
    axes.tick_params(length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    return figure


def _panel(evaluation: Evaluation, scan: str) -> Panel:
    at = next(at for at, row in enumerate(evaluation.rows) if row.scan == scan)
    return evaluation.panels.at(at)
