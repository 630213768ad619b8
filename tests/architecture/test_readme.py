"""The README tells the truth: what it names exists."""

import re
import subprocess
import sys
from pathlib import Path

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
