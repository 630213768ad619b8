"""Keys that came to blocks later, and the values with which they change nothing.

A result keeps the name that it had before there was such a key: fingerprints leave it out where it
says what was so all along. Whoever adds a key to a block adds a line here, and results that took
hours stay good.
"""

from collections.abc import Mapping
from typing import Any

CHANGES_NOTHING = {
    "atlas": False,
    "flip": "columns",
    "gamma": 0.0,
    "gaussian": "none",
    "gaussian_px": 1.0,
    "map_odds": None,
    "mirror": "none",
    "pose_of_volumes": "every_axis",
    "pose_probability": 1.0,
    "prior_first": False,
    "slice_score": "graph",
}

# The same of one method's block: in those of others the key was from the start.
CHANGES_NOTHING_IN: dict[str, dict[str, Any]] = {"fpi": {"spatial_dims": 2}}


def block_without_silent(method: str, block: Mapping[str, Any]) -> Mapping[str, Any]:
    """A method's numbers without its own later keys that change nothing."""
    silent = CHANGES_NOTHING_IN.get(method, {})
    return {
        name: value for name, value in block.items() if name not in silent or value != silent[name]
    }


def without_silent(said: Any) -> Any:
    """Numbers, at any depth, without later keys that change nothing; lists are looked into, too."""
    if isinstance(said, Mapping):
        return {
            name: without_silent(value)
            for name, value in said.items()
            if name not in CHANGES_NOTHING or value != CHANGES_NOTHING[name]
        }
    if isinstance(said, list | tuple):
        return [without_silent(it) for it in said]
    return said
