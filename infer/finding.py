"""What a model finds in scans: volumes → images → engine → map, mask and score. Pure arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from infer.blanking import Rectangles, blanked, without_blanks
from infer.colours import Colours, with_channels
from infer.errors import UnreadableScanError
from infer.foreground import ForegroundRecipe, foreground_of, stripped
from infer.intensity import (
    Intensity,
    Scaling,
    rescale,
    scaled,
    scaling_of,
    standardise,
    unstandardise,
)
from infer.manifest import Manifest
from infer.map_filter import filtered
from infer.masking import lesions_in, thresholded
from infer.modality import warnings_of
from infer.patches import Patches, cover, image_scores, stitch
from infer.preprocessing import Preprocessing, preprocess
from infer.resizing import to_image_size, to_slice_size
from infer.scoring import scan_score
from infer.shapes import (
    AnomalyMap,
    Foreground,
    ImageGroups,
    Images,
    Maps,
    Mask,
    Scores,
    SliceMaps,
    SliceMasks,
    Slices,
)
from infer.slicing import WHOLE, Plane, SliceRange, from_slices, looked_at, to_slices
from infer.volume import Volume
from infer.volumetric import is_volumetric, refuse_flat, size_across, slice_maps, whole

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


def images_of(
    volume: Volume,
    *,
    channels: int,
    intensity: Intensity,
    preprocessing: Preprocessing,
    plane: Plane,
    image_size: tuple[int, ...],
    slice_range: SliceRange = WHOLE,
    colours: Colours = (),
) -> Images:
    """What a network sees of a volume: its slices at the network's size and intensity range.

    Or the whole volume as one image, where `image_size` is (depth, height, width). The intensity
    range is that of the whole volume, whichever slices are looked at.

    Args:
        colours: which of red (0), green (1) and blue (2) it sees; empty: see `with_channels`.

    Raises:
        UnreadableScanError: the volume's channels or its shape do not fit the model.
    """
    looked = _as_slice(looked_at(volume.voxels.shape[1:], plane, slice_range))
    if is_volumetric(image_size):
        refuse_flat(volume.voxels.shape[1:])
        slices = images_of(
            volume,
            channels=channels,
            intensity=intensity,
            preprocessing=preprocessing,
            plane=plane,
            image_size=size_across(image_size, plane),
            colours=colours,
        )
        return whole(slices, plane, image_size)
    if preprocessing.acts:
        slices = _shares(
            volume,
            channels=channels,
            intensity=intensity,
            plane=plane,
            blank=preprocessing.blank,
            colours=colours,
        )[looked]
        _refuse_thin(slices, plane)
        images = to_image_size(preprocess(slices, preprocessing), image_size)
        return scaled(images, _from_shares(intensity))
    seen = with_channels(volume.voxels, channels, colours)
    voxels = blanked(seen, preprocessing.blank, plane)
    scaling = scaling_of(voxels, volume.unit, intensity)
    slices = to_slices(voxels, plane)[looked]
    _refuse_thin(slices, plane)
    if not scaling.clips:
        # A linear map and means may change places, and the images are much smaller than the scan.
        return scaled(to_image_size(slices, image_size), scaling)
    # Slice by slice: no second scan in memory, and each stays in the processor's cache.
    images = np.empty((*slices.shape[:2], *image_size), np.float32)
    for at in range(len(slices)):
        images[at] = to_image_size(scaled(slices[at : at + 1], scaling), image_size)[0]
    return images


def _shares(
    volume: Volume,
    *,
    channels: int,
    intensity: Intensity,
    plane: Plane,
    blank: Rectangles,
    colours: Colours,
) -> Slices:
    """A volume's slices, each value as a share of the intensity range."""
    shares = replace(intensity, output_low=0.0, output_high=1.0)
    voxels = blanked(with_channels(volume.voxels, channels, colours), blank, plane)
    return to_slices(rescale(voxels, volume.unit, shares), plane)


def _from_shares(intensity: Intensity) -> Scaling:
    low, high = intensity.output_low, intensity.output_high
    return Scaling(low=(0.0,), high=(1.0,), output_low=low, output_high=high, clips=False)


def _refuse_thin(slices: Slices, plane: Plane) -> None:
    height, width = slices.shape[-2:]
    if min(height, width) < 2:
        raise UnreadableScanError(
            f"its {plane} slices would be {height} × {width} voxels, too thin to look at",
            hint=f"the model looks at {plane} slices: is this scan cut in another plane?",
        )


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


def images_for(volume: Volume, manifest: Manifest) -> Images:
    """What a model sees of a volume, before its channels are standardised; see `images_of`."""
    return images_of(
        volume,
        channels=manifest.channels,
        intensity=manifest.intensity,
        preprocessing=manifest.preprocessing,
        plane=manifest.plane,
        image_size=manifest.image_size,
        slice_range=manifest.slice_range,
        colours=manifest.colours,
    )


def slices_of(volume: Volume, manifest: Manifest) -> range:
    """Which slices of a volume are looked at, counted along the model's plane in our own order."""
    return looked_at(volume.voxels.shape[1:], manifest.plane, manifest.slice_range)


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
    if manifest.preprocessing.foreground != "none":
        looked = _as_slice(slices_of(volume, manifest))
        inside = _foreground(volume, manifest, manifest.preprocessing.foreground, looked)
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
    slices = to_slices(anomaly_map[np.newaxis], manifest.plane)[_as_slice(looked)]
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
        inside = _foreground(volume, manifest, recipe)
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
    maps = without_blanks(slices, manifest.preprocessing.blank)[_as_slice(looked)]
    return from_slices(
        _among_all(maps, volume, manifest), manifest.plane, spatial=anomaly_map.shape
    )


def _foreground(
    volume: Volume, manifest: Manifest, recipe: ForegroundRecipe, which: slice = slice(None)
) -> SliceMasks:
    """What belongs to the patient. Looked for again: kept, it would fill a chunk's memory."""
    slices = _shares(
        volume,
        channels=manifest.channels,
        intensity=manifest.intensity,
        plane=manifest.plane,
        blank=manifest.preprocessing.blank,
        colours=manifest.colours,
    )
    return foreground_of(slices[which], recipe)


def _among_all(maps: SliceMaps, volume: Volume, manifest: Manifest) -> np.ndarray:
    """Maps `(slice, height, width)` of all slices: nothing is said of those not looked at."""
    looked = slices_of(volume, manifest)
    count = len(to_slices(volume.voxels[:1], manifest.plane))
    if len(looked) == count:
        return maps
    every = np.zeros((count, *maps.shape[1:]), np.float32)
    every[_as_slice(looked)] = maps
    return every


def _as_slice(looked: range) -> slice:
    return slice(looked.start, looked.stop)


def _whole_slices(inside: SliceMasks, sought: ForegroundRecipe) -> tuple[str, ...]:
    whole = int(inside.all(axis=(1, 2)).sum())
    if not whole or sought == "stripped":  # which is there, or not: it is not looked for
        return ()
    return (f"no {sought} was found in {whole} of {len(inside)} slices: looked at as a whole",)


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
