"""Who becomes champion: nobody who is worse on the same scans, and what was compared is written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from export.__main__ import app
from export.promotion import compare, promote
from export.stages.export import export
from infer.errors import UnknownChoiceError
from tests.export.tiny_study import make_study
from train import tracking
from train.data import data_folder
from train.datasets.case import Case
from train.metrics import Bootstrap
from train.paths import model_path

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NAME = "uad-tiny-cae"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch):
    """Enough for an interval; the two thousand of a promotion take seconds each time."""
    few = Bootstrap(resamples=200, confidence=0.95, seed=0)
    monkeypatch.setattr("export.promotion.BOOTSTRAP", few)


def cases(*abnormal):
    return [
        Case(scan=Path(f"{at}.png"), group=f"patient {at}", normal=not it, mask=None)
        for at, it in enumerate(abnormal)
    ]


def test_the_difference_is_that_of_scikit_learns_areas():
    draw = np.random.default_rng(0)
    truth = np.arange(40) % 2 == 1
    one, other = draw.random(40) + truth, draw.random(40) + 0.3 * truth
    found = compare(one, other, cases(*truth))
    assert found.value == pytest.approx(roc_auc_score(truth, one) - roc_auc_score(truth, other))
    assert found.low < found.value < found.high
    turned = compare(other, one, cases(*truth))
    assert (turned.value, turned.low, turned.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_equal_models_differ_by_nothing_however_few_the_scans():
    scores = np.array([0.1, 0.9, 0.4, 0.5])
    found = compare(scores, scores * 2, cases(False, True, True, False))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_test_of_one_class_compares_nothing():
    with pytest.raises(UnknownChoiceError, match="2 of 2 test scans are abnormal"):
        compare(np.zeros(2), np.ones(2), cases(True, True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two registered versions of one fit."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        params = make_study()
        export(params, "cae")
        export(params, "cae")
    return folder


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A client of a copy of its store, whose versions' files lie where they were written."""
    folder = shutil.copytree(made, tmp_path / "study")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tracking.open_client()


def champion(client):
    return str(client.get_registered_model(NAME).aliases["champion"])


def tags(client, version):
    """What a promotion to champion wrote of a version."""
    return {
        key.removeprefix("champion."): value
        for key, value in client.get_model_version(NAME, version).tags.items()
        if key.startswith("champion.")
    }


def scores_of(monkeypatch, **by_version):
    """Let each version score the ten test scans (five normal, five abnormal) as told."""
    monkeypatch.setattr(
        "export.promotion._scores",
        lambda address, test, study: np.array(by_version[f"v{address[-1]}"]),
    )


def test_the_first_is_champion_without_a_comparison_and_a_later_equal_one_takes_over(study):
    first = promote("tiny", "cae", alias="champion", version="1")
    assert "nothing was compared" in first.in_words()
    assert champion(study) == "1"
    second = promote("tiny", "cae", alias="champion")
    assert (second.candidate, second.champion, second.scans) == ("2", "1", 10)
    assert second.difference.value == 0
    assert champion(study) == "2"
    assert tags(study, "1") == {"instead_of": "none"}
    assert tags(study, "2") == {
        "instead_of": "1",
        "auroc_difference": "0.0000 [0.0000, 0.0000]",
    }


def test_a_worse_one_is_not_promoted_and_the_sentence_has_the_numbers(study, monkeypatch):
    promote("tiny", "cae", alias="champion", version="1")
    scores_of(monkeypatch, v1=[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], v2=[1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    refused = CliRunner().invoke(app, ["promote", "cae", "--study", "tiny"])
    assert refused.exit_code == 1
    assert "is worse and was not promoted: AUROC -1.000 [-1.000, -1.000]" in refused.output
    assert champion(study) == "1"
    forced = CliRunner().invoke(app, ["promote", "cae", "--study", "tiny", "--force"])
    assert forced.exit_code == 0
    assert champion(study) == "2"
    assert tags(study, "2")["forced"] == "worse"


def test_force_that_was_not_needed_is_called_that(study):
    promote("tiny", "cae", alias="champion", version="1", force=True)
    assert tags(study, "1")["forced"] == "nothing was compared"
    promote("tiny", "cae", alias="champion", version="2", force=True)
    assert tags(study, "2")["forced"] == "not needed"


def test_once_data_were_added_force_replaces_a_holder_that_nothing_compares_with(
    study, monkeypatch
):
    promote("tiny", "cae", alias="champion", version="1")
    monkeypatch.setattr("export.promotion.data_hash", lambda study: "of more scans")
    with pytest.raises(UnknownChoiceError, match="other prepared data") as refused:
        promote("tiny", "cae", alias="champion", version="2")
    assert "--force" in refused.value.hint
    scores_of(monkeypatch)  # none: to ask for one is an error
    found = promote("tiny", "cae", alias="champion", version="2", force=True)
    assert champion(study) == "2"
    assert tags(study, "2") == {"instead_of": "1", "forced": "nothing was compared"}
    assert "by force: version 1 was made of other prepared data" in found.in_words()


def test_tags_of_an_earlier_promotion_do_not_outlive_a_later_one(study):
    promote("tiny", "cae", alias="champion", version="1", force=True)
    promote("tiny", "cae", alias="second", version="1")
    promote("tiny", "cae", alias="champion", version="2")
    promote("tiny", "cae", alias="champion", version="1")
    assert tags(study, "1") == {
        "instead_of": "2",
        "auroc_difference": "0.0000 [0.0000, 0.0000]",
    }
    assert study.get_model_version(NAME, "1").tags["second.instead_of"] == "none"


@pytest.mark.parametrize("step", ["set_registered_model_alias", "set_model_version_tag"])
def test_a_promotion_that_breaks_off_leaves_no_tag_that_is_not_true(study, monkeypatch, step):
    promote("tiny", "cae", alias="champion", version="1", force=True)
    promote("tiny", "cae", alias="champion", version="2")

    def fail(*args, **named):
        raise MlflowException("the store is full")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, step, fail)
        with pytest.raises(MlflowException):
            promote("tiny", "cae", alias="champion", version="1")
    assert tags(study, "1") == {}
    assert champion(study) == ("2" if step == "set_registered_model_alias" else "1")


def test_what_cannot_be_a_candidate_is_refused(study):
    promote("tiny", "cae", alias="champion")
    with pytest.raises(UnknownChoiceError, match="version 2 of uad-tiny-cae is champion already"):
        promote("tiny", "cae", alias="champion")
    with pytest.raises(UnknownChoiceError, match="has no version 7"):
        promote("tiny", "cae", alias="champion", version="7")
    with pytest.raises(UnknownChoiceError, match="no model uad-tiny-vae is registered"):
        promote("tiny", "vae", alias="champion")


@pytest.mark.parametrize("alias", ["", "a b", "v1", "Latest", "a/b", "a" * 256])
def test_what_cannot_be_an_alias_is_refused_before_anything_is_scored(study, monkeypatch, alias):
    promote("tiny", "cae", alias="champion", version="1")
    scores_of(monkeypatch)  # none: to ask for one is an error
    with pytest.raises(UnknownChoiceError, match="cannot be an alias"):
        promote("tiny", "cae", alias=alias)


def test_a_study_that_no_query_can_name_has_no_model(study):
    with pytest.raises(UnknownChoiceError, match="no model uad-t'1-cae is registered"):
        promote("t'1", "cae", alias="champion")


def test_the_one_at_hand_is_meant_not_a_newer_one_of_a_discarded_experiment(study):
    study.set_model_version_tag(NAME, "2", "sha256", "of another file")
    assert promote("tiny", "cae", alias="champion").candidate == "1"
    assert promote("tiny", "cae", alias="champion", version="2").candidate == "2"


def test_one_that_was_not_registered_to_the_end_is_not_at_hand(study):
    study.delete_model_version_tag(NAME, "2", "sha256")
    assert promote("tiny", "cae", alias="champion").candidate == "1"


@pytest.mark.parametrize(
    ("harm", "complaint", "hint"),
    [
        (Path.unlink, "is not here", "dvc pull"),
        (lambda path: path.write_bytes(b"another"), "is none of the versions", "`export`"),
    ],
    ids=["a fresh clone", "not registered"],
)
def test_where_no_version_is_at_hand_one_must_be_named(study, harm, complaint, hint):
    harm(model_path("tiny", "cae"))
    with pytest.raises(UnknownChoiceError, match=f"cae\\.onnx {complaint}") as refused:
        promote("tiny", "cae", alias="champion")
    assert hint in refused.value.hint
    assert "--version: 1, 2" in refused.value.hint
    assert promote("tiny", "cae", alias="champion", version="1").candidate == "1"


def test_a_model_of_other_data_is_not_compared(study):
    promote("tiny", "cae", alias="champion", version="1")
    images = data_folder("tiny") / "images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    with pytest.raises(UnknownChoiceError, match="was made of other prepared data"):
        promote("tiny", "cae", alias="champion")
    assert champion(study) == "1"
