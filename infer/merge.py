"""`uad-infer --merge`: the reports of a job array's tasks become one; masks stay where they are."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from infer import output_folder
from infer.counted import counted
from infer.errors import BadOutputError, UnknownChoiceError
from infer.journal import Entries
from infer.monitoring import Monitoring, in_lines, monitoring_from
from infer.part import part_of
from infer.printable import printable
from infer.report_csv import Report, Row
from infer.share import Share, read_share
from infer.shown import overlay_of, page_rows
from infer.slices_csv import ScanLines, SliceTable, profile
from infer.writers.atomic import write_bytes

# Of the options in run.json: those that may differ from part to part. Any other shapes results.
_FREE = {
    *("folder", "out", "part", "device", "batch_size", "workers"),
    *("overlays", "maps", "dicom_seg", "overwrite", "max_failures"),
    *("executor", "ray_address", "retries", "tensorrt_cache"),
}


class Merged(NamedTuple):
    """How a merge went."""

    counts: Mapping[str, int]
    shares: int
    gaps: Sequence[str]  # what is missing, each in words
    monitoring: Monitoring

    def in_words(self, out: Path) -> str:
        """The closing lines."""
        counts = self.counts
        places = (output_folder.PAGE, output_folder.REPORT, output_folder.SLICES)
        return "\n".join(
            (
                f"{counted(counts['scans'], 'scan')} in {counted(self.shares, 'report')}: "
                f"{counts['ok']} ok ({counts['anomalous']} anomalous), {counts['failed']} failed",
                *in_lines(self.monitoring),
                *(f"  {printable(str(out / name))}" for name in places if (out / name).exists()),
            )
        )


def merge_reports(folders: Sequence[Path], out: Path) -> Merged:
    """Join the reports of runs with the same model and options; masks are named, not copied.

    Raises:
        BadOutputError: a folder is no finished run's, or `out` cannot take the result.
        UnknownChoiceError: the runs do not belong together.
    """
    if not folders:
        raise UnknownChoiceError(
            "--merge needs the folders of the parts", hint="uad-infer --merge DIR DIR … --out OUT"
        )
    _refuse_harmful(out, folders)
    shares = [read_share(folder) for folder in folders]
    for share in shares[1:]:
        _refuse_foreign(share, shares[0])
    gaps = [*_missing_parts(shares), *_unfinished(shares)]
    _refuse_overlap(shares)
    monitoring = _monitored(shares)
    with output_folder.claimed(out):
        rows = [_moved(row, share, out) for share in shares for row in share.rows]
        Report(out / output_folder.REPORT).write(rows)
        _write_slices(out, shares)
        run = _run_of(shares, out, gaps, monitoring)
        text = json.dumps(run, indent=2, ensure_ascii=False) + "\n"
        write_bytes(out / output_folder.RUN, text.encode(errors="surrogateescape"))
        _write_page(out, shares, rows, run)
    return Merged(run["counts"], len(shares), gaps, monitoring)


def _refuse_harmful(out: Path, folders: Sequence[Path]) -> None:
    """See that what is written to `out` replaces no report but an earlier merge's.

    Raises:
        BadOutputError: it would.
    """
    output_folder.refuse_foreign(out)
    scored = Entries.read(out / output_folder.JOURNAL)
    if scored or _is_a_run(out) or out.resolve() in {folder.resolve() for folder in folders}:
        raise BadOutputError(
            f"{out} holds the results of a run, the merged report would replace its own",
            hint="choose another --out",
        )


def _is_a_run(out: Path) -> bool:
    """Whether a run has written there, be it that it could score nothing; a merge has not."""
    try:
        return "merged" not in json.loads((out / output_folder.RUN).read_text(errors="replace"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        return True  # damaged: it may be one


def _refuse_foreign(share: Share, first: Share) -> None:
    """Were both made by the same model with the same options?

    Raises:
        UnknownChoiceError: they were not; what was given for one and for the other.
    """
    for name, (own, theirs) in _differences(share.run, first.run):
        raise UnknownChoiceError(
            f"{share.folder} and {first.folder} do not belong together: "
            f"{name} is {own} there and {theirs} here",
            hint="merge the parts of one job, made with the same model and options",
        )


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    pairs = {
        "the model": (one["model"]["sha256"], other["model"]["sha256"]),
        "the version of uad": (one["versions"]["uad"], other["versions"]["uad"]),
    }
    for name in sorted((one["options"].keys() | other["options"].keys()) - _FREE):
        said = "--" + name.replace("_", "-")
        pairs[said] = (one["options"].get(name), other["options"].get(name))
    for name, (own, theirs) in pairs.items():
        if own != theirs:
            yield name, (own, theirs)


def _missing_parts(shares: Sequence[Share]) -> Iterator[str]:
    """Parts of the job that were not given, in words.

    Raises:
        UnknownChoiceError: parts of different jobs, or the same part twice.
    """
    said = [share.run["options"]["part"] for share in shares]
    if not any(said):
        return
    parts = [part_of(text) for text in said if text]
    if len(parts) < len(said) or len({part.of for part in parts}) > 1:
        raise UnknownChoiceError(
            f"these are not the parts of one job: {', '.join(text or 'no part' for text in said)}",
            hint="merge runs with the same N in --part I/N",
        )
    for part, times in Counter(parts).items():
        if times > 1:
            places = [str(it.folder) for it in shares if it.run["options"]["part"] == str(part)]
            raise UnknownChoiceError(
                f"part {part} is there {times} times: {', '.join(places)}",
                hint="name each part's folder once",
            )
    given = {part.number for part in parts}
    for number in sorted(set(range(1, parts[0].of + 1)) - given):
        yield f"part {number}/{parts[0].of} was not given"


def _unfinished(shares: Sequence[Share]) -> Iterator[str]:
    for share in shares:
        if count := share.run["counts"]["unfinished"]:
            yield f"{count} scans of {share.folder}: its run was {share.run['outcome']}"


def _refuse_overlap(shares: Sequence[Share]) -> None:
    seen: dict[str, Path] = {}
    for share in shares:
        for row in share.rows:
            if row.scan in seen:
                raise UnknownChoiceError(
                    f"{row.scan} is in {seen[row.scan]} and in {share.folder}",
                    hint="merge runs that share no scan, as --part makes them",
                )
            seen[row.scan] = share.folder


def _moved(row: Row, share: Share, out: Path) -> Row:
    """The row with its mask's path as seen from `out`."""
    return row._replace(mask=_seen_from(out, share.folder / row.mask)) if row.mask else row


def _seen_from(out: Path, path: Path) -> str:
    try:
        # From where it really lies: `..` of a link is not the folder that the link lies in.
        return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()


def _write_slices(out: Path, shares: Sequence[Share]) -> None:
    parts = [share.parts for share in shares if share.parts is not None]
    if len(parts) < len(shares):
        return
    table = SliceTable(out / output_folder.SLICES, parts[0])
    table.start(
        ScanLines(entry.row.scan, entry.slices) for share in shares for entry in share.scored()
    )


def _monitored(shares: Sequence[Share]) -> Monitoring:
    """All scans together beside the normals.

    Raises:
        BadOutputError: a record is not as its run wrote it: the model, and so the normals, are one.
    """
    try:
        return monitoring_from([share.run["monitoring"] for share in shares])
    except ValueError as error:
        raise BadOutputError(
            f"the {output_folder.RUN} of a part is not as it was written: {error}",
            hint="start the runs of the parts again: they go on where they were",
        ) from error


def _run_of(
    shares: Sequence[Share], out: Path, gaps: Sequence[str], monitoring: Monitoring
) -> dict[str, Any]:
    """run.json of the whole; what differs from part to part is in it of each."""
    first = shares[0].run
    counts: Counter[str] = Counter()
    for share in shares:
        counts.update(share.run["counts"])
    seconds = sum(share.run["timing"]["seconds"] for share in shares)
    scored = counts["scans"] - counts["resumed"] - counts["unfinished"]
    return {
        "outcome": "incomplete" if gaps else "finished",
        "missing": list(gaps),
        "model": first["model"],
        "device": first["device"],
        "versions": first["versions"],
        "options": {name: value for name, value in first["options"].items() if name not in _FREE},
        "counts": {name: counts[name] for name in first["counts"]},
        "left_out": _left_out(shares),
        "monitoring": monitoring.as_record(),
        "timing": {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),  # of all parts together
            "scans_per_second": round(scored / seconds, 3) if seconds else 0.0,
        },
        "merged": [
            {
                "folder": _seen_from(out, share.folder),
                "part": share.run["options"]["part"],
                **{name: share.run[name] for name in ("outcome", "device", "counts", "timing")},
            }
            for share in shares
        ],
    }


def _left_out(shares: Sequence[Share]) -> dict[str, int]:
    """Files that are no scans, by ending. Parts saw the same folder, other runs one each."""
    seen = [share.run["left_out"] for share in shares]
    endings = dict.fromkeys(ending for each in seen for ending in each)
    joined = max if shares[0].run["options"]["part"] else sum
    return {ending: joined([each.get(ending, 0) for each in seen]) for ending in endings}


def _write_page(
    out: Path, shares: Sequence[Share], rows: Sequence[Row], run: Mapping[str, Any]
) -> None:
    from infer.report_html import Results, write_page

    scored = [(share, entry) for share in shares for entry in share.scored()]
    overlays = {
        entry.row.scan: _seen_from(out, share.folder / name)
        for share, entry in scored
        if (name := overlay_of(entry))
    }
    profiles = {entry.row.scan: profile(entry.slices) for _, entry in scored}
    results = Results(
        shown=page_rows(rows, overlays, profiles),
        run=run,
        normals=shares[0].run["normal_scores"],
    )
    write_page(out / output_folder.PAGE, results)
