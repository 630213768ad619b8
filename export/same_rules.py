"""Whether a file's thresholds and postprocessing are those that params ask for now.

DVC exports, evaluates and compares again where the block `export` has changed; whoever runs stages
by hand may forget to, and numbers of two configurations would stand side by side.
"""

from pathlib import Path

from export.calibration import ExportConfig, other_rules
from infer.engine import read_manifest
from infer.errors import BadModelError
from train.params import Params


def refuse_other_rules(path: Path, params: Params) -> None:
    """Say so where a model file was exported by other rules.

    Raises:
        BadModelError: it was.
    """
    manifest = read_manifest(path)
    if changed := other_rules(manifest, params.block(ExportConfig, "export")):
        raise BadModelError(
            f"{params.path}: export.{', export.'.join(changed)} has changed since {path} was made",
            hint=f"export and evaluate {manifest.method} again, as `dvc repro` does, or change it "
            "back",
        )
