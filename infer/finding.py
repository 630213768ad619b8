"""What a model finds in scans: volumes → images → engine → map, mask and score. Pure arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infer.blanking import blanked, without_blanks
from infer.colours import with_channels
from infer.engine_batches import Engine, EngineOutputs, ask
from infer.errors import UnreadableScanError
from infer.foreground import ForegroundRecipe, stripped
from infer.images import foreground_slices, images_for, slices_of
from infer.intensity import unstandardise
from infer.manifest import Manifest
from infer.map_filter import filtered
from infer.masking import lesions_in, thresholded
from infer.modality import warnings_of
from infer.resizing import to_slice_size
from infer.scoring import scan_score
from infer.shapes import (
    AnomalyMap,
    Foreground,
    Images,
    Mask,
    Scores,
    SliceMaps,
    SliceMasks,
)
from infer.slicing import as_slice, from_slices, to_slices
from infer.volume import Volume
from infer.volumetric import is_volumetric, slice_maps

NOTHING_SEEN = (
    "all that the model sees of it has one value: is it blank, or beyond the model's window? Its "
    "score means nothing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """All that is said of one scan; arrays `(*spatial)` are on the volume's own grid."""

    score: float
    anomaly_map: AnomalyMap
    mask: Mask
    slice_scores: Scores  # of the slices looked at, see `slices_of`; of a whole volume, one
    score_parts: dict[str, Scores]  # likewise
    images: Images  # what the network saw, one per score, before channels are standardised
    reconstruction: Images | None  # in the range of `images`
    peak: tuple[int, ...]  # of the map, in the volume's axes
    peak_value: float
    lesions: int
    warnings: tuple[str, ...] = ()
    foreground: Foreground | None = None  # whose map is kept; None: postprocessing names none


def find_all(
    volumes: Sequence[Volume], manifest: Manifest, engine: Engine, *, batch_size: int
) -> list[Finding]:
    """One finding per volume; the same for a volume whatever the others are."""
    images = [images_for(volume, manifest) for volume in volumes]
    outputs = ask(images, manifest, engine, batch_size=batch_size)
    return [
        finding_of(volume, seen, output, manifest)
        for volume, seen, output in zip(volumes, images, outputs, strict=True)
    ]


def finding_of(
    volume: Volume, images: Images, outputs: EngineOutputs, manifest: Manifest
) -> Finding:
    """Bring what the engine said of a volume's images back to the volume.

    Raises:
        UnreadableScanError: the model gave no finite number for it.
    """
    by_graph = manifest.aggregation.slice_score == "graph"
    if by_graph and not np.isfinite(outputs.score).all():
        raise UnreadableScanError("the model gave no finite score for it")
    spatial = volume.voxels.shape[1:]
    if is_volumetric(manifest.image_size):
        maps = slice_maps(outputs.anomaly_map, manifest.plane, spatial)
    else:
        slice_size = to_slices(volume.voxels[:1], manifest.plane).shape[-2:]
        maps = to_slice_size(outputs.anomaly_map[:, 0], slice_size)
    warnings = warnings_of(volume.modality, made_for=manifest.modality)
    if images.min() == images.max():
        warnings += (NOTHING_SEEN,)
    if manifest.preprocessing.foreground != "none":
        looked = as_slice(slices_of(volume, manifest))
        inside = foreground_slices(volume, manifest, manifest.preprocessing.foreground, looked)
        maps = np.where(inside, maps, np.float32(0))
        warnings += _whole_slices(inside, manifest.preprocessing.foreground)
    maps = _among_all(without_blanks(maps, manifest.preprocessing.blank), volume, manifest)
    anomaly_map = from_slices(maps, manifest.plane, spatial=spatial)
    foreground = None
    if manifest.postprocessing.acts_on_map:
        anomaly_map, foreground, more = _postprocessed(anomaly_map, volume, manifest)
        anomaly_map = _where_looked(anomaly_map, volume, manifest)
        warnings += more
    above, highest, peak_value = thresholded(anomaly_map, manifest.map_threshold.value)
    _refuse_not_finite(peak_value)
    mask, lesions = lesions_in(above, manifest.postprocessing, manifest.plane)
    scores = (
        outputs.score if by_graph else _highest(anomaly_map, slices_of(volume, manifest), manifest)
    )
    return Finding(
        score=scan_score(scores, manifest.aggregation),
        anomaly_map=anomaly_map,
        mask=mask,
        slice_scores=scores,
        score_parts=outputs.score_parts,
        images=images,
        reconstruction=None
        if outputs.reconstruction is None
        else unstandardise(outputs.reconstruction, manifest.channel_mean, manifest.channel_std),
        peak=highest,
        peak_value=peak_value,
        lesions=lesions,
        warnings=warnings,
        foreground=foreground,
    )


def _highest(anomaly_map: AnomalyMap, looked: range, manifest: Manifest) -> Scores:
    """What a map has highest in each slice that is looked at; of a whole volume, in all of it."""
    if is_volumetric(manifest.image_size):
        return np.array([anomaly_map.max()], np.float32)
    slices = to_slices(anomaly_map[np.newaxis], manifest.plane)[as_slice(looked)]
    return np.asarray(slices.max(axis=(1, 2, 3)))


def _refuse_not_finite(highest: float) -> None:
    if not np.isfinite(highest):
        raise UnreadableScanError("the model gave an anomaly map that is not finite for it")


def _postprocessed(
    anomaly_map: AnomalyMap, volume: Volume, manifest: Manifest
) -> tuple[AnomalyMap, Foreground | None, tuple[str, ...]]:
    """The map that is thresholded, what it is kept of, and what is to be said of that."""
    _refuse_not_finite(float(anomaly_map.max()))  # a filter may hide it
    recipe = manifest.postprocessing.foreground
    foreground: Foreground | None = None
    warnings: tuple[str, ...] = ()
    blank = manifest.preprocessing.blank
    if recipe == "stripped":
        foreground = stripped(blanked(volume.voxels, blank, manifest.plane))
    elif recipe != "none":
        inside = foreground_slices(volume, manifest, recipe)
        foreground = from_slices(inside, manifest.plane, spatial=anomaly_map.shape)
        if recipe != manifest.preprocessing.foreground:  # else it has been said already
            warnings = _whole_slices(inside, recipe)
    thresholded = filtered(
        anomaly_map,
        foreground,
        blanked(
            with_channels(volume.voxels, manifest.channels, manifest.colours), blank, manifest.plane
        ),
        manifest.postprocessing,
        manifest.plane,
    )
    return thresholded, foreground, warnings


def _where_looked(anomaly_map: AnomalyMap, volume: Volume, manifest: Manifest) -> AnomalyMap:
    """Without what filters have drawn into blanks, and into slices that are not looked at."""
    looked = slices_of(volume, manifest)
    slices = to_slices(anomaly_map[np.newaxis], manifest.plane)[:, 0]
    if not manifest.preprocessing.blank and len(looked) == len(slices):
        return anomaly_map
    maps = without_blanks(slices, manifest.preprocessing.blank)[as_slice(looked)]
    return from_slices(
        _among_all(maps, volume, manifest), manifest.plane, spatial=anomaly_map.shape
    )


def _among_all(maps: SliceMaps, volume: Volume, manifest: Manifest) -> np.ndarray:
    """Maps `(slice, height, width)` of all slices: nothing is said of those not looked at."""
    looked = slices_of(volume, manifest)
    count = len(to_slices(volume.voxels[:1], manifest.plane))
    if len(looked) == count:
        return maps
    every = np.zeros((count, *maps.shape[1:]), np.float32)
    every[as_slice(looked)] = maps
    return every


def _whole_slices(inside: SliceMasks, sought: ForegroundRecipe) -> tuple[str, ...]:
    whole = int(inside.all(axis=(1, 2)).sum())
    if not whole or sought == "stripped":  # which is there, or not: it is not looked for
        return ()
    return (f"no {sought} was found in {whole} of {len(inside)} slices: looked at as a whole",)
