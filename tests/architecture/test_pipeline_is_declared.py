"""dvc.yaml says what the code does: a forgotten dependency is a stale result that looks fresh."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML

from train import paths
from train.recipes import is_known

ROOT = Path(__file__).parents[2]
GRAPH = grimp.build_graph("infer", "train", "export")
PARAMS_FILES = [ROOT / "params.yaml", *sorted(ROOT.glob("studies/*/params.yaml"))]


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def stage_of(entry: dict[str, Any]) -> dict[str, Any]:
    """A stage; of one that is written once for all variants, with the variant in the matrix."""
    if "do" not in entry:
        return entry
    return {**entry["do"], "matrix": {"method": entry["foreach"]}}


STAGES = {name: stage_of(entry) for name, entry in read_yaml(ROOT / "dvc.yaml")["stages"].items()}


def stage_module(stage: dict[str, Any]) -> str:
    """The module a stage is: of several commands the last."""
    commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
    python, flag, module, *_ = commands[-1].split()
    assert (python, flag) == ("python", "-m")
    return str(module)


def source(module: str) -> PurePosixPath:
    """The file of a module, relative to the repository."""
    path = PurePosixPath(module.replace(".", "/"))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def is_exempt(path: PurePosixPath, stage: dict[str, Any]) -> bool:
    """Package markers hold no code; a stage names its own method's file through the matrix."""
    own_model = path.parent == PurePosixPath("train/methods") and path.name != "method.py"
    return path.name == "__init__.py" or (own_model and "matrix" in stage)


def output_paths(stage: dict[str, Any]) -> list[str]:
    """A plot is a path, or a path with what to draw of it."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


@pytest.mark.parametrize("name", STAGES)
def test_every_first_party_import_of_a_stage_is_a_dependency(name: str) -> None:
    stage = STAGES[name]
    module = stage_module(stage)
    imported = {source(m) for m in GRAPH.find_upstream_modules(module) | {module}}
    declared = {PurePosixPath(dep) for dep in stage["deps"]}
    forgotten = [
        str(path)
        for path in imported
        if not is_exempt(path, stage) and not declared & {path, *path.parents}
    ]
    assert not forgotten, f"dvc.yaml: stage {name} lacks {sorted(forgotten)}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_in_the_repository_root(name: str) -> None:
    assert STAGES[name]["wdir"] == "${root}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_tracks_the_numbers_of_its_own_study(name: str) -> None:
    entries = STAGES[name]["params"]
    assert entries
    assert all(isinstance(entry, dict) and list(entry) == ["${params_file}"] for entry in entries)


@pytest.mark.parametrize("name", STAGES)
def test_every_output_contains_the_name_of_the_study(name: str) -> None:
    assert all("/${study}" in path for path in output_paths(STAGES[name]))


@pytest.mark.parametrize("params_file", PARAMS_FILES, ids=lambda path: path.parent.name)
def test_a_study_names_methods_we_have_and_says_where_it_lies(params_file: Path) -> None:
    params = read_yaml(params_file)
    assert all(is_known(name) for name in params["fit"])
    assert set(params["methods"]) <= set(params["fit"])
    assert params["params_file"] == params_file.relative_to(ROOT).as_posix()
    assert (params_file.parent / params["root"]).resolve() == ROOT


def test_studies_have_names_of_their_own() -> None:
    names = [read_yaml(path)["study"] for path in PARAMS_FILES]
    assert len(set(names)) == len(names)


def test_paths_are_built_as_the_pipeline_declares_them() -> None:
    declared = {
        path.replace("${study}", "s").replace("${item.method}", "m").replace("${key}", "m")
        for stage in STAGES.values()
        for path in output_paths(stage)
    }
    built = {
        paths.data_folder("s"),
        paths.checkpoint_path("s", "m"),
        paths.model_path("s", "m"),
        paths.report_folder("s", "compare"),
        paths.scans_table("s"),
    }
    assert {path.as_posix() for path in built} <= declared
    assert all(re.match(r"(data|models|reports)/s(/|$)", path) for path in declared)


def test_a_study_that_is_switched_on_runs_this_very_pipeline() -> None:
    pipeline = (ROOT / "dvc.yaml").read_text()
    stale = [copy for copy in ROOT.glob("studies/*/dvc.yaml") if copy.read_text() != pipeline]
    assert not stale, "switch them on again: make study STUDY=…"
