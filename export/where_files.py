"""What was found of where, to disk: numbers for DVC and MLflow, tables for people, figures.

<method>_where.json      flat: metrics over all measured scans, mean and std over groups, thresholds
<method>_where.csv       of, name, metric, value: everything; by group, kind and size class as well;
                         the last that is written
<method>/where_scans.csv one line per scan, measured or not and why not; its mask's SHA-256
<method>/lesions.csv     one line per lesion of the truth
<method>/steps.csv       what each step of postprocessing adds
<method>/where.png       four plots
<method>/voxels.npz      counts of all voxels by map value: export/kept_voxels.py
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from export import kept_voxels
from export.ablation import METRICS as STEP_METRICS
from export.ablation import StepRow
from export.evaluation import DIGITS, rounded
from export.figures import PNG_METADATA
from export.localisation import LesionLine, Where
from export.located_scan import LocatedScan
from export.voxel_curves import voxel_curves
from export.where_figure import where_figure
from infer.writers.atomic import write_bytes
from train.metrics import ScanPixels, dice_of

DPI = 110
STEPS = "steps.csv"
VOXELS = "voxels.npz"
LONG_COLUMNS = ("of", "name", "metric", "value")
SCAN_COLUMNS = (
    "scan",
    "group",
    "kind",
    "measured",
    "abnormal",
    "dice",
    "lesions",
    "false_lesions",
    "peak_inside",
    "mask_empty",
    "mask_sha256",
    "why_not",
)


def save(folder: Path, metrics_path: Path, where: Where, steps: list[StepRow]) -> list[Path]:
    """Write everything; the paths of what was written.

    <method>_where.csv comes last: where it is, all else is whole and of the same evaluation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics_path.write_text(json.dumps(flat(where), indent=2) + "\n", encoding="utf-8")
    tables = {
        folder / "where_scans.csv": (SCAN_COLUMNS, map(_scan_line, where.scans)),
        folder / "lesions.csv": (LesionLine.__annotations__, map(_lesion_line, where.lesions)),
        folder / STEPS: (("step", "map_threshold", *STEP_METRICS), map(_step_line, steps)),
    }
    for path, (columns, lines) in tables.items():
        _write_csv(path, columns, lines)
    pixels = pixels_of(where)
    written = [metrics_path, *tables]
    if pixels:
        kept_voxels.save(folder / VOXELS, pixels)
    curves = voxel_curves(pixels)
    if curves is not None:
        figure = folder / "where.png"
        where_figure(where, curves).savefig(figure, dpi=DPI, metadata=PNG_METADATA)
        written.append(figure)
    whole = metrics_path.with_suffix(".csv")
    _write_csv(whole, LONG_COLUMNS, _long(where))
    return [*written, whole]


def pixels_of(where: Where) -> list[ScanPixels]:
    """The counts of every measured scan."""
    return [it.truth.pixels for it in where.scans if it.truth is not None]


def flat(where: Where) -> dict[str, float]:
    """Name → number, as DVC and MLflow list them."""
    thresholds = {f"map_threshold_{name}": it for name, it in where.map_thresholds.items()}
    return {name: rounded(it) for name, it in (where.metrics | thresholds).items()}


def load_flat(metrics_path: Path) -> dict[str, float]:
    """What `save` wrote of all scans."""
    numbers: dict[str, float] = json.loads(metrics_path.read_text(encoding="utf-8"))
    return numbers


def load_parts(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """What `save` wrote by kind, size class and group: of what → its name → metric → number."""
    found: dict[str, dict[str, dict[str, float]]] = {"kind": {}, "size": {}, "group": {}}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["of"] in found:
                own = found[line["of"]].setdefault(line["name"], {})
                own[line["metric"]] = float(line["value"])
    return found


def load_steps(folder: Path) -> list[StepRow]:
    """What `save` wrote of the steps of postprocessing."""
    with (folder / STEPS).open(newline="", encoding="utf-8") as file:
        return [
            StepRow(
                line["step"],
                float(line["map_threshold"]),
                {it: float(line[it]) for it in STEP_METRICS if line[it]},
            )
            for line in csv.DictReader(file)
        ]


def _long(where: Where) -> Iterator[tuple[str, str, str, str]]:
    tables = {
        "all": {"": flat(where)},
        "kind": where.kinds,
        "size": where.sizes,
        "group": where.groups,
    }
    for of, rows in tables.items():
        for name, metrics in rows.items():
            for metric, value in metrics.items():
                yield of, name, metric, _number(value)


def _scan_line(it: LocatedScan) -> tuple[str, ...]:
    truth = it.truth
    of_truth = ("",) * 5
    if truth is not None:
        of_truth = (
            str(truth.abnormal),
            _number(dice_of(truth.pixels.confusion)) if truth.abnormal else "",
            str(len(truth.matched.lesions)),
            str(len(truth.matched.false)),
            str(truth.peak_inside) if truth.abnormal else "",
        )
    return (
        it.scan,
        it.group,
        it.kind,
        str(truth is not None),
        *of_truth,
        str(it.mask_empty),
        it.mask_sha256,
        it.not_measured,
    )


def _lesion_line(it: LesionLine) -> tuple[str, ...]:
    size_ml = "" if it.volume_ml is None else _number(it.volume_ml)
    covered = _number(it.covered)
    return it.scan, it.kind, str(it.voxels), size_ml, it.size_class, covered, str(it.found)


def _step_line(row: StepRow) -> tuple[str, ...]:
    metrics = (_number(row.metrics[it]) if it in row.metrics else "" for it in STEP_METRICS)
    return row.step, _number(row.map_threshold), *metrics


def _number(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def _write_csv(path: Path, columns: Iterable[str], lines: Iterable[Iterable[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    write_bytes(path, text.getvalue().encode())
