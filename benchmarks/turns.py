"""What is compared takes turns, and is compared within each: a machine that slows down does so for
all. The median over the turns counts."""

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import stages


def seconds(*command: str | Path) -> float:
    """How long a whole process takes."""
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def summary(
    turns: Sequence[Mapping[str, float]], *, usual: Sequence[str], own: Sequence[str]
) -> dict[str, Any]:
    """Medians over the turns, of what is compared within a turn too; and the turns themselves.

    `usual` and `own` name the stages beside the model: of the usual libraries, and as `uad-infer`
    does the same.
    """
    compared = [{**turn, **_shares(turn, usual, own)} for turn in turns]
    middle = {name: statistics.median(it[name] for it in compared) for name in compared[0]}
    return {**middle, "turns": [dict(turn) for turn in turns]}


def _shares(
    turn: Mapping[str, float], usual: Sequence[str], own: Sequence[str]
) -> dict[str, float]:
    """How one turn's run stands beside the others, and beside the limits."""
    best, best_own = (
        stages.best_pipeline([turn[name] for name in ("model_alone", *of)]) for of in (usual, own)
    )
    return {
        "best_pipeline": best,
        "best_own_pipeline": best_own,
        "share_of_model": turn["uad_infer"] / turn["model_alone"],
        "times_plain_script": turn["uad_infer"] / turn["plain_script"],
        "share_of_best": turn["uad_infer"] / best,
        "share_of_best_own": turn["uad_infer"] / best_own,
    }
