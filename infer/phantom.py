"""Synthetic head CT, healthy or with known lesions: demo data, tests, and the default study.

Anatomy is drawn by formula from a seed. Heads differ in pose, size, shape, age, brightness, bias
and noise by more than most lesions change any one pixel, and healthy bone and calcifications are
brighter than any bleed, healthy fluid as dark as any infarct: place and shape tell them apart.

Lengths are in units of half the height of a slice, angles in radians, x towards the patient's
left, y towards posterior, and `level` is 0 at the base of the skull and 1 near the vertex.
"""

import argparse
import sys
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

Kind = Literal["bleed", "infarct", "mass"]

KINDS: tuple[Kind, ...] = ("bleed", "infarct", "mass")
# What a slice shows of the body: its height; and the range a brain is looked at in.
FIELD_MM = 201.6
BRAIN_WINDOW_HU = (0.0, 80.0)
HEAD_HEIGHT = 130 / (FIELD_MM / 2)  # from level 0 to 1, in units
SLICE_LEVELS = (0.15, 0.85)  # of single slices

AIR_HU, FLUID_HU, SCALP_HU, FALX_HU = -1000.0, 6.0, 15.0, 52.0
CHALK_HU = 110.0
TINY_SHARE = 0.1  # of the lesions are only a few pixels wide
MASS_CORE = 0.6  # of the radius of a mass is core, the rest oedema
# Random streams of one seed: what is drawn from one never shifts another.
ANATOMY, LESIONS, TEXTURE = range(3)

_RADIUS = {"bleed": (0.07, 0.22), "infarct": (0.14, 0.30), "mass": (0.17, 0.30)}
_CONTRAST_HU = {"bleed": (24.0, 38.0), "infarct": (-20.0, -13.0), "mass": (18.0, 32.0)}
_OEDEMA_HU = -11.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion: a wobbly ellipsoid that adds to, or takes from, the tissue's HU."""

    kind: Kind
    centre: tuple[float, float, float]  # x and y as a share of the brain's half axes; level
    radius: float
    elongation: float  # of one axis over the other
    angle: float
    wobble: tuple[float, float]  # amplitude and phase of the outline
    contrast_hu: float
    push: float  # how far it displaces the tissue around it


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A slice `(height, width)` or a volume `(depth, height, width)`, depth towards superior."""

    voxels_hu: np.ndarray
    mask: np.ndarray  # True where a lesion is
    lesions: tuple[Lesion, ...]
    spacing_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anatomy:
    """What makes one head differ from another."""

    rotation: float
    shift: tuple[float, float]
    half_axes: tuple[float, float]  # of the skull's outside
    ripple: tuple[tuple[float, float], ...]  # amplitude and phase, from two waves around upwards
    skull: float  # thickness
    occiput: float  # more of it at the back,
    frontal: float  # and at the front
    scalp: float
    bone_hu: float
    age: float  # 0 young: full brain; 1 old: wide ventricles and sulci
    asymmetry: float
    white_hu: float
    grey_hu: float  # above white
    calcified: tuple[float, float, float]  # choroid plexus, pineal, falx: radius, 0 for none
    bias: tuple[float, float, float]
    cupping_hu: float
    noise_hu: float


def head(seed: int, *, size: tuple[int, int], lesions: Sequence[Kind]) -> Phantom:
    """One slice `(height, width)` through the head `seed`, at a level of its own."""
    level = float(_random(seed, ANATOMY, 1).uniform(*SLICE_LEVELS))
    drawn = tuple(_draw_lesions(_random(seed, LESIONS), lesions, (level, level)))
    hu, mask = _slice(_draw_anatomy(_random(seed, ANATOMY)), level, size, drawn, seed)
    return Phantom(voxels_hu=hu, mask=mask, lesions=drawn, spacing_mm=(FIELD_MM / size[0],) * 2)


def head_volume(seed: int, *, shape: tuple[int, int, int], lesions: Sequence[Kind]) -> Phantom:
    """All slices `(depth, height, width)` through the head `seed`."""
    anatomy = _draw_anatomy(_random(seed, ANATOMY))
    drawn = tuple(_draw_lesions(_random(seed, LESIONS), lesions, (0.25, 0.75)))
    levels = (np.arange(shape[0]) + 0.5) / shape[0]
    slices = [_slice(anatomy, float(level), shape[1:], drawn, seed) for level in levels]
    in_plane_mm = FIELD_MM / shape[1]
    return Phantom(
        voxels_hu=np.stack([hu for hu, _ in slices]),
        mask=np.stack([mask for _, mask in slices]),
        lesions=drawn,
        spacing_mm=(HEAD_HEIGHT * FIELD_MM / 2 / shape[0], in_plane_mm, in_plane_mm),
    )


def brain_window(voxels_hu: np.ndarray) -> np.ndarray:
    """The 8-bit picture a viewer would export with the brain window."""
    low, high = BRAIN_WINDOW_HU
    share = np.clip((voxels_hu - low) / (high - low), 0, 1)
    return np.round(share * 255).astype(np.uint8)


def _random(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, *stream])


def _draw_anatomy(random: np.random.Generator) -> _Anatomy:
    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    def sometimes(share: float, low: float, high: float) -> float:
        return between(low, high) * (between(0, 1) < share)

    size = between(0.88, 1.06)
    return _Anatomy(
        rotation=float(random.normal(0, 0.1)),
        shift=(between(-0.04, 0.04), between(-0.05, 0.05)),
        half_axes=(size * between(0.64, 0.72), size * between(0.8, 0.88)),
        ripple=tuple((between(0, 0.025) / waves, between(0, 2 * np.pi)) for waves in (1, 2, 3)),
        skull=between(0.045, 0.09),
        occiput=between(0, 0.16),
        frontal=between(0, 0.10),
        scalp=between(0.025, 0.05),
        bone_hu=between(400, 1100),
        age=between(0, 1),
        asymmetry=float(random.normal(0, 0.08)),
        white_hu=between(20, 36),
        grey_hu=between(5, 10),
        calcified=(
            sometimes(0.6, 0.025, 0.055),
            sometimes(0.5, 0.02, 0.04),
            sometimes(0.4, 0.02, 0.035),
        ),
        bias=(between(-0.08, 0.08), between(-0.08, 0.08), between(-0.06, 0.06)),
        cupping_hu=between(0, 8),
        noise_hu=between(1.5, 5),
    )


def _draw_lesions(
    random: np.random.Generator, kinds: Sequence[Kind], levels: tuple[float, float]
) -> list[Lesion]:
    lesions = []
    for kind in kinds:
        radius = float(np.exp(random.uniform(*np.log(_RADIUS[kind]))))
        if random.uniform() < TINY_SHARE and kind != "mass":
            radius = float(random.uniform(0.02, 0.045))
        # Away from the midline, so that fluid there is not mistaken for an infarct, and so far
        # from the bone that the whole lesion lies in the brain.
        side, reach = random.choice([-1, 1]), max(0.2, 0.85 - 1.3 * radius)
        across = random.uniform(0.2, 0.85) * reach
        along = random.uniform(-1, 1) * np.sqrt(reach**2 - across**2)
        lesions.append(
            Lesion(
                kind=kind,
                centre=(float(side * across), float(along), float(random.uniform(*levels))),
                radius=radius,
                elongation=float(random.uniform(1, 1.6)),
                angle=float(random.uniform(0, np.pi)),
                wobble=(float(random.uniform(0.05, 0.2)), float(random.uniform(0, 2 * np.pi))),
                contrast_hu=float(random.uniform(*_CONTRAST_HU[kind])),
                push=float(random.uniform(0.4, 0.8)) * radius if kind == "mass" else 0.0,
            )
        )
    return lesions


class _Place:
    """Where every pixel of a slice lies in a head: the coordinates anatomy is drawn in."""

    def __init__(self, anatomy: _Anatomy, level: float, size: tuple[int, int]) -> None:
        height, width = size
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        x = (columns + 0.5 - width / 2) * 2 / height - anatomy.shift[0]
        y = (rows + 0.5) * 2 / height - 1 - anatomy.shift[1]
        cos, sin = np.cos(anatomy.rotation), np.sin(anatomy.rotation)
        x, y = cos * x + sin * y, cos * y - sin * x
        self.pixels = height / 2  # per unit
        taper = float(np.sqrt(1 - (max(0.0, level - 0.5) / 0.66) ** 2))
        half_x, half_y = (half * taper for half in anatomy.half_axes)
        angle = np.arctan2(y / half_y, x / half_x)
        outline = np.ones_like(x)
        for waves, (amplitude, phase) in enumerate(anatomy.ripple, start=2):
            outline += amplitude * np.cos(waves * angle + phase)
        radius = np.hypot(x / half_x, y / half_y) / outline
        self.outside = (radius - 1) * np.sqrt(half_x * half_y)  # distance from the outer table
        base = 0.03 * max(0.0, 1 - level / 0.3)  # bone is thicker towards the base
        self.skull = (
            anatomy.skull
            + base
            + anatomy.occiput * np.exp(-(((angle - np.pi / 2) / 0.3) ** 2))
            + anatomy.frontal * np.exp(-(((angle + np.pi / 2) / 0.35) ** 2))
        )
        self.depth = -self.outside - self.skull  # below the inner table
        self.axes = half_x - anatomy.skull, half_y - anatomy.skull
        # Shares of the brain's half axes.
        self.x, self.y = x / self.axes[0], y / self.axes[1]

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """How much of each pixel lies where `distance` (units) is below zero."""
        return np.asarray(np.clip(0.5 - distance * self.pixels, 0, 1))

    def ellipse(
        self, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0.0
    ) -> np.ndarray:
        """How much of each pixel lies in an ellipse given in shares of the brain."""
        if min(radii) <= 0:
            return np.zeros_like(self.x)
        x, y = self.x - centre[0], self.y - centre[1]
        cos, sin = np.cos(tilt), np.sin(tilt)
        away = np.hypot((cos * x + sin * y) / radii[0], (cos * y - sin * x) / radii[1])
        return self.inside((away - 1) * min(radii) * self.axes[0])

    def pair(
        self, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0.0
    ) -> np.ndarray:
        """The same ellipse on both sides."""
        left = self.ellipse(centre, radii, tilt)
        right = self.ellipse((-centre[0], centre[1]), radii, -tilt)
        return np.asarray(np.maximum(left, right))

    def push(self, lesion: Lesion, radius: float) -> None:
        """Displace what is drawn from now on, away from a lesion, and less near the skull."""
        x = (self.x - lesion.centre[0]) * self.axes[0]
        y = (self.y - lesion.centre[1]) * self.axes[1]
        away = np.hypot(x, y) + 1e-6
        strength = lesion.push * radius / lesion.radius
        give = np.clip(self.depth / 0.15, 0, 1)
        pull = np.minimum(strength * np.exp(-(((away - radius) / 0.35) ** 2)), 0.8 * away) * give
        self.x = self.x - pull * x / away / self.axes[0]
        self.y = self.y - pull * y / away / self.axes[1]


def _slice(
    anatomy: _Anatomy, level: float, size: tuple[int, ...], lesions: Sequence[Lesion], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """HU and lesion mask of one slice."""
    place = _Place(anatomy, level, (size[0], size[1]))
    random = _random(seed, TEXTURE, round(level * 1e6))
    pushed = copy(place)
    for lesion in lesions:
        if lesion.push and (radius := _radius_at(lesion, level)):
            pushed.push(lesion, radius)
    hu, brain = _healthy_brain(anatomy, pushed, level, random)
    mask = np.zeros(hu.shape, bool)
    for lesion in lesions:
        core, whole = (cover * brain for cover in _lesion_shape(lesion, place, level))
        hu = _with_lesion(hu, lesion, core, whole)
        mask |= whole > 0.5
    hu = _with_calcifications(hu, anatomy, pushed, level)
    hu = _with_skull(hu, anatomy, place, level)
    noise = _band(random, hu.shape, 0.6) * anatomy.noise_hu
    return np.where(place.inside(place.outside - 0.1) > 0, hu + noise, hu).astype(np.float32), mask


def _healthy_brain(
    anatomy: _Anatomy, place: _Place, level: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """HU as if the brain filled the slice, and how much of each pixel is brain."""
    shape, scale = place.x.shape, place.pixels / 72
    folds = _band(random, shape, 4.5 * scale) - 0.7 * _band(random, shape, 9 * scale)
    white = np.clip((place.depth - 0.08 + 0.03 * folds) / 0.08, 0, 1)
    nuclei = place.pair((0.3, -0.05), (0.12, 0.2), -0.3) * np.clip((0.7 - level) / 0.15, 0, 1)
    hu = anatomy.white_hu + anatomy.grey_hu * (1 - white * (1 - 0.8 * nuclei))
    hu = hu + 2.0 * (_band(random, shape, 1.5 * scale) - _band(random, shape, 5 * scale))

    width = 0.05 + 0.16 * anatomy.age
    rim = np.clip((0.30 - place.depth) / 0.12, 0, 1)
    sulci = np.clip((width - np.abs(folds)) / 0.12, 0, 1) * rim * (0.4 + 0.6 * anatomy.age)
    gap = place.inside(place.depth - 0.012 - 0.02 * anatomy.age) * 0.7
    fluid = np.maximum.reduce([sulci, gap, _fluid(anatomy, place, level)])
    middle = place.inside(np.abs(place.x) * place.axes[0] - 0.012)
    falx = middle * ((place.y < -0.5) | (place.y > 0.55) | (level > 0.7))
    hu = hu * (1 - fluid) + FLUID_HU * fluid
    hu = hu * (1 - falx) + FALX_HU * falx

    across, along, bowl = anatomy.bias
    hu *= 1 + across * place.x + along * place.y + bowl * (place.x**2 + place.y**2)
    hu += anatomy.cupping_hu * np.exp(-np.maximum(place.depth, 0) / 0.12)
    return hu, place.inside(-place.depth)


def _fluid(anatomy: _Anatomy, place: _Place, level: float) -> np.ndarray:
    """Ventricles and fissures: how much of each pixel they fill."""
    open_ = (0.65 + 0.75 * anatomy.age) * float(np.exp(-(((level - 0.45) / 0.24) ** 2)))
    tilt = 0.25 + anatomy.asymmetry
    third = 1 - min(1.0, max(0.0, level - 0.35) / 0.15)
    fissure = (0.02 + 0.04 * anatomy.age) * max(0.0, 1 - level / 0.5)
    parts = [
        place.pair((0.13, -0.27), (0.075 * open_, 0.2 * open_), tilt),
        place.pair((0.13, 0.05), (0.055 * open_, 0.3 * open_)),
        place.pair((0.26, 0.36), (0.085 * open_, 0.19 * open_), -0.3),
        place.ellipse((0.0, 0.02), (0.02 + 0.03 * anatomy.age, 0.15 * third)) * (third > 0),
        place.pair((0.75, -0.12), (0.25, fissure), 0.35),
    ]
    return np.asarray(np.maximum.reduce(parts))


def _with_calcifications(
    hu: np.ndarray, anatomy: _Anatomy, place: _Place, level: float
) -> np.ndarray:
    """Chalk where healthy heads have it: choroid plexus, pineal gland and falx."""
    plexus, pineal, falx = anatomy.calcified
    plexus, pineal = plexus * (0.25 < level < 0.6), pineal * (0.2 < level < 0.45)
    chalk = np.maximum.reduce(
        [
            place.pair((0.25, 0.38), (plexus, 1.4 * plexus)),
            place.ellipse((0.0, 0.24), (pineal, pineal)),
            place.ellipse((0.0, -0.68), (0.6 * falx, 3 * falx)),
        ]
    )
    return np.asarray(np.maximum(hu, hu * (1 - chalk) + CHALK_HU * chalk))


def _with_skull(hu: np.ndarray, anatomy: _Anatomy, place: _Place, level: float) -> np.ndarray:
    bone = place.inside(-place.depth)
    hu = hu * bone + anatomy.bone_hu * (1 - bone)
    base = min(1.0, max(0.0, 0.32 - level) / 0.15)
    petrous = place.pair((0.95 - 0.25 * base, 0.32), (0.45 * base, 0.12 * base), 0.35)
    hu = hu * (1 - petrous) + anatomy.bone_hu * petrous
    scalp = place.inside(-place.outside)
    hu = hu * (1 - scalp) + SCALP_HU * scalp
    air = place.inside(anatomy.scalp - place.outside)
    return np.asarray(hu * (1 - air) + AIR_HU * air)


def _radius_at(lesion: Lesion, level: float) -> float:
    """Radius of a lesion's cut at `level`."""
    off = (level - lesion.centre[2]) * HEAD_HEIGHT / lesion.radius
    return lesion.radius * float(np.sqrt(max(0.0, 1 - off**2)))


def _lesion_shape(lesion: Lesion, place: _Place, level: float) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel lies in the core, and in the whole lesion."""
    radius = _radius_at(lesion, level)
    if not radius:
        return np.zeros_like(place.x), np.zeros_like(place.x)
    x = (place.x - lesion.centre[0]) * place.axes[0]
    y = (place.y - lesion.centre[1]) * place.axes[1]
    cos, sin = np.cos(lesion.angle), np.sin(lesion.angle)
    stretch = np.sqrt(lesion.elongation)
    x, y = (cos * x + sin * y) / stretch, (cos * y - sin * x) * stretch
    angle, (amplitude, phase) = np.arctan2(y, x), lesion.wobble
    outline = 1 + amplitude * (np.cos(3 * angle + phase) + 0.6 * np.cos(5 * angle - 2 * phase))
    away = np.hypot(x, y) / outline
    core = MASS_CORE if lesion.kind == "mass" else 1.0
    return place.inside(away - core * radius), place.inside(away - radius)


def _with_lesion(hu: np.ndarray, lesion: Lesion, core: np.ndarray, whole: np.ndarray) -> np.ndarray:
    if lesion.kind == "mass":
        hu = np.where(whole > 0, np.maximum(hu + _OEDEMA_HU * whole, np.minimum(hu, FLUID_HU)), hu)
        return hu + (lesion.contrast_hu - _OEDEMA_HU) * core
    if lesion.kind == "bleed":
        return hu + lesion.contrast_hu * core
    return np.asarray(np.maximum(hu + lesion.contrast_hu * core, np.minimum(hu, FLUID_HU)))


def _band(random: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> np.ndarray:
    """Noise without detail finer than `sigma_px`, of standard deviation 1."""
    white = random.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return np.asarray((smooth - smooth.mean()) / smooth.std())


def main(arguments: Sequence[str]) -> int:
    """Write a folder of synthetic scans to try things on."""
    parser = argparse.ArgumentParser(prog="python -m infer.phantom", description=main.__doc__)
    parser.add_argument("out", type=Path, help="folder to write, new or empty")
    parser.add_argument("--scans", type=int, default=24, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other heads (default %(default)s)")
    chosen = parser.parse_args(arguments)

    from infer.writers.phantoms import write_phantoms  # a pure module above this line

    print(write_phantoms(chosen.out, scans=chosen.scans, seed=chosen.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
