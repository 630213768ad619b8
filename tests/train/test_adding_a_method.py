"""docs/adding-a-method.md does what it says: its example passes the contract of every method."""

import importlib.util
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from tests.train import phantom_study, test_method_contract
from train import recipes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/adding-a-method.md").read_text()


def code(language):
    """The page's blocks of code in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def linear(tmp_path, monkeypatch):
    """The page followed: a file, a line in the recipes, a block in params.yaml."""
    file, line = code("python")
    block, _ = code("yaml")
    path = tmp_path / "linear.py"
    path.write_text(file)
    spec = importlib.util.spec_from_file_location("linear", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (entry,) = eval(f"{{{textwrap.dedent(line)}}}", vars(recipes) | vars(module)).items()
    monkeypatch.setitem(recipes.RECIPES, *entry)
    params = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("\nfit:\n", f"\nfit:\n{block}", 1))
    monkeypatch.setattr(phantom_study, "REPOSITORY", tmp_path)
    return entry[0]


@pytest.mark.parametrize("size", test_method_contract.SIZES)
def test_the_example_passes_the_contract_of_every_method(linear, tmp_path, size):
    contract = [
        promise for name, promise in vars(test_method_contract).items() if name.startswith("test_")
    ]
    assert len(contract) > 5
    image_size, channels = test_method_contract.SIZES[size]
    with test_method_contract.study_of(linear, image_size, channels, tmp_path) as study:
        given = {"study": study, "told": study.fit(), "tmp_path": tmp_path / "out"}
        given["file"] = test_method_contract.exported(study)
        for promise in contract:
            promise(**{name: given[name] for name in inspect.signature(promise).parameters})
