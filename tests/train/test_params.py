from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from ruamel.yaml import YAML

from train.data import DataConfig
from train.params import BLOCKS, BadParamsError, Params, build, load
from train.protocol import SplitConfig

ROOT = Path(__file__).parents[2]
PARAMS_FILES = [ROOT / "params.yaml", *sorted(ROOT.glob("studies/*/params.yaml"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    width: int
    loss: Literal["mse", "l1"]
    size: tuple[int, int]
    inner: Inner

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")


GOOD = {"width": 8, "loss": "mse", "size": [4, 6], "inner": {"low": 1}}


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def whole_file(**changes: str) -> str:
    words = {"methods": "[cae]", "study": "s", "root": "r", "params_file": "p", "variants": "{}"}
    blocks = dict.fromkeys(BLOCKS, "{a: 1}") | words | changes
    return "\n".join(f"{name}: {value}" for name, value in blocks.items())


def test_a_config_is_filled_and_nested_blocks_with_it() -> None:
    config = build(Outer, GOOD, where="params.yaml: fit")
    assert config == Outer(width=8, loss="mse", size=(4, 6), inner=Inner(low=1.0))


def test_a_misspelt_key_is_refused_with_what_was_meant() -> None:
    with pytest.raises(BadParamsError, match=r"fit\.widht is unknown") as refused:
        build(Outer, {**GOOD, "widht": 8}, where="params.yaml: fit")
    assert "width" in refused.value.hint


def test_a_key_misspelt_in_a_nested_block_is_named_by_its_whole_path() -> None:
    with pytest.raises(BadParamsError, match=r"fit\.inner\.lwo is unknown"):
        build(Outer, {**GOOD, "inner": {"lwo": 1}}, where="params.yaml: fit")


def test_a_key_unlike_any_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(BadParamsError) as refused:
        build(Outer, {**GOOD, "zzz": 1}, where="params.yaml: fit")
    assert "inner, loss, size, width" in refused.value.hint


def test_missing_keys_are_named_since_there_are_no_defaults() -> None:
    with pytest.raises(BadParamsError, match="lacks loss, size"):
        build(Outer, {"width": 8, "inner": {"low": 1}}, where="params.yaml: fit")


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", "wide"), ("width", 1.5), ("loss", "l3"), ("size", [1]), ("width", 0)],
)
def test_a_value_of_the_wrong_kind_is_refused_where_it_stands(key: str, value: object) -> None:
    with pytest.raises(BadParamsError, match=key):
        build(Outer, {**GOOD, key: value}, where="params.yaml: fit")


def test_small_numbers_are_numbers(tmp_path: Path) -> None:
    params = load(written(tmp_path, whole_file(split="{low: 1e-4}")))
    assert params.block(Inner, "split") == Inner(low=1e-4)


def test_a_block_that_is_not_there_is_named_with_what_was_meant(tmp_path: Path) -> None:
    params = load(written(tmp_path, whole_file(fit="{cae: {low: 1}}")))
    with pytest.raises(BadParamsError, match=r"lacks fit\.cea") as refused:
        params.block(Inner, "fit", "cea")
    assert "cae" in refused.value.hint


def test_named_blocks_keep_the_order_of_the_file(tmp_path: Path) -> None:
    params = load(written(tmp_path, whole_file(scores="{b: {low: 1}, a: {low: 2}}")))
    assert list(params.blocks(Inner, "scores")) == ["b", "a"]
    assert params.names("scores") == ("b", "a")


def test_a_block_of_another_has_its_numbers_but_for_its_own(tmp_path: Path) -> None:
    base = "{width: 8, loss: mse, size: [4, 6], inner: {low: 1}}"
    fit = f"{{base: {base}, variant: {{of: base, loss: l1}}}}"
    params = load(written(tmp_path, whole_file(fit=fit)))
    base_config = params.block(Outer, "fit", "base")
    assert params.block(Outer, "fit", "variant") == replace(base_config, loss="l1")
    assert (params.of("fit", "variant"), params.of("fit", "base")) == ("base", "")


def test_a_block_of_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    params = load(written(tmp_path, whole_file(fit="{base: {a: 1}, variant: {of: bsae}}")))
    with pytest.raises(BadParamsError, match=r"lacks fit\.bsae") as refused:
        params.block(Outer, "fit", "variant")
    assert "base" in refused.value.hint


def test_models_are_the_methods_and_then_their_variants(tmp_path: Path) -> None:
    params = load(written(tmp_path, whole_file(methods="[b, a]", variants="{a-x: a}")))
    assert params.models == ("b", "a", "a-x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "holds no blocks"),
        ("a: [", "not valid YAML"),
        (whole_file(methods="[]"), "methods is empty"),
        (whole_file() + "\ncomapre: {}", "comapre is unknown"),
        ("study: s\nmethods: [cae]", "lacks root"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadParamsError, match=says):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"study": "../x"}, "study"),
        ({"study": ""}, "study"),
        ({"study": None}, "study"),
        ({"methods": "cae"}, "methods"),
        ({"methods": 5}, "methods"),
        ({"variants": None}, "variants"),
        ({"variants": ["fanogan-izi"]}, "variants"),
        ({"ensembles": {5: {}}}, "ensembles"),
        ({"patches": None}, "patches"),
    ],
)
def test_a_block_of_another_kind_is_refused_where_it_stands(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    values = {**load("params.yaml").values, **changes}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(values, file)
    with pytest.raises(BadParamsError, match=f"params.yaml: {says}: "):
        load(tmp_path / "params.yaml")


def test_an_empty_block_of_methods_changes_nothing_and_is_refused() -> None:
    with pytest.raises(BadParamsError, match=r"ablations\.x\.fit must be a block"):
        load("params.yaml").with_blocks({"fit": None}, where="ablations.x")


def test_a_missing_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadParamsError, match="cannot read"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_in_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes("study: tiny  # für".encode("latin-1"))
    with pytest.raises(BadParamsError, match="is not text in UTF-8: byte 16 is 0xfc"):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("config", "block", "changes", "choices"),
    [
        (SplitConfig, "split", {"scheme": "fold"}, "folds, groups, leave_one_out, given"),
        (
            DataConfig,
            "data",
            {"intensity": {"recipe": "win", "low": 0.0, "high": 1.0, "inside": "all"}},
            "window, percentile, zscore",
        ),
    ],
)
def test_a_wrong_choice_is_refused_with_all_there_are(
    config: type, block: str, changes: dict[str, Any], choices: str
) -> None:
    values = dict(load("params.yaml").values)
    params = Params("params.yaml", {**values, block: {**values[block], **changes}})
    with pytest.raises(BadParamsError, match="Invalid enum value") as refused:
        params.block(config, block)
    assert refused.value.hint == f"it is one of {choices}"


@pytest.mark.parametrize("path", PARAMS_FILES, ids=lambda path: path.parent.name)
def test_the_repository_s_own_studies_load(path: Path) -> None:
    assert load(path).methods
