"""Shapes and dtypes of arrays and tensors are checked while tests run, and only then."""

import os

from jaxtyping import install_import_hook

# What tests register and fetch is nothing for the server of who runs them.
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
    os.environ.pop(name, None)

# Before anything of ours is imported; `is_pep484_tower`: an int is welcome where a float is.
install_import_hook(
    ["infer", "train", "export"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)
