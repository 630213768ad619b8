"""Whether a file holds scans of the people it was fitted to is said when it is written."""

from dataclasses import replace
from pathlib import Path

import pytest

from export.release import HOLDS_SCANS, in_words
from export.remembering import remembers
from tests.infer.tiny_model import MANIFEST
from train.recipes import RECIPES


def of(method, *members):
    origin = replace(MANIFEST.provenance, members=dict.fromkeys(members, "run"))
    return replace(MANIFEST, method=method, provenance=origin)


@pytest.mark.parametrize("method", RECIPES)
def test_only_what_remembers_images_holds_them(method):
    assert remembers(of(method)) == (method == "neighbours")


@pytest.mark.parametrize(
    ("manifest", "holds"),
    [
        (of("both", "cae", "neighbours"), True),
        (of("both", "cae", "vae"), False),
        (of("of_another_version"), False),
    ],
)
def test_an_export_tells_who_hands_the_file_on(manifest, holds):
    assert (HOLDS_SCANS in in_words(Path("model.onnx"), manifest, "1")) == holds
