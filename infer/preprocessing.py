"""What happens to slices before a network sees them: less noise, and nothing but the foreground.

What does not belong to the foreground becomes black in the image, and 0 in the map (`infer.finding`
does that). Both are needed: the graph computes the score from what it sees, so that only a black
skull has no part in it; and a network never redraws quite black, so that only the map of the
foreground may say where something is. Without it, a skull that is drawn a pixel beside its place is
the strongest residual of a healthy head.

All of it takes place on the slice's own grid with values in [0, 1], whatever range a network was
fitted on: the black of air is that of a lower end of the window, and the foreground is looked for
before noise is reduced. The intensity range is still the whole scan's: a percentile is one of skull
and air as well, and so no lesion moves its own reference.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.blanking import Rectangles, check_rectangles
from infer.foreground import ForegroundRecipe, foreground_of
from infer.noise import median, non_local_means
from infer.shapes import Slices

NoiseReduction = Literal["none", "median", "non_local_means"]

# A model file that asks for more would have one slice take hours.
LARGEST_SIDE_PX = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Numbers of a recipe that is off (`none`) are not used."""

    noise: NoiseReduction
    noise_px: int  # side of the square a median is of, or of the squares that are compared
    noise_search_px: int  # non-local means: side of the square they are looked for in
    noise_strength: float  # non-local means: standard deviation of the noise, of the whole range
    foreground: ForegroundRecipe
    blank: Rectangles = ()  # of every slice, see `infer.blanking`; before schema 4: none

    def __post_init__(self) -> None:
        check_rectangles(self.blank)
        for name in ("noise_px", "noise_search_px"):
            side = getattr(self, name)
            if not 3 <= side <= LARGEST_SIDE_PX or side % 2 == 0:
                raise ValueError(f"{name} must be odd, from 3 to {LARGEST_SIDE_PX}, got {side}")
        if not self.noise_strength > 0:
            raise ValueError(f"noise_strength must be above 0, got {self.noise_strength}")

    @property
    def acts(self) -> bool:
        """Whether anything is done to slices whose intensity range is known."""
        return (self.noise, self.foreground) != ("none", "none")


# What models of before this module do, and the neighbours of a scan are looked for with.
UNPROCESSED = Preprocessing(
    noise="none", noise_px=3, noise_search_px=11, noise_strength=0.05, foreground="none"
)


def preprocess(slices: Slices, recipe: Preprocessing) -> Slices:
    """Slices with values in [0, 1] as a network is to see them; the argument is left as it is."""
    quiet = _reduce_noise(slices, recipe)
    if recipe.foreground == "none":
        return quiet
    inside = foreground_of(slices, recipe.foreground)
    return np.where(inside[:, np.newaxis], quiet, np.float32(0))


def _reduce_noise(slices: Slices, recipe: Preprocessing) -> Slices:
    match recipe.noise:
        case "none":
            return slices
        case "median":
            return median(slices, side_px=recipe.noise_px)
        case "non_local_means":
            return non_local_means(
                slices,
                patch_px=recipe.noise_px,
                search_px=recipe.noise_search_px,
                strength=recipe.noise_strength,
            )
