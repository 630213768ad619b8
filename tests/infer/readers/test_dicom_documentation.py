"""docs/dicom.md names every reason and warning in the words that a user meets."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TABLES = (ROOT / "docs/dicom.md").read_text().split("## What is scored with a warning")[1]
NAMED = [name for name in re.findall(r"^\| ([a-z][^|]+) \|", TABLES, flags=re.M)
         if name not in ("warning", "reason")]  # fmt: skip


def texts() -> str:
    """All texts in the code of the DICOM reader, pieces of one sentence joined."""
    found = []
    readers = ROOT / "infer/readers"
    for path in (*readers.glob("dicom*.py"), readers / "choice.py", ROOT / "infer/modality.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                pieces = [it.value if isinstance(it, ast.Constant) else "…" for it in node.values]
                found.append("".join(map(str, pieces)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


@pytest.mark.parametrize("words", NAMED)
def test_what_the_page_says_is_what_the_code_says(words):
    assert words in texts()


def test_the_page_has_every_warning_and_reason():
    assert len(NAMED) == 26
