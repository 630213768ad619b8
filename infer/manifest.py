"""All that `infer` may know of a model; versioned JSON inside the ONNX file's metadata."""

import math
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from infer.colours import Colours, check_colours
from infer.errors import BadModelError
from infer.intensity import Intensity
from infer.masking import Postprocessing
from infer.patches import Patches
from infer.precision import VariantPrecision
from infer.preprocessing import UNPROCESSED, Preprocessing
from infer.scoring import Aggregation
from infer.slicing import WHOLE, Plane, SliceRange, check_slice_range

METADATA_KEY = "uad.manifest"
# 1: the first. 2: channel_mean and channel_std, without which a network would see other images.
# 3: preprocessing, likewise; patches, without which it would see whole images.
# 4: slice_range, without which more slices would have a part in the score; intensity.inside;
#    preprocessing.blank; colours; postprocessing of the map before its threshold; an image_size of
#    three: whole volumes instead of slices; recalibrated, without which thresholds would be taken
#    for those of the model's own validation.
# 5: variant, without which a file in fp16 or int8 would be taken for one in fp32.
# 6: postprocessing.prior_first, without which a map would be filtered in another order.
# 7: postprocessing.gaussian, without which a map would be thresholded unsmoothed.
# 8: aggregation.slice_score, without which scores would be other ones than the threshold is of.
SCHEMA = 8


# Voxels along an axis: one that claims more is damaged, or means to do damage.
LONGEST_SIDE = 2**31

# Devices, as `infer.providers` calls them.
ANYWHERE = ("cpu", "cuda", "tensorrt", "openvino")
# Values of one image: a manifest that asks for more would have us fill the memory.
LARGEST_IMAGE = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number and the reason for it, e.g. "best F1 (0.91) on 100 validation scans"."""

    value: float
    chosen_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Normals:
    """Validation normals: what a new scan is compared with."""

    scores: tuple[float, ...]  # ascending scan scores
    intensity_mean: tuple[float, ...]  # per scan, of the images the network saw
    intensity_std: tuple[float, ...]
    sizes: tuple[tuple[int, ...], ...]  # distinct `(*spatial)` sizes of the scans, voxels
    spacings_mm: tuple[tuple[float, ...], ...]  # distinct voxel sizes; empty for pictures
    # Per scan, as in `infer.traits`: what a run's geometry is compared with. Files of before hold
    # none, and readers of before do not miss it.
    scan_sizes: tuple[tuple[int, int, int], ...] = ()
    scan_spacings_mm: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        for size in self.scan_sizes:
            if not all(1 <= length <= LONGEST_SIDE for length in size):
                raise ValueError(f"no scan has {' × '.join(map(str, size))} voxels")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What this model gave for the built-in phantom (`infer.self_test`) when it was exported."""

    score: float
    peak_value: float
    tolerance: float  # relative, covers other processors and providers
    # `tolerance` of the score is a share of its distance from here. Ensembles count from their
    # normals' median instead of from nothing found, and a share of nearly 0 would be no tolerance.
    score_zero: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Largest difference between torch and this file through ONNX Runtime.

    Of a variant: between it and the file it was made from, which differs from torch far less.

    Absolute for reconstructions, relative to max(1, largest |value|) for maps and scores.
    """

    reconstruction: float | None
    anomaly_map: float
    score: float
    images: int
    measured_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model comes from."""

    mlflow_run_id: str
    git_commit: str
    git_dirty: bool
    data_hash: str  # of the prepared data
    seed: int
    versions: dict[str, str]  # library → version
    # Of an ensemble: member → its MLflow run. Files of single models, and older ones, say nothing.
    members: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """A site's own normals took the place of those that thresholds and table came from."""

    original_sha256: str  # of the file it was made from, without a signature
    scans: int
    scans_sha256: str  # of their contents, in any order; no name and no path is kept
    made: str  # date and time, UTC
    score_threshold: Threshold  # what it replaced
    map_threshold: Threshold
    normals: int  # in the table that was replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The graph computes in fewer bits than that of the file it was made from; what that changes.

    Measured on validation scans, through ONNX Runtime on a CPU.
    """

    of: str  # SHA-256 of the file it was made from, without a signature
    precision: VariantPrecision
    how: str  # in words
    left_in_float: tuple[str, ...]  # operators that would lose too much: types, or nodes by name
    calibration_images: int  # of validation normals; 0: nothing was measured on images
    scans: int
    correlation: float  # of scores, with those of the file it was made from
    auroc: float
    auroc_before: float  # of the file it was made from
    decided_otherwise: int  # scans, each file at its own threshold
    accepted_on: tuple[Literal["cpu", "openvino"], ...]  # where it was measured and found as good
    self_test: SelfTest  # of the file it was made from; the variant has one of its own

    @property
    def runs_on(self) -> tuple[str, ...]:
        """Devices that may compute it.

        fp16 rounds alike everywhere. What int8 comes to depends on what an engine fuses: a file
        whose scores correlated with fp32's by 0.999 in one did so by 0.60 in another.
        """
        return self.accepted_on if self.precision == "int8" else ANYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contract's other half: what to do before and after the graph."""

    schema: int
    study: str
    method: str
    modality: str
    channels: int
    # (height, width) that slices are brought to; (depth, height, width): whole volumes are.
    image_size: tuple[int, ...]
    plane: Plane
    intensity: Intensity
    score_recipe: str  # in words: it is in the graph already, but for `slice_score: map`
    aggregation: Aggregation
    anomalous_by: Literal["score", "mask"]
    score_threshold: Threshold
    map_threshold: Threshold
    postprocessing: Postprocessing
    normals: Normals
    self_test: SelfTest
    parity: Parity
    provenance: Provenance
    # Applied to each channel after `intensity`; empty where there is none, as in schema 1.
    channel_mean: tuple[float, ...] = ()
    channel_std: tuple[float, ...] = ()
    preprocessing: Preprocessing = UNPROCESSED  # before schema 3 there was none
    # Where the graph takes patches of images: how they are cut. None, and before schema 3: it
    # takes images whole.
    patches: Patches | None = None
    slice_range: SliceRange = WHOLE  # which slices are looked at; before schema 4: all
    # Which of red (0), green (1) and blue (2) it sees of a colour picture; empty, and before schema
    # 4: all, or their luminance where it has one channel.
    colours: Colours = ()
    # Oldest first; empty: thresholds and normals are those of the export, as before schema 4.
    recalibrated: tuple[Recalibration, ...] = ()
    variant: Variant | None = None  # None, and before schema 5: it is in fp32

    @property
    def input_size(self) -> tuple[int, ...]:
        """(height, width) or (depth, height, width) of the graph's input."""
        return self.image_size if self.patches is None else self.patches.size

    def __post_init__(self) -> None:
        sizes = (self.channels, *self.image_size)
        if len(self.image_size) not in (2, 3):
            raise ValueError(f"image_size must have 2 or 3 sides, got {list(self.image_size)}")
        if min(sizes) < 1 or math.prod(sizes) > LARGEST_IMAGE:
            raise ValueError(
                f"channels and image_size must be at least 1 and give at most {LARGEST_IMAGE:,} "
                f"values, got {self.channels} and {list(self.image_size)}"
            )
        check_slice_range(self.slice_range, self.image_size)
        check_colours(self.colours, self.channels)
        if self.patches is not None:
            self.patches.windows(self.image_size)  # refuses what does not fit
        if {len(self.channel_mean), len(self.channel_std)} not in ({0}, {self.channels}):
            raise ValueError("channel_mean and channel_std must have a value for each channel")
        if not all(spread > 0 for spread in self.channel_std):
            raise ValueError(f"channel_std must be above 0, got {list(self.channel_std)}")


def to_json(manifest: Manifest) -> str:
    """The text to store under `METADATA_KEY`."""
    return msgspec.json.encode(manifest).decode()


def from_json(text: str, *, where: str) -> Manifest:
    """Read a manifest back.

    Raises:
        BadModelError: it is not a manifest of ours, or of a newer schema.
    """
    try:
        schema = msgspec.json.decode(text, type=dict[str, object]).get("schema")
    except (msgspec.DecodeError, UnicodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeError) else error
        raise BadModelError(f"{where}: the manifest is not readable JSON ({reason})") from error
    if not isinstance(schema, int) or schema < 1:
        raise BadModelError(
            f"{where}: the manifest does not say its schema version", hint="export it again"
        )
    if schema > SCHEMA:
        raise BadModelError(
            f"{where} was written by a newer uad (manifest schema {schema}, this one reads "
            f"up to {SCHEMA})",
            hint="install a newer uad",
        )
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        raise BadModelError(
            f"{where}: the manifest is not valid: {error}", hint="export it again"
        ) from error
