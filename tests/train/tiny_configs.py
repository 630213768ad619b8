"""Every method as small as it still works: its block of params.yaml with a few numbers changed."""

from typing import Any

# For every method whose block has such a number; an epoch of the phantom study is two steps.
COMMON = {
    "device": "cpu",
    "precision": "32-true",
    "width": 4,
    "latent": 8,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}
# What a method needs besides, by its name in train/recipes.py.
TINY: dict[str, dict[str, Any]] = {
    "fanogan": {
        "width": 2,
        "penalty_precision": "32-true",
        "critic_steps": 1,
        "gan_steps": 2,
        "encoder_steps": 2,
        "steps_per_record": 1,
    },
    "dae": {"levels": 2, "bottleneck": 8},
    # More steps: until batch norms know the scale of their features, all that comes out is alike.
    "fpi": {"levels": 1, "bottleneck": 8, "epochs": 12},
    "fpi-neighbours": {"levels": 1, "bottleneck": 8, "epochs": 12},
    "neighbours": {"remembered": 12, "window_px": 4.0, "surroundings_px": 4.0},
    "dagmm": {"latent": 2, "estimation_dropout": 0.0},
    "vae": {"features": [4, 8]},
    "cevae": {"features": [4, 8]},
    "gmvae": {"features": [4, 8], "components": 3, "warm_up": 1},
}


def tiny(method: str, block: dict[str, Any], spatial_dims: int = 2) -> dict[str, Any]:
    """The numbers of a method's block, made small."""
    numbers = {**COMMON, "spatial_dims": spatial_dims}
    common = {name: value for name, value in numbers.items() if name in block}
    return {**block, **common, **TINY.get(method, {})}
