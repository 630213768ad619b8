"""Headings, sentences and tables for people: as Markdown, or as one page by itself."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STYLE = """
body { font-family: sans-serif; margin: 2em auto; max-width: 52em; color: #222; line-height: 1.45 }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .3em .6em }
th { text-align: left; background: #f4f4f4 } td { vertical-align: top; overflow-wrap: anywhere }
td:first-child { white-space: nowrap }
"""
# What Markdown would not show as it stands. An underscore within a word it does.
MARKUP = str.maketrans({it: f"\\{it}" for it in "\\`*|"} | {"&": "&amp;", "<": "&lt;"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what is below it: plain text, in which nothing is markup."""

    title: str
    sentences: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """For a repository."""
    lines = [f"# {_as_markdown(title)}", ""]
    for it in sections:
        lines += [f"## {_as_markdown(it.title)}", ""]
        for sentence in it.sentences:
            lines += [_as_markdown(sentence), ""]
        if it.rows:
            lines += [_row(it.columns), "|---" * len(it.columns) + "|", *map(_row, it.rows), ""]
    return "\n".join(lines)


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The same as one page that asks for nothing else."""
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{_as_html(title)}</h1>",
    ]
    for it in sections:
        parts.append(f"<h2>{_as_html(it.title)}</h2>")
        parts += [f"<p>{_as_html(sentence)}</p>" for sentence in it.sentences]
        if it.rows:
            head, rows = _cells("th", it.columns), (_cells("td", row) for row in it.rows)
            parts += [f"<table><tr>{head}</tr>", *(f"<tr>{row}</tr>" for row in rows), "</table>"]
    return "\n".join([*parts, "</body></html>", ""])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_as_markdown, cells))} |"


def _as_markdown(text: str) -> str:
    return "<br>".join(text.translate(MARKUP).splitlines())


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}>{_as_html(cell)}</{tag}>" for cell in cells)


def _as_html(text: str) -> str:
    return "<br>".join(html.escape(text).splitlines())
