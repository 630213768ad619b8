"""The README tells the truth: what it names exists."""

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from dvc.utils.hydra import apply_overrides

from export.params_check import check
from train.params import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TARGETS = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def shell_lines() -> list[str]:
    """Every line of every shell block."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", README, flags=re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_options_of_uad_infer_in_the_readme_exist() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "infer.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""},
    ).stdout
    lines = [line for line in shell_lines() if line.startswith("uad-infer")]
    named = {option for line in lines for option in re.findall(r"(?<=\s)--[a-z-]+", line)}
    named |= set(re.findall(r"`(--[a-z-]+)", README))
    missing = [option for option in sorted(named) if option not in help_text]
    assert named
    assert not missing, missing


def test_make_targets_in_the_readme_exist() -> None:
    named = set(re.findall(r"`make ([a-z]+)", README))
    named |= {line.split()[1] for line in shell_lines() if line.startswith("make ")}
    assert {"demo", "test"} <= named <= set(TARGETS)


def test_files_linked_in_the_readme_exist() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_line_that_runs_every_method_names_each_and_is_accepted(tmp_path: Path) -> None:
    joined = " ".join(shell_lines()).replace("\\ ", " ")
    given = shlex.split(joined[joined.index("dvc exp run -S 'params.yaml:methods") :])
    overrides = [
        value.removeprefix("params.yaml:")
        for option, value in pairwise(given[: given.index("-S") + 4])
        if option == "-S"
    ]
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    apply_overrides(tmp_path / "params.yaml", overrides)  # as DVC does it
    params = load(tmp_path / "params.yaml")
    check(params)
    files = {it.stem for it in (ROOT / "train" / "methods").glob("*.py")}
    assert {*params.methods} == files - {"__init__", "method"}
