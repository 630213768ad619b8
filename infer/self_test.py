"""A built-in phantom, and whether a model still says of it what it said when it was exported."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infer.engine import OnnxEngine, open_engine
from infer.engine_batches import Engine
from infer.errors import BadModelError
from infer.finding import find_all
from infer.manifest import Manifest, SelfTest
from infer.precision import Precision
from infer.shapes import Voxels
from infer.slicing import from_slices, step_axis
from infer.volume import Grid, Volume
from infer.volumetric import is_volumetric

SLICES = 3
# Away from every network's size, so that resizing is part of what is tested.
SIZE_RATIO = 1.25
BATCH = 2  # smaller than SLICES: the padding of the last batch is tested too
NEAR_ZERO = 1e-3  # a share of the tolerance that counts as agreement with zero


class Measured(NamedTuple):
    """What an engine gives for the phantom."""

    score: float
    peak_value: float


class Change(NamedTuple):
    """What a reduced precision makes of the phantom, beside fp32.

    That is fp32 on the same machine's CPU; of a variant, the file that it was made from, as that
    was measured then.
    """

    precision: Precision
    fp32: Measured
    reduced: Measured

    def in_words(self) -> str:
        """A closing line."""
        return (
            f"{self.precision} instead of fp32: on the built-in phantom the score is "
            f"{self.reduced.score:.6g} instead of {self.fp32.score:.6g}, "
            f"the peak {self.reduced.peak_value:.6g} instead of {self.fp32.peak_value:.6g}"
        )

    def as_record(self) -> dict[str, dict[str, float]]:
        """For run.json."""
        return {"fp32": self.fp32._asdict(), self.precision: self.reduced._asdict()}


def change_of(engine: OnnxEngine, model: Path) -> Change | None:
    """What the engine's precision changes; None where it is fp32.

    Raises:
        BadModelError: in this precision the model gives no numbers.
    """
    if engine.device.precision == "fp32":
        return None
    manifest = engine.manifest
    change = Change(engine.device.precision, _in_fp32(engine, model), measure(engine, manifest))
    if not all(map(math.isfinite, change.reduced)):
        raise BadModelError(
            f"{model.name} gives no numbers in {change.precision}: score {change.reduced.score}",
            hint="use the file it was made from" if manifest.variant else "use --precision fp32",
        )
    return change


def _in_fp32(engine: OnnxEngine, model: Path) -> Measured:
    """The phantom in fp32: a variant's file cannot tell any more, but its manifest does."""
    if variant := engine.manifest.variant:
        return Measured(variant.self_test.score, variant.self_test.peak_value)
    return measure(open_engine(model, device="cpu", threads=1), engine.manifest)


def measure(engine: Engine, manifest: Manifest) -> Measured:
    """Score the built-in phantom; thresholds and the recorded self-test play no part."""
    finding = find_all([phantom(manifest)], manifest, engine, batch_size=BATCH)[0]
    return Measured(score=finding.score, peak_value=finding.peak_value)


def agrees(measured: Measured, expected: SelfTest) -> bool:
    """Are score and peak within the recorded tolerance?"""
    return all(
        math.isclose(
            found, wanted, rel_tol=expected.tolerance, abs_tol=expected.tolerance * NEAR_ZERO
        )
        for found, wanted in (
            (measured.score - expected.score_zero, expected.score - expected.score_zero),
            (measured.peak_value, expected.peak_value),
        )
    )


def check_model(
    model: Path,
    *,
    device: str,
    precision: Precision | None = None,
    public_key: Path | None = None,
    tensorrt_cache: Path | None = None,
) -> str:
    """Compare what a model file says here with what it said when it was exported, in words.

    Raises:
        BadModelError: they do not agree.
    """
    engine = open_engine(
        model,
        device=device,
        threads=1,
        precision=precision,
        public_key=public_key,
        tensorrt_cache=tensorrt_cache,
    )
    used = engine.device.precision
    measured, expected = measure(engine, engine.manifest), engine.manifest.self_test
    compared = (
        f"score {measured.score:.6g} (expected {expected.score:.6g}), "
        f"peak {measured.peak_value:.6g} (expected {expected.peak_value:.6g}), "
        f"tolerance {expected.tolerance:g} on {engine.device.got} in {used}"
    )
    if not agrees(measured, expected):
        raise BadModelError(
            f"{model.name} does not give here what it gave when it was exported: {compared}",
            hint="do not trust its results on this machine; try --device cpu"
            if used == "fp32" or engine.manifest.variant
            else f"{used} rounds: judge whether its results serve, or use --precision fp32",
        )
    return f"{model.name} agrees with its export: {compared}"


def phantom(manifest: Manifest) -> Volume:
    """A volume of three slices, the middle one with a bright lesion, in the model's own terms.

    For a model that looks at whole volumes: a head as large as what it takes, with such a lesion.
    Its numbers never change: models keep what they said of it. It is drawn by formula, without
    random numbers or any library's drawing, which may change from version to version.
    """
    sides = tuple(round(size * SIZE_RATIO) for size in manifest.image_size)
    spatial = _head(sides) if is_volumetric(sides) else _three_slices(manifest, *sides)
    low, high = _range(manifest)
    # Each channel a little darker, so that an exchange of channels would be noticed.
    gains = 1 - 0.2 * np.arange(manifest.channels) / manifest.channels
    return Volume(
        voxels=_channels(low + (high - low) * spatial, gains, low=low),
        unit="modality",
        spacing_mm=(1.0, 1.0, 1.0),
        grid=Grid(shape=spatial.shape, axes=(0, 1, 2), flipped=(False, False, False)),
    )


def _three_slices(manifest: Manifest, height: int, width: int) -> np.ndarray:
    slices = np.stack([_slice(height, width, lesion=at == 1) for at in range(SLICES)])
    return from_slices(slices, manifest.plane, spatial=_spatial(manifest, height, width))


def _head(sides: tuple[int, ...]) -> np.ndarray:
    """Slices that narrow towards both ends `(depth, height, width)`, a lesion off the middle."""
    depth, height, width = sides
    z = np.linspace(-1, 1, depth)[:, None, None]
    slices = np.stack([_slice(height, width, lesion=False)] * depth)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    within = np.hypot(np.hypot(y / 0.9, x / 0.75), z / 0.95) < 1
    lesion = 0.5 * np.exp(-((y + 0.3) ** 2 + (x - 0.35) ** 2 + (z - 0.2) ** 2) / 0.02)
    return np.where(within, np.minimum(slices + lesion, 1), 0.0)


def _channels(voxels: np.ndarray, gains: np.ndarray, *, low: float) -> Voxels:
    stacked = low + gains[:, None, None, None] * (voxels - low)
    return np.ascontiguousarray(stacked, dtype=np.float32)


def _range(manifest: Manifest) -> tuple[float, float]:
    """Values that use the whole range of the model's window; percentiles take any."""
    window = manifest.intensity.recipe == "window"
    return (manifest.intensity.low, manifest.intensity.high) if window else (0.0, 100.0)


def _spatial(manifest: Manifest, height: int, width: int) -> tuple[int, ...]:
    """The volume's shape whose slices along the model's plane are height × width."""
    step = step_axis(manifest.plane)
    return (*(height, width)[:step], SLICES, *(height, width)[step:])


def _slice(height: int, width: int, *, lesion: bool) -> np.ndarray:
    """A skull around textured tissue, values 0 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    radius = np.hypot(y / 0.9, x / 0.75)
    tissue = 0.4 + 0.08 * np.sin(7 * x + 2 * y) * np.cos(5 * y - x)
    tissue = np.where(np.hypot(y / 0.3, (np.abs(x) - 0.15) / 0.08) < 1, 0.1, tissue)  # ventricles
    if lesion:
        tissue = tissue + 0.5 * np.exp(-((y + 0.3) ** 2 + (x - 0.35) ** 2) / 0.02)
    return np.where(radius < 0.85, tissue, np.where(radius < 1, 0.95, 0.0))
