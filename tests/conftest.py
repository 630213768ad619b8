"""Shapes and dtypes of arrays and tensors are checked while tests run, and only then."""

from jaxtyping import install_import_hook

# Before anything of ours is imported; `is_pep484_tower`: an int is welcome where a float is.
install_import_hook(
    ["infer", "train", "export"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)
