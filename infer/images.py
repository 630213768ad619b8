"""What a network sees of a volume: volume → slices → images, and what of them is the patient."""

from dataclasses import replace

import numpy as np

from infer.blanking import Rectangles, blanked
from infer.colours import Colours, with_channels
from infer.errors import UnreadableScanError
from infer.foreground import ForegroundRecipe, foreground_of
from infer.intensity import Intensity, Scaling, rescale, scaled, scaling_of
from infer.manifest import Manifest
from infer.preprocessing import Preprocessing, preprocess
from infer.resizing import to_image_size
from infer.shapes import Images, SliceMasks, Slices
from infer.slicing import WHOLE, Plane, SliceRange, as_slice, looked_at, to_slices
from infer.volume import Volume
from infer.volumetric import is_volumetric, refuse_flat, size_across, whole


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
    looked = as_slice(looked_at(volume.voxels.shape[1:], plane, slice_range))
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
        _refuse_thin(slices, plane, of=volume)
        images = to_image_size(preprocess(slices, preprocessing), image_size)
        return scaled(images, _from_shares(intensity))
    seen = with_channels(volume.voxels, channels, colours)
    voxels = blanked(seen, preprocessing.blank, plane)
    scaling = scaling_of(voxels, volume.unit, intensity)
    slices = to_slices(voxels, plane)[looked]
    _refuse_thin(slices, plane, of=volume)
    if not scaling.clips:
        # A linear map and means may change places, and the images are much smaller than the scan.
        return scaled(to_image_size(slices, image_size), scaling)
    # Slice by slice: no second scan in memory, and each stays in the processor's cache.
    images = np.empty((*slices.shape[:2], *image_size), np.float32)
    for at in range(len(slices)):
        images[at] = to_image_size(scaled(slices[at : at + 1], scaling), image_size)[0]
    return images


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


def foreground_slices(
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


def _refuse_thin(slices: Slices, plane: Plane, *, of: Volume) -> None:
    height, width = slices.shape[-2:]
    if min(height, width) < 2:
        if of.voxels.ndim == 3:
            raise UnreadableScanError(
                f"it has {height} × {width} pixels, too few to look at",
                hint="is this a picture of a scan? Export it again, or remove it from the folder",
            )
        raise UnreadableScanError(
            f"its {plane} slices would be {height} × {width} voxels, too thin to look at",
            hint=f"the model looks at {plane} slices: is this scan cut in another plane?",
        )
