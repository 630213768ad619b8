"""docs/adding-a-method.md does what it says: followed to the letter, its example is a method."""

import importlib.util
import inspect
import re
import sys
from pathlib import Path

import pytest

from tests.train import phantom_study, test_method_contract
from train import recipes
from train.params import load
from train.protocol import CrossvalConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/adding-a-method.md").read_text()


def code(language):
    """The page's blocks of code in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def edited(text, diff):
    """The text after an edit that the page prints."""
    before, after = (
        "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != other)
        for other in "+-"
    )
    assert text.count(before) == 1, f"the page quotes what is not there, or not once:\n{before}"
    return text.replace(before, after)


def module_of(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """A copy of what the page touches, after all that it tells the reader to do."""
    file, imported, line, methods, blind_score = *code("python"), *code("diff")
    block, _ = code("yaml")
    (tmp_path / "linear.py").write_text(file)
    linear = module_of(tmp_path / "linear.py", "train.methods.linear")
    monkeypatch.setitem(sys.modules, "train.methods.linear", linear)
    text = (ROOT / "train/recipes.py").read_text()
    (tmp_path / "recipes.py").write_text(edited(edited(text, imported), line))
    added = module_of(tmp_path / "recipes.py", "followed_recipes").RECIPES
    monkeypatch.setitem(recipes.RECIPES, "linear", recipes.Recipe(*added["linear"]))
    params = (ROOT / "params.yaml").read_text().replace("\nfit:\n", f"\nfit:\n{block}", 1)
    (tmp_path / "params.yaml").write_text(edited(edited(params, methods), blind_score))
    monkeypatch.setattr(phantom_study, "REPOSITORY", tmp_path)
    return tmp_path


@pytest.mark.parametrize("size", test_method_contract.SIZES)
def test_the_example_passes_the_contract_of_every_method(followed, size):
    contract = [
        promise for name, promise in vars(test_method_contract).items() if name.startswith("test_")
    ]
    assert len(contract) > 5
    image_size, channels = test_method_contract.SIZES[size]
    with test_method_contract.study_of("linear", image_size, channels, followed) as study:
        given = {"study": study, "told": study.fit(), "tmp_path": followed / "out"}
        given["file"] = test_method_contract.exported(study)
        for promise in contract:
            promise(**{name: given[name] for name in inspect.signature(promise).parameters})


def test_the_example_can_be_cross_validated(followed):
    params = load(followed / "params.yaml")
    config = params.block(CrossvalConfig, "crossval")
    assert "linear" in config.methods
    assert config.blind_scores["linear"] in params.names("scores")


def test_the_edits_leave_the_imports_in_order(followed):
    text = (followed / "recipes.py").read_text()
    imports = re.findall(r"^from (train\.methods\.\w+)", text, flags=re.MULTILINE)
    assert imports == sorted(imports)
