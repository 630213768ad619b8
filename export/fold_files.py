"""Where results of folds lie: one JSON each while they are made, one file per method when kept.

A fold is about 90 kB as JSON and 23 kB compressed. Fewer digits would save less, and change the
results: with four, scores that differ become equal, and an AUROC moves by up to 0.005.
"""

import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec

from export import fold_result
from export.fold_result import FoldResult
from infer.writers.atomic import write_bytes


class _Head(msgspec.Struct):
    """Which of its method's folds a line is of; the rest is skipped."""

    grouped: bool
    fold: int


def path_of(folds: Path, method: str, *, grouped: bool, fold: int) -> Path:
    """The JSON of a fold."""
    return folds / method / f"{'grouped' if grouped else 'published'}_fold{fold}.json"


def keep(kept: Path, results: Iterable[FoldResult]) -> list[Path]:
    """Write the folds of each method to <method>.jsonl.gz, a line each; equal ones, equal bytes.

    Folds that lie there and are not among these stay: they took hours.
    """
    by_method: dict[str, list[FoldResult]] = {}
    for result in results:
        by_method.setdefault(result.method, []).append(result)
    kept.mkdir(parents=True, exist_ok=True)
    for method, own in by_method.items():
        path = _kept_path(kept, method)
        lines = {(it.grouped, it.fold): fold_result.encoded(it) for it in own}
        lines = _lines_of(path) | lines
        whole = b"".join(lines[place] for place in sorted(lines))
        write_bytes(path, gzip.compress(whole, mtime=0))
    return [_kept_path(kept, method) for method in by_method]


def fetch(source: Path, method: str, *, grouped: bool, fold: int) -> bytes | None:
    """A fold's JSON from another run's folder or from what was kept of one; None: not there."""
    path = path_of(source, method, grouped=grouped, fold=fold)
    if path.exists():
        return path.read_bytes()
    return _lines_of(_kept_path(source, method)).get((grouped, fold))


def _lines_of(kept: Path) -> dict[tuple[bool, int], bytes]:
    """The folds kept of a method, by whether they are grouped and their number."""
    if not kept.exists():
        return {}
    lines = gzip.decompress(kept.read_bytes()).splitlines(keepends=True)
    heads = [msgspec.json.decode(line, type=_Head) for line in lines]
    return {(head.grouped, head.fold): line for head, line in zip(heads, lines, strict=True)}


def _kept_path(kept: Path, method: str) -> Path:
    return kept / f"{method}.jsonl.gz"
