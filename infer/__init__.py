"""Score folders of medical scans with an exported anomaly model: no torch, no network."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from infer.model import Model
    from infer.precision import Precision

# Here and not asked of the installed package: that takes 30 ms of every start.
__version__ = "0.1.0"
__all__ = ["load"]


def load(
    model: "str | os.PathLike[str]",
    *,
    device: str = "auto",
    precision: "Precision | None" = None,
    threshold: float | None = None,
    map_threshold: float | None = None,
    batch_size: int | None = None,
    tensorrt_cache: "str | os.PathLike[str] | None" = None,
    require_signature: "str | os.PathLike[str] | None" = None,
) -> "Model":
    """Open a model for scoring scans one by one: `load("cae.onnx").score("scan.nii.gz").score`.

    Args:
        model: An .onnx file of this project's export stage, `models:/name@alias` in the MLflow
            registry that MLFLOW_TRACKING_URI names, or an address in object storage (`s3://…`).
        device: auto, cpu, cuda, cuda:N, tensorrt or openvino.
        precision: None: the file's own, fp32 unless it is a variant in fp16 or int8. With openvino
            or tensorrt also bf16 or fp16 of a file in fp32, where the processor can.
        threshold: Score above which a scan is anomalous; None: the model's own.
        map_threshold: Map value above which a voxel is; None: the model's own.
        batch_size: Slices, or volumes, that go through the network together; None: as `uad-infer`
            does, so that results are the same. With 1, single pictures take less time and may
            differ in their last digits.
        tensorrt_cache: A folder in which TensorRT keeps what it builds; only with that device.
        require_signature: A public key (PEM, Ed25519) whose owner must have signed the file.

    Raises:
        infer.errors.UadError: the model cannot be opened, or not on this device.
    """
    from infer.model import open_model  # NumPy, ONNX Runtime, …: `import infer` stays light

    return open_model(
        model,
        device=device,
        precision=precision,
        threshold=threshold,
        map_threshold=map_threshold,
        batch_size=batch_size,
        tensorrt_cache=tensorrt_cache,
        require_signature=require_signature,
    )
