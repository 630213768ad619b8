"""The product runs where training libraries are absent: the dynamic net, see the README."""

import subprocess
import sys

IMPORT_ALL_OF_INFER = """
import importlib, pkgutil, sys

absent = "torch mlflow train export onnx yaml ruamel dvc pandas fsspec"
for name in absent.split():
    sys.modules[name] = None  # importing it now raises ModuleNotFoundError

import infer

for module in pkgutil.walk_packages(infer.__path__, "infer."):
    importlib.import_module(module.name)
"""


def test_infer_imports_where_torch_mlflow_train_and_export_are_absent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_OF_INFER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
