"""A fold of a method that looks at patches: shipped, calibrated and tested as any other."""

from pathlib import Path

import numpy as np
import pytest

from export.fold_job import FoldJob
from export.fold_run import run_fold
from infer.engine import read_manifest
from infer.patches import Patches
from tests.export.stages.test_crossval import numbers
from train.pool import make_pool

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATCHES = {"size": [32, 32], "stride": [32, 16], "top_share": 0.5}


@pytest.fixture(scope="module")
def fold(tmp_path_factory):
    """The result of one fold; its files are in the working directory."""
    params, folder = numbers(), tmp_path_factory.mktemp("crossval")
    params.values["data"] = {**params.values["data"], "image_size": [64, 64]}
    params.values["patches"] = {"cae": PATCHES}
    params.values["scores"]["standardised"] = {
        **params.values["scores"]["mean_square"],
        "standardised": True,
    }
    job = FoldJob(
        name="cae",
        method="cae",
        members=(),
        pool="tiny.crossval",
        grouped=False,
        fold=0,
        parent_run="",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        make_pool(params, job.pool)
        yield run_fold(params, job, models=Path("models"), reports=Path("reports"))


def test_every_file_of_the_fold_takes_patches(fold):
    for name in ("study_0", "study_1", "blind"):
        manifest = read_manifest(Path(f"models/published/fold0/cae.{name}.onnx"))
        assert manifest.patches == Patches(size=(32, 32), stride=(32, 16), top_share=0.5)
        assert manifest.image_size == (64, 64)


def test_a_shipped_score_is_that_of_its_recipe_on_the_same_images(fold):
    for test in fold.tests:
        scores = [it.score for it in test.scans]
        # ONNX Runtime against torch: other orders of summation.
        np.testing.assert_allclose(scores, test.other_scores[test.recipe], rtol=1e-4)


def test_no_recipe_that_standardises_by_pixel_is_followed(fold):
    for test in fold.tests:
        assert set(test.other_scores) == {"mean_square", "strongest_7x7"}
