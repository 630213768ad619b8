"""One self-contained HTML page with every test scan of a model, the most anomalous first."""

import base64
import html

import cv2
import numpy as np

from export.evaluation import Evaluation, ScanRow
from export.figures import map_high
from export.panels import TITLES, tiles

JPEG_QUALITY = 88
GAP_PX = 3
STYLE = """
body { font-family: sans-serif; margin: 1.5em; background: #fff; color: #222 }
figure { display: inline-block; margin: 0 1em 1em 0; padding: .4em; border-left: .4em solid #999 }
figure.right { border-color: #2a7 } figure.wrong { border-color: #d33 }
figcaption { font-size: .8em; padding-bottom: .3em }
"""


def to_html(evaluation: Evaluation) -> str:
    """The page's text; pictures are inside."""
    falling = np.argsort(-evaluation.scores, kind="stable")
    high = map_high(evaluation)
    shown = [_figure(evaluation, int(at), high) for at in falling]
    wrong = sum(row.anomalous != (row.label == "abnormal") for row in evaluation.rows)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(evaluation.name)}'
            f"</title><style>{STYLE}</style></head><body>",
            f"<h1>{html.escape(evaluation.name)}: every test scan</h1>",
            f"<p>{len(shown)} scans by falling score; {wrong} are judged wrongly (red edge) "
            f"{_by_what(evaluation)}. From left to right: "
            f"{', '.join(TITLES)}. Of a volume, the slice with the highest score.</p>",
            *shown,
            "</body></html>",
            "",
        ]
    )


def _by_what(evaluation: Evaluation) -> str:
    if evaluation.anomalous_by == "mask":
        return f"by the mask, at the shipped map threshold {evaluation.map_threshold:.4g}"
    return f"at the shipped threshold {evaluation.score_threshold:.4g}"


def _figure(evaluation: Evaluation, at: int, high: float) -> str:
    row = evaluation.rows[at]
    pictures = tiles(evaluation.panels.at(at), map_high=high)
    strip = np.concatenate([np.pad(it, ((0, 0), (0, GAP_PX), (0, 0))) for it in pictures], axis=1)
    how = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), how)
    if not done:
        raise RuntimeError("OpenCV could not encode a strip")
    source = base64.b64encode(data.tobytes()).decode()
    right = row.anomalous == (row.label == "abnormal")
    return (
        f'<figure class="{"right" if right else "wrong"}"><figcaption>{_caption(row)}</figcaption>'
        f'<img loading="lazy" width="{strip.shape[1]}" height="{strip.shape[0]}" '
        f'alt="{html.escape(row.scan)}" src="data:image/jpeg;base64,{source}"></figure>'
    )


def _caption(row: ScanRow) -> str:
    said = "anomalous" if row.anomalous else "not anomalous"
    return (
        f"{html.escape(row.scan)}: {row.label}, called {said}; score {row.score:.4g}, "
        f"percentile of normal {row.normal_percentile:.0f}"
    )
