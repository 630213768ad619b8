"""Habits of the repository that no linter knows."""

import gzip
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
THIS = Path(__file__).name


def tracked_texts() -> dict[str, str]:
    """Every tracked file that is text, packed or not, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    texts = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path.name != THIS and path.suffix not in {".png", ".jpg"}:
            content = path.read_bytes()
            texts[name] = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return texts


def test_tests_are_no_packages_or_they_would_shadow_the_code() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_nothing_refers_to_places_outside_the_repository() -> None:
    outside = re.compile(r"\.\./shared|/home/\w")
    guilty = [name for name, text in tracked_texts().items() if outside.search(text)]
    assert not guilty


def test_the_pinned_set_names_no_registry_and_no_file() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", pin) for pin in pins)


def test_no_file_of_code_is_called_after_nothing() -> None:
    nouns_missing = {"utils.py", "helpers.py", "common.py", "misc.py", "constants.py"}
    assert not [name for name in tracked_texts() if Path(name).name in nouns_missing]
