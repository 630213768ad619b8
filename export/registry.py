"""What export and evaluation add to MLflow: model versions, test metrics, the comparison."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from train import tracking  # before mlflow, which reads what it sets when it is imported

# isort: split
import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from infer.digest import digest
from infer.shapes import Images
from train.provenance import git_tags

# What loading the logged model needs; named, or MLflow would open the model to find out.
REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]


def register(path: Path, *, study: str, method: str, run_id: str, example: Images) -> str:
    """Log an exported file to its fit's run as a new registered version; the version's number."""
    client = tracking.open_client()
    run_id = _known(client, run_id, study, method)
    name = f"uad-{study}-{method}"
    model = onnx.load(path)
    outputs: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype(np.float32), (-1, *_sizes(output)), output.name)
        for output in model.graph.output
    ]
    image = TensorSpec(np.dtype(np.float32), (-1, *example.shape[1:]), "image")
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.onnx.log_model(
            model,
            name=method,
            signature=ModelSignature(Schema([image]), Schema(outputs)),
            input_example={"image": example},
            registered_model_name=name,
            pip_requirements=REQUIREMENTS,
            onnx_execution_providers=["CPUExecutionProvider"],  # there everywhere
            save_as_external_data=False,
        )
    version = str(logged.registered_model_version)
    # A store may write a model in its own way: by its hash a file is known again.
    tags = {"sha256": digest(path.read_bytes()), **tracking.dvc_tags()}
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    return version


def log_test(
    metrics: Mapping[str, float],
    *,
    study: str,
    method: str,
    run_id: str,
    files: Iterable[Path],
    sha256: str,
    precision: str = "",
) -> None:
    """Add the test's metrics, as test_<name>, and files to the run of the fit.

    Of a variant, which shares that run with the file it was made from, as test_<precision>_<name>.
    The run has those of the first file that was tested, and says which by the tag <test>.sha256.
    Another one, exported with another threshold or by other code, has a run of its own below it:
    neither takes the other's place. Which run it is, the file's registered version says by its tag
    <test>.run.

    Args:
        sha256: of the file that was tested.
    """
    test = f"test_{precision}" if precision else "test"
    tag = f"{test}.sha256"
    client = tracking.open_client()
    run_id = _known(client, run_id, study, method)
    fit = client.get_run(run_id).data
    # With metrics and no tag, it is of before: nobody knows which file they are of.
    is_free = tag not in fit.tags and not any(f"{test}_{it}" in fit.metrics for it in metrics)
    if not is_free and fit.tags.get(tag) != sha256:
        own = {tracking.PARENT_TAG: run_id, "study": study, "method": method, tag: sha256}
        run_id = tracking.record(study, f"{method}, exported again", tags=own, once=True)
    with mlflow.start_run(run_id=run_id):
        mlflow.set_tag(tag, sha256)
        mlflow.log_metrics({f"{test}_{name}": value for name, value in metrics.items()})
        for path in files:
            mlflow.log_artifact(str(path), test)
    name = f"uad-{study}-{method}"
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("sha256") == sha256:
            client.set_model_version_tag(name, version.version, f"{test}.run", run_id)


def log_files(files: Iterable[Path], *, study: str, method: str, run_id: str, to: str) -> None:
    """Add files to the run of the fit, in the folder `to` of its artifacts."""
    run_id = _known(tracking.open_client(), run_id, study, method)
    with mlflow.start_run(run_id=run_id):
        for path in files:
            mlflow.log_artifact(str(path), to)


def log_comparison(
    table: Mapping[str, Mapping[str, float]],
    *,
    study: str,
    files: Iterable[Path],
    data: str,
) -> None:
    """One run `compare` with the table and its figures.

    Args:
        data: hash of what is compared on; "" where it is not of one division.
    """
    tags = {"study": study, "stage": "compare", **git_tags()}
    if data:
        tags["data_hash"] = data
    run_id = tracking.record(study, "compare", tags=tags)
    with mlflow.start_run(run_id=run_id):
        mlflow.log_metrics(
            {
                f"{_allowed(row)}.{name}": value
                for row, it in table.items()
                for name, value in it.items()
            }
        )
        for path in files:
            mlflow.log_artifact(str(path))


def log_crossval(
    table: Mapping[str, Mapping[str, float]],
    *,
    study: str,
    parents: Mapping[str, str],
    files: Iterable[Path],
    data: str,
) -> None:
    """One run `crossval` with the table and its figures; each method's metrics to its own run.

    Args:
        data: hash of all scans of the study, as images.
    """
    tags = {"study": study, "stage": "crossval", "data_hash": data, **git_tags()}
    own = tracking.record(study, "crossval", tags=tags)
    with mlflow.start_run(run_id=own):
        mlflow.log_metrics(
            {
                f"{_allowed(row)}.{name}": value
                for row, it in table.items()
                for name, value in it.items()
            }
        )
        for path in files:
            mlflow.log_artifact(str(path))
    for row, run_id in parents.items():
        with mlflow.start_run(run_id=run_id):
            mlflow.log_metrics(dict(table.get(row, {})))


def _allowed(row: str) -> str:
    """A row's name as MLflow takes it in a metric's: an ablation's has a + (`cae+no_affine`)."""
    return row.replace("+", "/")


def _known(client: mlflow.MlflowClient, run_id: str, study: str, method: str) -> str:
    """The run, or a new one where the fit's is not in this store (DVC may have restored it)."""
    if tracking.exists(client, run_id):
        return run_id
    tags = {"fit_run": run_id, "study": study, "method": method}
    return tracking.record(study, method, tags=tags, once=True)


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """An output's sizes after the batch."""
    return tuple(it.dim_value or -1 for it in value.type.tensor_type.shape.dim[1:])
