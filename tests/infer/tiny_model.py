"""A model small enough for tests: what a blur cannot redraw is anomalous. No training, no torch."""

from dataclasses import replace
from pathlib import Path

import cv2
import nibabel
import numpy as np
import onnx
from onnx import TensorProto, helper

from infer.intensity import Intensity
from infer.manifest import (
    METADATA_KEY,
    SCHEMA,
    Manifest,
    Normals,
    Parity,
    Provenance,
    SelfTest,
    Threshold,
    Variant,
    to_json,
)
from infer.masking import Postprocessing
from infer.scoring import Aggregation

SIZE = 32
KERNEL = 9

MANIFEST = Manifest(
    schema=SCHEMA,
    study="tiny",
    method="blur",
    modality="CT",
    channels=1,
    image_size=(SIZE, SIZE),
    plane="axial",
    intensity=Intensity(recipe="window", low=0.0, high=80.0, output_low=0.0, output_high=1.0),
    score_recipe="highest difference to a blur",
    aggregation=Aggregation(top_share=1e-9),
    anomalous_by="score",
    score_threshold=Threshold(value=0.45, chosen_by="eye"),
    map_threshold=Threshold(value=0.3, chosen_by="eye"),
    postprocessing=Postprocessing(closing_radius_px=1, smallest_lesion_px=2),
    normals=Normals(
        scores=(0.1, 0.2, 0.3, 0.4),
        intensity_mean=(0.2,),
        intensity_std=(0.1,),
        sizes=((SIZE, SIZE),),
        spacings_mm=(),
    ),
    self_test=SelfTest(score=0.0, peak_value=0.0, tolerance=1e-4),
    parity=Parity(reconstruction=0.0, anomaly_map=0.0, score=0.0, images=1, measured_on="nothing"),
    provenance=Provenance(
        mlflow_run_id="none",
        git_commit="none",
        git_dirty=False,
        data_hash="none",
        seed=0,
        versions={},
    ),
)


# Of a file in int8: what stands in the manifest decides, and the graph is whatever it is.
VARIANT = Variant(
    of="ab" * 32,
    precision="int8",
    how="static quantisation",
    left_in_float=("node_conv_7",),
    calibration_images=20,
    scans=70,
    correlation=0.9941,
    auroc=0.871,
    auroc_before=0.874,
    decided_otherwise=2,
    accepted_on=("cpu", "openvino"),
    self_test=SelfTest(score=0.5, peak_value=0.625, tolerance=0.01),
)


def tiny_graph(manifest: Manifest = MANIFEST, *, input_name: str = "image") -> onnx.ModelProto:
    """blur → |image − blur| → highest; parts: the mean."""
    spatial = list(manifest.image_size)
    channels = manifest.channels
    dims = len(spatial)  # 3: it looks at whole volumes
    kernel = np.full((channels, 1, *[KERNEL] * dims), 1 / KERNEL**dims, np.float32)
    nodes = [
        helper.make_node(
            "Conv",
            [input_name, "kernel"],
            ["reconstruction"],
            pads=[KERNEL // 2] * 2 * dims,
            group=channels,
        ),
        helper.make_node("Sub", [input_name, "reconstruction"], ["residual"]),
        helper.make_node("Abs", ["residual"], ["difference"]),
        helper.make_node("ReduceMax", ["difference", "channel"], ["anomaly_map"], keepdims=1),
        helper.make_node("ReduceMax", ["difference", "all"], ["score"], keepdims=0),
        helper.make_node("ReduceMean", ["difference", "all"], ["score_mean"], keepdims=0),
    ]
    image = ["batch", channels, *spatial]
    shapes = {
        "anomaly_map": ["batch", 1, *spatial],
        "score": ["batch"],
        "reconstruction": image,
        "score_mean": ["batch"],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.array([1]), "channel"),
            onnx.numpy_helper.from_array(np.arange(1, dims + 2), "all"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_tiny_model(path: Path, manifest: Manifest = MANIFEST) -> Path:
    """A valid model file, its self-test recorded."""
    from infer.engine import open_engine
    from infer.self_test import measure

    save(path, tiny_graph(manifest), manifest)
    engine = open_engine(path, device="cpu", threads=1)
    measured = measure(engine, manifest)
    expected = replace(manifest.self_test, score=measured.score, peak_value=measured.peak_value)
    save(path, tiny_graph(manifest), replace(manifest, self_test=expected))
    return path


def save(path: Path, graph: onnx.ModelProto, manifest: Manifest) -> None:
    """Write a graph with its manifest."""
    del graph.metadata_props[:]
    helper.set_model_props(graph, {METADATA_KEY: to_json(manifest)})
    path.write_bytes(graph.SerializeToString())


def write_tiny_scans(folder: Path, *, pictures: int = 6) -> Path:
    """Noise in several formats and folders; `lesion` in the name: with a bright square."""
    rng = np.random.default_rng(0)
    (folder / "ward").mkdir(parents=True)
    for at in range(pictures):
        pixels = rng.normal(90, 6, (40, 50))
        name = "healthy"
        if at % 3 == 0:
            pixels[12:18, 30:36] = 250
            name = "lesion"
        place = folder / ("ward" if at % 2 else ".")
        ending = "jpg" if at == 1 else "png"
        cv2.imwrite(str(place / f"{name}{at:03}.{ending}"), pixels.clip(0, 255).astype(np.uint8))
    voxels = rng.normal(20, 2, (26, 22, 7)).astype(np.float32)
    voxels[14:19, 6:11, 2] = 80
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / "lesion.nii.gz")
    return folder
