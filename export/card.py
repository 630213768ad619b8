"""A model card: what a model is for, what it reached, and what made it, for people who must decide.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. What is not known is said to be
not known. Numbers are those that the stages `evaluate` and `compare` reported here, and only if
they are of this very file, or of the one whose thresholds a site replaced.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from export.evaluation import DIGITS, rounded, tested_file
from export.remembering import methods_of, remembers
from export.sections import Section, to_html, to_markdown
from infer.describe import facts
from infer.digest import digest
from infer.engine import read_manifest
from infer.errors import BadOutputError, UnknownChoiceError
from infer.manifest import Manifest, Recalibration
from infer.writers.atomic import write_bytes
from train.paths import report_folder
from train.recipes import find, is_known

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
ABSENT = {"recalibrated": "no", "variant": "none: it computes in fp32"}
SHOWN = ("auroc", "average_precision", "accuracy", "recall", "precision", "f1", "specificity")
USE = "For research on finding anomalies in medical images; not a medical device."
HEALTHY = (
    "It marks what differs from the healthy scans that it was fitted to, which need not be a "
    "disease, and what looks healthy to it may be none."
)
LABELLED = (
    "It learned from labelled scans, normal and abnormal ones: it marks what resembles the "
    "abnormal ones, which need not be a disease, and may pass over an abnormality of a kind that "
    "was not among them."
)
REMEMBERS = (
    "It remembers healthy scans, which can be redrawn from this file: it may go only where they "
    "may."
)
LIMITS = (
    "It was measured on the scans of its study only. Another scanner, protocol, age or region of "
    "the body may move its scores: recalibrate it on normal scans of your own, and heed what "
    "uad-infer says of scans that are unlike its normals."
)
NOT_KNOWN = "Not known here"


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
    title = f"Model card: {manifest.method}, study {manifest.study}"
    sections = sections_of(manifest, digest(model.read_bytes()))
    text = (to_html if out.suffix == ".html" else to_markdown)(title, sections)
    try:
        write_bytes(out, text.encode())
    except OSError as error:
        raise BadOutputError(f"{out} cannot be written: {error.strerror}", hint="") from error
    return out


def sections_of(manifest: Manifest, sha256: str) -> list[Section]:
    """Everything the card says, in order."""
    said = ABSENT | facts(manifest)
    first = [it for it in said if it not in (*OF_THE_DECISION, *OF_THE_ORIGIN)]
    use = f"{USE} {_learned_from(manifest)}"
    limits = (LIMITS, REMEMBERS) if remembers(manifest) else (LIMITS,)
    return [
        Section(title="Intended use and limits", sentences=(use, *limits)),
        _table("What it is", said, first),
        _numbers(manifest),
        _baselines(manifest),
        _table("How it decides", said, OF_THE_DECISION),
        _table("Where it comes from", {"SHA-256": sha256, **said}, ("SHA-256", *OF_THE_ORIGIN)),
    ]


def _learned_from(manifest: Manifest) -> str:
    """What it was fitted to, and so what it marks; an ensemble is what its members are."""
    fitted = methods_of(manifest)
    if any(is_known(it) and find(it).supervised for it in fitted):
        return LABELLED
    if unknown := [it for it in fitted if not is_known(it)]:
        return (
            f"What it was fitted to is not known here ({', '.join(unknown)} is no method of this "
            "version of uad, or an ensemble of before members were noted): what it marks need not "
            "be a disease, and what it passes over need not be healthy."
        )
    return HEALTHY


def _table(title: str, said: Mapping[str, str], names: Sequence[str]) -> Section:
    rows = [(name.strip(), said[name]) for name in names if name in said]
    return Section(title=title, columns=("", "as the file says"), rows=rows)


def _numbers(manifest: Manifest) -> Section:
    """What the study's test scans said of it, with intervals."""
    sentence, rows = _reported(manifest)
    columns = ("metric", "value", "interval over groups")
    return Section(title="What it reached", sentences=[sentence], columns=columns, rows=rows)


def _reported(manifest: Manifest) -> tuple[str, list[tuple[str, str, str]]]:
    """What the stage `evaluate` said of this file, and of which scans; or why that is not known."""
    name = manifest.method
    if manifest.variant:  # as the stage `quantise` calls its file, and so `evaluate` its report
        name += f".{manifest.variant.precision}"
    path = report_folder(manifest.study, "evaluate") / f"{name}.json"
    write = f"python -m export.stages.evaluate PARAMS {name} writes it"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except FileNotFoundError:
        return f"{NOT_KNOWN}: there is no {path}; {write}.", []
    except msgspec.DecodeError as error:
        return f"{NOT_KNOWN}: {path} is damaged ({error}); {write} anew.", []
    if (whose := _whose(manifest, found)) is None:
        told, own = found.get("score_threshold"), manifest.score_threshold.value
        return (
            f"{NOT_KNOWN}: {path} is of another export (score threshold "
            f"{'not told' if told is None else f'{told:.6g}'}, this file's is {own:.6g}); "
            f"{write} anew.",
            [],
        )
    rows = [(it, f"{found[it]:.3f}", _interval(found, it)) for it in SHOWN if it in found]
    scans = f"{_count(found, 'normal')} and {_count(found, 'abnormal')} test scans of study"
    if not rows:
        return f"{NOT_KNOWN}: {path} tells nothing of {scans} {manifest.study}.", []
    return f"On {scans} {manifest.study}, as {path} has them.{whose}", rows


def _whose(manifest: Manifest, found: Mapping[str, float]) -> str | None:
    """What is to be added on whose numbers these are; None: another file's.

    A report names no file, but the thresholds that it was measured at, which each export chooses
    anew.
    """
    if _at(manifest, found):
        return ""
    if any(_at(before, found) for before in manifest.recalibrated):
        return (
            " They are those of the file that this one was recalibrated from: auroc and "
            "average_precision are this one's too, the others were measured at the earlier "
            "threshold."
        )
    return None


def _at(thresholds: Manifest | Recalibration, found: Mapping[str, float]) -> bool:
    """Whether a report was measured at these thresholds, rounded as it rounds them."""
    own = {
        "score_threshold": thresholds.score_threshold.value,
        "map_threshold": thresholds.map_threshold.value,
    }
    return all(
        name in found and rounded(found[name]) == rounded(value) for name, value in own.items()
    )


def _count(found: Mapping[str, float], label: str) -> str:
    count = found.get(f"scans_{label}")
    return f"{'an unknown number of' if count is None else int(count)} {label}"


def _interval(found: Mapping[str, float], name: str) -> str:
    low, high = (found.get(f"{name}_{end}") for end in ("low", "high"))
    return "not known" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _baselines(manifest: Manifest) -> Section:
    """What a reader should compare that with: of the same test, or it is not known."""
    title = "Beside trivial baselines"
    path = report_folder(manifest.study, "compare.csv")
    if not path.exists():
        return Section(title=title, sentences=[f"{NOT_KNOWN}: there is no {path}."])
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    trivial = [it for it in lines if not it["fit_seconds"]]
    if not trivial:
        return Section(title=title, sentences=[f"{NOT_KNOWN}: {path} has no baselines."])
    if not _is_of_this_test(manifest, lines):
        return Section(
            title=title,
            sentences=[
                f"{NOT_KNOWN}: {path} has no row of {manifest.method} as it was evaluated; "
                "python -m export.stages.compare PARAMS writes it anew."
            ],
        )
    rows = [(it["method"], _rounded(it["auroc"])) for it in trivial]
    return Section(title=title, columns=("baseline", "auroc"), rows=rows)


def _is_of_this_test(manifest: Manifest, lines: Sequence[Mapping[str, str]]) -> bool:
    """Whether a comparison has what `evaluate` reported of the method, digit by digit."""
    try:
        path = report_folder(manifest.study, "evaluate") / f"{manifest.method}.json"
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    own = [it for it in lines if it["method"] == manifest.method]
    if len(own) != 1:
        return False
    if manifest.variant:
        if tested_file(path.with_suffix("")) != manifest.variant.of:
            return False
    elif _whose(manifest, found) is None:
        return False
    told = {name: own[0][name] for name in ("auroc", "average_precision") if name in own[0]}
    return all(
        value == (f"{found[name]:.{DIGITS}g}" if name in found else "")
        for name, value in told.items()
    )


def _rounded(number: str) -> str:
    return f"{float(number):.3f}" if number else "not known"
