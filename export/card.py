"""A model card: what a model is for, what it reached, and what made it, for people who must decide.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. What is not known is said to be
not known. Numbers are those that the stages `evaluate` and `compare` reported here.
"""

import csv
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infer.describe import facts
from infer.digest import digest
from infer.engine import read_manifest
from infer.errors import BadOutputError, UnknownChoiceError
from infer.manifest import Manifest
from infer.writers.atomic import write_bytes
from train.paths import report_folder

ENDINGS = (".md", ".html")
OF_THE_DECISION = (
    "anomalous if",
    "chosen by",
    "mask if",
    "chosen by ",
    "map before",
    "mask cleaning",
)
OF_THE_ORIGIN = (
    *("normal scans", "recalibrated", "variant", "parity", "made by", "members", "code", "data"),
    *("versions", "schema"),
)
SHOWN = ("auroc", "average_precision", "accuracy", "recall", "precision", "f1", "specificity")
USE = (
    "For research on finding anomalies in medical images; not a medical device. It marks what "
    "differs from the healthy scans that it was fitted to, which need not be a disease, and what "
    "looks healthy to it may be none.",
    "It was measured on the scans of its study only. Another scanner, protocol, age or region of "
    "the body may move its scores: recalibrate it on normal scans of your own, and heed what "
    "`uad-infer` says of scans that are unlike its normals.",
)
STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 52em; color: #222; line-height: 1.45 }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .3em .6em }
th { text-align: left; background: #f4f4f4 } td { vertical-align: top; overflow-wrap: anywhere }
td:first-child { white-space: nowrap }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what is below it."""

    title: str
    sentences: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def write_card(model: Path, out: Path) -> Path:
    """Write the card of a model file; `out` ends in .md or .html.

    Raises:
        UnknownChoiceError: it ends in something else.
        BadModelError: the model cannot be read.
        BadOutputError: the card cannot be written.
    """
    if out.suffix not in ENDINGS:
        raise UnknownChoiceError(
            f"{out}: a card is {' or '.join(ENDINGS)}, not {out.suffix or 'without an ending'}",
            hint="name another file with --out",
        )
    manifest = read_manifest(model)
    title = f"{manifest.method}, study {manifest.study}"
    sections = sections_of(manifest, digest(model.read_bytes()))
    text = (to_html if out.suffix == ".html" else to_markdown)(title, sections)
    try:
        write_bytes(out, text.encode())
    except OSError as error:
        raise BadOutputError(f"{out} cannot be written: {error.strerror}", hint="") from error
    return out


def sections_of(manifest: Manifest, sha256: str) -> list[Section]:
    """Everything the card says, in order."""
    said = facts(manifest)
    first = [it for it in said if it not in (*OF_THE_DECISION, *OF_THE_ORIGIN)]
    return [
        Section(title="Intended use and limits", sentences=USE),
        _table("What it is", said, first),
        _numbers(manifest),
        _baselines(manifest),
        _table("How it decides", said, OF_THE_DECISION),
        _table("Where it comes from", {"SHA-256": sha256, **said}, ("SHA-256", *OF_THE_ORIGIN)),
    ]


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """The card for a repository."""
    lines = [f"# Model card: {title}"]
    for it in sections:
        lines += ["", f"## {it.title}", ""]
        lines += [line for sentence in it.sentences for line in (sentence, "")]
        if it.rows:
            cells = (_escaped(row) for row in (it.columns, ["---"] * len(it.columns), *it.rows))
            lines += [f"| {' | '.join(row)} |" for row in cells] + [""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The card as one page that asks for nothing else."""
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>Model card: {html.escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Model card: {html.escape(title)}</h1>",
    ]
    for it in sections:
        parts.append(f"<h2>{html.escape(it.title)}</h2>")
        parts += [f"<p>{html.escape(sentence)}</p>" for sentence in it.sentences]
        if it.rows:
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in it.columns)
            rows = ("".join(f"<td>{_lines(cell)}</td>" for cell in row) for row in it.rows)
            parts += [f"<table><tr>{head}</tr>", *(f"<tr>{row}</tr>" for row in rows), "</table>"]
    return "\n".join([*parts, "</body></html>", ""])


def _table(title: str, said: Mapping[str, str], names: Sequence[str]) -> Section:
    rows = [(name.strip(), said[name]) for name in names if name in said]
    return Section(title=title, columns=("", "as the file says"), rows=rows)


def _numbers(manifest: Manifest) -> Section:
    """What the study's test scans said of it, with intervals."""
    title = "What it reached"
    path = report_folder(manifest.study, "evaluate") / f"{manifest.method}.json"
    if not path.exists():
        return Section(title=title, sentences=[f"Not known here: there is no {path}."])
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        (name, f"{found[name]:.3f}", f"{found[f'{name}_low']:.3f} to {found[f'{name}_high']:.3f}")
        for name in SHOWN
        if name in found
    ]
    sentence = f"On the test scans of study {manifest.study}, as {path} has them."
    if manifest.recalibrated or manifest.variant:
        sentence += " They are those of the file that this one was made of."
    columns = ("metric", "value", "interval over groups")
    return Section(title=title, sentences=[sentence], columns=columns, rows=rows)


def _baselines(manifest: Manifest) -> Section:
    """What a reader should compare that with."""
    title = "Beside trivial baselines"
    path = report_folder(manifest.study, "compare.csv")
    if not path.exists():
        return Section(title=title, sentences=[f"Not known here: there is no {path}."])
    with path.open(newline="", encoding="utf-8") as file:
        lines = [it for it in csv.DictReader(file) if not it["fit_seconds"]]
    rows = [(it["method"], _rounded(it["auroc"])) for it in lines]
    return Section(title=title, columns=("baseline", "auroc"), rows=rows)


def _rounded(number: str) -> str:
    return f"{float(number):.3f}" if number else "not known"


def _escaped(row: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("\n", "<br>") for cell in row]


def _lines(cell: str) -> str:
    return html.escape(cell).replace("\n", "<br>")
