"""monitoring.html: how runs lie beside their models' normals over time; opened from disk.

The page holds no script and fetches nothing: drawings are SVG, and all words that come from files
are escaped.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from infer.compared import LOOKS
from infer.errors import BadOutputError
from infer.monitored_runs import LeftOut, Monitored, Run, Series
from infer.monitored_table import lines_of, rows_of, said_of, scans_in, title_of, when
from infer.monitoring import AXES
from infer.printable import printable
from infer.writers.atomic import in_words, write_pieces

PAGE = "monitoring.html"
# What the page begins with, by which it is known for ours.
_HEAD = "<!DOCTYPE html>\n<!-- uad-infer --monitor -->\n"
WIDTH, HEIGHT, LEFT, BELOW = 720, 120, 66, 18  # of a drawing, in its own units
ROOM = 0.08  # above and below what is drawn, as a share of it


def write_monitored(out: Path, monitored: Monitored) -> Path:
    """Write the page into a folder; where it is.

    Raises:
        BadOutputError: something else has its name there, or the folder cannot be written.
    """
    path = out / PAGE
    if path.exists() and not _is_ours(path):
        raise BadOutputError(f"{path} is no page of --monitor", hint="choose another --out")
    write_pieces(path, (piece.encode() for piece in page(monitored)))
    return path


def page(monitored: Monitored) -> Iterator[str]:
    """The page in pieces."""
    style = files("infer").joinpath("report_page", "monitoring.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    yield (
        f'{_HEAD}<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>uad-infer: runs beside the normals</title><style>{style}</style></head><body>"
        "<h1>Runs beside the normals</h1>"
        '<p class="faint">Each mark is a run: the mean of its scans, and their lowest and highest. '
        "Grey: the model's normal scans, lowest to highest, with their median. "
        '<span class="shifted">Red</span>: shifted; <span class="higher">amber</span>: higher '
        "scores, as of many abnormal scans; hollow: too few scans to tell.</p>"
    )
    for series in monitored.series:
        yield from _series(series)
    yield from _left_out(monitored.left_out)
    yield "</body></html>\n"


def _series(series: Series) -> Iterator[str]:
    yield f"<section><h2>{escape(title_of(series))}</h2>"
    yield from (f'<p class="message">{escape(line)}</p>' for line in lines_of(series))
    quiet = []
    for name in series.together.compared:
        if LOOKS[name].axis == "geometry" and _is_constant(series, name):
            quiet.append(LOOKS[name].words)
        else:
            yield _drawing(series, name)
    if quiet:
        yield f'<p class="faint">The same in all scans and normals: {", ".join(quiet)}.</p>'
    yield "<table><thead><tr>"
    yield "".join(f"<th>{name}</th>" for name in ("finished (UTC)", "scans", *AXES, "run"))
    yield "</tr></thead><tbody>"
    for finished, folder, monitoring in rows_of(series):
        cells = "".join(
            f'<td class="{monitoring.axes[axis].replace(" ", "-")}">'
            f"{escape(said_of(monitoring, axis))}</td>"
            for axis in AXES
        )
        yield (
            f"<tr><td>{finished}</td><td>{scans_in(monitoring):,}</td>{cells}"
            f"<td><bdi>{_safe(folder)}</bdi></td></tr>"
        )
    yield "</tbody></table></section>"


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[str]:
    if left_out:
        yield "<section><h2>Left out</h2><ul>"
        for it in left_out:
            yield f"<li><bdi>{_safe(str(it.folder))}</bdi>: {escape(it.why)}</li>"
        yield "</ul></section>"


def _is_constant(series: Series, name: str) -> bool:
    compared = series.together.compared[name]
    low, _, high = compared.normals_range
    return low == high and (
        not compared.scans.count or compared.scans.lowest == compared.scans.highest == low
    )


class _Scale(NamedTuple):
    """Numbers to heights in a drawing; what lies beyond its ends is drawn at them."""

    bottom: float
    top: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "_Scale":
        """With some room above and below; what is never negative is not drawn as if it were."""
        low, high = min(values), max(values)
        room = ROOM * (high - low or abs(high) or 1.0)
        return cls(max(0.0, low - room) if low >= 0 else low - room, high + room)

    def y(self, value: float) -> float:
        share = (min(max(value, self.bottom), self.top) - self.bottom) / (self.top - self.bottom)
        return round((1 - share) * HEIGHT, 1)


def _drawing(series: Series, name: str) -> str:
    """One number of all runs, in order, over the band of the normals."""
    low, middle, high = series.together.compared[name].normals_range
    shown = [run for run in series.runs if run.monitoring.compared[name].scans.count]
    scale = _Scale.over([low, high, *(run.monitoring.compared[name].scans.mean for run in shown)])
    step = (WIDTH - LEFT) / max(1, len(shown))
    marks = [_mark(run, name, scale, LEFT + (at + 0.5) * step) for at, run in enumerate(shown)]
    foot = HEIGHT + BELOW - 4
    dates = [_text(LEFT, foot, when(run), "start") for run in shown[:1]]
    dates += [_text(WIDTH, foot, when(run), "end") for run in shown[1:][-1:]]
    words, thick = escape(LOOKS[name].words), max(1.0, scale.y(low) - scale.y(high))
    across = f'x1="{LEFT}" x2="{WIDTH}"'
    return (
        f"<figure><figcaption>{words}</figcaption>"
        f'<svg viewBox="0 -6 {WIDTH} {HEIGHT + BELOW + 6}" role="img" aria-label="{words}">'
        f'<rect class="band" x="{LEFT}" width="{WIDTH - LEFT}" y="{scale.y(high)}" '
        f'height="{thick:.1f}"/>'
        f'<line class="median" {across} y1="{scale.y(middle)}" y2="{scale.y(middle)}"/>'
        f'<line class="axis" {across} y1="{HEIGHT}" y2="{HEIGHT}"/>'
        + _text(LEFT - 6, 8, f"{scale.top:.4g}", "end")
        + _text(LEFT - 6, HEIGHT, f"{scale.bottom:.4g}", "end")
        + "".join(marks + dates)
        + "</svg></figure>"
    )


def _mark(run: Run, name: str, scale: _Scale, x: float) -> str:
    """A run's mean, and a line from its lowest to its highest scan."""
    scans, judged = run.monitoring.compared[name].scans, run.monitoring.judged[name]
    said = (
        f"{run.folder}, {when(run)}: {judged.verdict}, {scans.count} scans, mean {scans.mean:.4g} "
        f"({scans.lowest:.4g} to {scans.highest:.4g}), D {judged.distance:.2f}, "
        f"PSI {judged.index:.2f}"
    )
    verdict = judged.verdict
    if verdict == "shifted" and run.monitoring.axes[LOOKS[name].axis] == "higher":
        verdict_class = "higher"
    else:
        verdict_class = verdict.replace(" ", "-")
    return (
        f'<g class="mark {verdict_class}"><title>{_safe(said)}</title>'
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{scale.y(scans.lowest)}" '
        f'y2="{scale.y(scans.highest)}"/>'
        f'<circle cx="{x:.1f}" cy="{scale.y(scans.mean)}" r="4"/></g>'
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _safe(words: str) -> str:
    """Words from elsewhere: neither markup, nor letters that turn what stands around them."""
    return escape(printable(words))


def _is_ours(path: Path) -> bool:
    with in_words(path), path.open("rb") as text:
        return text.read(len(_HEAD)) == _HEAD.encode()
