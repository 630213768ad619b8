"""Pictures of what a classifier looks at in test scans, through its checkpoint."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from export import registry
from export.stages import attention as stage
from tests.export.tiny_study import COUNTS, make_study, write_fit
from tests.train.methods.test_densenet import CONFIG, seen
from train import attention
from train.params import load

FOLDER = Path("reports/tiny/attention/densenet")
SIDE = 64  # of the images; the scans are 40 × 44


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The files that the run of the fit got, after the stage ran in the working directory."""
    found = {}

    def log_files(files, **named):
        found.update(named, files=list(files))

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("attention"))
        patch.setattr(attention, "NOISY_COPIES", 1)
        patch.setattr(registry, "log_files", log_files)
        make_study()
        text = Path("params.yaml").read_text()
        Path("params.yaml").write_text(text.replace("image_size: [32, 32]", "image_size: [64, 64]"))
        write_fit("densenet", seen(), {it: getattr(CONFIG, it) for it in CONFIG.__slots__})
        stale = FOLDER / "normal/gone.png"
        stale.parent.mkdir(parents=True)
        stale.touch()
        stage.attention(load("params.yaml"), "densenet")
        yield found


def test_every_test_scan_and_no_other_has_a_picture_by_its_label(logged):
    drawn = [it.relative_to(FOLDER) for it in FOLDER.rglob("*.png")]
    labels = ("normal", "abnormal")
    assert tuple(sum(it.parts[0] == label for it in drawn) for label in labels) == COUNTS["test"]
    assert all(it.name.startswith("test_") for it in drawn)
    assert sorted(logged["files"]) == sorted(FOLDER / it for it in drawn)
    assert logged["to"] == "attention"


def test_a_picture_shows_the_scan_and_then_three_maps_over_it(logged):
    for path in FOLDER.rglob("*.png"):
        picture = cv2.imread(str(path)).astype(float)
        assert picture.shape == (SIDE, 4 * SIDE, 3)
        scan, *maps = np.split(picture, 4, axis=1)
        assert np.ptp(scan, axis=2).max() == 0  # grey
        assert all((it[..., 2] >= scan[..., 2] - 1).all() for it in maps)  # and red only added
        assert np.ptp(maps[-1], axis=2).max() > 50


def test_a_method_that_decides_nothing_by_looking_is_refused(logged, capsys):
    assert stage.main(["params.yaml", "cae"]) == 2
    assert "cae is no classifier" in capsys.readouterr().err
