"""What an engine says of groups of images, asked in batches of one size, whole or by patches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from infer.intensity import standardise
from infer.manifest import Manifest
from infer.patches import Patches, cover, image_scores, stitch
from infer.shapes import ImageGroups, Images, Maps, Scores
from infer.volumetric import is_volumetric

PATCHES_AT_ONCE = 512  # a matter of memory only: what they take is a multiple of their images'


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutputs:
    """What a graph says of a batch of images; larger is more anomalous."""

    anomaly_map: Maps
    score: Scores
    reconstruction: Images | None  # None where the method has none
    score_parts: dict[str, Scores]  # further scores by name, passed through to reports


@runtime_checkable
class Engine(Protocol):
    """Runs a graph."""

    def run(self, images: Images) -> EngineOutputs:
        """The outputs for a batch; each image's are independent of its neighbours."""
        ...


def ask(
    images: ImageGroups, manifest: Manifest, engine: Engine, *, batch_size: int
) -> list[EngineOutputs]:
    """What the model says of each volume's images."""
    mean, std = manifest.channel_mean, manifest.channel_std
    taken = [standardise(it, mean, std) for it in images]
    if manifest.patches is not None:
        return run_patches(taken, manifest.patches, engine, batch_size=batch_size)
    return run_batches(taken, engine, batch_size=batch_size)


def run_batches(images: ImageGroups, engine: Engine, *, batch_size: int) -> list[EngineOutputs]:
    """Run groups of images through the engine, and return one output per group.

    Batches hold exactly `batch_size` images and cross the groups' borders; the last is filled
    with zeros that are cut off again. Kernels differ by batch size in their last digits: with
    one size a result depends neither on neighbours nor on how the work was divided.
    """
    if not images:
        return []
    together = _together(images)
    batches = [
        engine.run(_filled(together[start : start + batch_size], batch_size))
        for start in range(0, len(together), batch_size)
    ]
    return _by_group(_joined(batches), images)


def run_patches(
    images: ImageGroups, patches: Patches, engine: Engine, *, batch_size: int
) -> list[EngineOutputs]:
    """As `run_batches`, for an engine that takes patches: what is returned is of whole images.

    Maps and reconstructions are means over the patches that cover a pixel; the score, and each of
    its parts, is that of `image_scores`. Batches of patches cross the images' borders.
    """
    if not images:
        return []
    together = _together(images)
    size = together.shape[2:]
    some = 1 if is_volumetric(size) else max(1, PATCHES_AT_ONCE // len(patches.windows(size)))
    said = []
    for start in range(0, len(together), some):
        uncut = together[start : start + some]
        (of_patches,) = run_batches([cover(uncut, patches)], engine, batch_size=batch_size)
        said.append(_of_images(of_patches, patches, size))
    return _by_group(_joined(said), images)


def _of_images(
    outputs: EngineOutputs, patches: Patches, image_size: tuple[int, ...]
) -> EngineOutputs:
    """What was said of patches, as said of the images they cover."""
    redrawn = outputs.reconstruction
    return EngineOutputs(
        anomaly_map=stitch(outputs.anomaly_map, patches, image_size),
        score=image_scores(outputs.score, patches, image_size),
        reconstruction=None if redrawn is None else stitch(redrawn, patches, image_size),
        score_parts={
            name: image_scores(scores, patches, image_size)
            for name, scores in outputs.score_parts.items()
        },
    )


def _together(groups: ImageGroups) -> np.ndarray:
    return groups[0] if len(groups) == 1 else np.concatenate(groups)


def _by_group(joined: EngineOutputs, groups: ImageGroups) -> list[EngineOutputs]:
    """The outputs of all images, one by one group."""
    ends = np.cumsum([len(group) for group in groups])
    return [
        _cut(joined, int(end) - len(group), int(end))
        for group, end in zip(groups, ends, strict=True)
    ]


def _filled(images: Images, size: int) -> np.ndarray:
    if len(images) == size:
        return np.ascontiguousarray(images)
    filled = np.zeros((size, *images.shape[1:]), np.float32)
    filled[: len(images)] = images
    return filled


def _joined(batches: Sequence[EngineOutputs]) -> EngineOutputs:
    first = batches[0]
    if len(batches) == 1:
        return first
    return EngineOutputs(
        anomaly_map=np.concatenate([batch.anomaly_map for batch in batches]),
        score=np.concatenate([batch.score for batch in batches]),
        reconstruction=None
        if first.reconstruction is None
        else np.concatenate([_given(batch.reconstruction) for batch in batches]),
        score_parts={
            name: np.concatenate([batch.score_parts[name] for batch in batches])
            for name in first.score_parts
        },
    )


def _given(reconstruction: Images | None) -> np.ndarray:
    if reconstruction is None:
        raise RuntimeError("the engine reconstructed some batches and not others")
    return reconstruction


def _cut(outputs: EngineOutputs, start: int, end: int) -> EngineOutputs:
    """The outputs of the images `start` to `end`, without that of the filling zeros."""
    return EngineOutputs(
        anomaly_map=outputs.anomaly_map[start:end],
        score=outputs.score[start:end],
        reconstruction=None
        if outputs.reconstruction is None
        else outputs.reconstruction[start:end],
        score_parts={name: scores[start:end] for name, scores in outputs.score_parts.items()},
    )
