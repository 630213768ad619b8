"""Does the exported file say what the fitted model says? Torch against ONNX Runtime."""

from collections.abc import Sequence

import numpy as np
import torch

from export.graph import Graph, output_names
from infer.engine_batches import Engine, EngineOutputs
from infer.errors import UadError
from infer.manifest import Parity
from infer.shapes import Images

# float32 through some dozen layers in another order of summation stays an order below this.
LARGEST_DIFFERENCE = 1e-4


class ParityError(UadError):
    """An exported file that does not say what its model says."""


def measure(graph: Graph, engine: Engine, images: Images, *, measured_on: str) -> Parity:
    """Largest difference over these images, run all at once and one by one.

    Raises:
        ParityError: a difference is above `LARGEST_DIFFERENCE`, or not a number.
    """
    runs = [engine.run(images), _one_by_one(engine, images)]
    parity = differences(
        _by_torch(graph, images), runs, images=len(images), measured_on=measured_on
    )
    check(parity)
    return parity


def differences(
    expected: EngineOutputs, runs: Sequence[EngineOutputs], *, images: int, measured_on: str
) -> Parity:
    """The largest of each kind among these runs on the same images, whatever it is."""
    reconstruction = None
    if expected.reconstruction is not None:
        reconstruction = max(_absolute(expected.reconstruction, it.reconstruction) for it in runs)
    return Parity(
        reconstruction=reconstruction,
        anomaly_map=max(_relative(expected.anomaly_map, it.anomaly_map) for it in runs),
        score=max(_scores(expected, it) for it in runs),
        images=images,
        measured_on=measured_on,
    )


def check(parity: Parity) -> None:
    """Refuse a file that differs from its model.

    Raises:
        ParityError: a difference is above `LARGEST_DIFFERENCE`, or not a number.
    """
    measured = {
        "reconstruction": parity.reconstruction,
        "anomaly map": parity.anomaly_map,
        "score": parity.score,
    }
    for name, difference in measured.items():
        if difference is not None and not difference <= LARGEST_DIFFERENCE:
            raise ParityError(
                f"the exported {name} differs from torch's by {difference:.2g} on "
                f"{parity.images} {parity.measured_on}, at most {LARGEST_DIFFERENCE:g} is allowed",
                hint="a layer was exported wrongly, or depends on its neighbours in the batch",
            )


@torch.no_grad()
def _by_torch(graph: Graph, images: Images) -> EngineOutputs:
    batch = torch.from_numpy(images)
    arrays = [output.numpy() for output in graph(batch)]
    outputs = dict(zip(output_names(graph, batch), arrays, strict=True))
    return EngineOutputs(
        anomaly_map=outputs.pop("anomaly_map"),
        score=outputs.pop("score"),
        reconstruction=outputs.pop("reconstruction", None),
        score_parts={name.removeprefix("score_"): it for name, it in outputs.items()},
    )


def _one_by_one(engine: Engine, images: Images) -> EngineOutputs:
    singles = [engine.run(images[at : at + 1]) for at in range(len(images))]
    redrawn = [it.reconstruction for it in singles if it.reconstruction is not None]
    return EngineOutputs(
        anomaly_map=np.concatenate([it.anomaly_map for it in singles]),
        score=np.concatenate([it.score for it in singles]),
        reconstruction=np.concatenate(redrawn) if redrawn else None,
        score_parts={
            name: np.concatenate([it.score_parts[name] for it in singles])
            for name in singles[0].score_parts
        },
    )


def _scores(expected: EngineOutputs, found: EngineOutputs) -> float:
    """Of the score and of all its parts."""
    if expected.score_parts.keys() != found.score_parts.keys():
        return float("nan")
    parts = expected.score_parts
    return max(
        _relative(expected.score, found.score),
        *(_relative(parts[name], found.score_parts[name]) for name in parts),
        0.0,
    )


def _absolute(expected: np.ndarray, found: np.ndarray | None) -> float:
    """NaN, which no limit allows, where there is nothing of this shape."""
    if found is None or found.shape != expected.shape:
        return float("nan")
    return float(np.abs(expected - found).max())


def _relative(expected: np.ndarray, found: np.ndarray) -> float:
    return _absolute(expected, found) / max(1.0, float(np.abs(expected).max()))
