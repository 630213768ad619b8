"""Whether a file holds scans of the people it was fitted to is said when it is written."""

from pathlib import Path

import pytest

from export.release import HOLDS_SCANS, in_words
from export.remembering import remembers
from tests.export.test_card import of_method
from train.recipes import RECIPES


@pytest.mark.parametrize("method", RECIPES)
def test_only_what_remembers_images_holds_them(method):
    assert remembers(of_method(method)) == (method in ("neighbours", "fpi-neighbours"))


@pytest.mark.parametrize(
    ("manifest", "holds"),
    [
        (of_method("both", cae="r", neighbours="r"), True),
        (of_method("neighbours-many"), True),
        (of_method("both", cae="r", vae="r"), False),
        (of_method("of_another_version"), False),
    ],
)
def test_an_export_tells_who_hands_the_file_on(manifest, holds):
    assert (HOLDS_SCANS in in_words(Path("model.onnx"), manifest, "1")) == holds
