"""A study of a few made-up heads whose fit and exports went to an MLflow server on loopback."""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from export import registry
from export.promotion import promote
from export.stages.export import export
from tests.end_to_end.mlflow_server import MlflowServer, running
from tests.infer.tiny_model import SIZE, write_tiny_model
from tests.train.phantom_study import STUDY, make_phantom_study
from train import session
from train.data import load_images
from train.stages.fit import fit

NAME = f"uad-{STUDY}-cae"
CHAMPION = f"models:/{NAME}@champion"  # version 1, the study's own
ANOTHER = "another.onnx"  # version 2


@contextlib.contextmanager
def served_study(folder: Path) -> Iterator[MlflowServer]:
    """The server; meanwhile this process works in the study, and for this server."""
    with pytest.MonkeyPatch.context() as patch, running(folder / "server") as server:
        study = folder / "study"
        study.mkdir()
        patch.chdir(study)
        patch.setenv("DVC_ROOT", str(study))
        patch.setenv("MLFLOW_TRACKING_URI", server.url)
        patch.setattr(session, "WATCHES", 1)
        params = make_phantom_study("cae", (SIZE, SIZE), 1)
        server.wait()
        fit(params, "cae")
        export(params, "cae")
        promote(STUDY, "cae", alias="champion")
        images, _ = load_images(STUDY, "validation")
        another = write_tiny_model(study / ANOTHER)
        registry.register(another, study=STUDY, method="cae", run_id="none", example=images)
        yield server
    mlflow.set_tracking_uri(None)


def scores_in(out: Path) -> dict[str, str]:
    """What a report says of each scan."""
    with (out / "report.csv").open(newline="") as table:
        return {row["scan"]: row["score"] for row in csv.DictReader(table)}
