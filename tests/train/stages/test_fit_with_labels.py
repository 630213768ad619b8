"""A fit that learns from labels: which images it sees, what is kept of it, when it ends."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.phantom_study import COUNTS, STUDY, make_phantom_study
from tests.train.told_run import Told
from train import checkpoint, session, tracking
from train.fitting import training_images
from train.params import BadParamsError, Params
from train.paths import checkpoint_path
from train.stages.fit import fit
from train.stored_images import StoredImages

NORMAL, ABNORMAL = COUNTS["train"]
EPOCHS = 6


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for pictures in ("_pictures", "_watch"):  # they cost seconds
        monkeypatch.setattr(session.Session, pictures, lambda *given, **named: {})
    return make_phantom_study("densenet", (32, 32), 1)


@pytest.fixture
def run(study, monkeypatch):
    """Fit with these numbers, validation losses as given, and return what the run was told."""

    def run(losses, **numbers):
        told, left = Told(), iter(losses)

        def validate_each(*given):
            seen = real(*given)
            return [replace(it, loss=next(left)) for it in seen]

        real = session.validate_each
        monkeypatch.setattr(session, "validate_each", validate_each)
        monkeypatch.setattr(tracking, "start", lambda *given, **named: told)
        block = study.values["fit"]["densenet"] | {"epochs": EPOCHS} | numbers
        fit(Params(study.path, {**study.values, "fit": {"densenet": block}}), "densenet")
        return told

    return run


def test_only_a_method_that_learns_from_labels_sees_the_abnormal_training_images(study):
    images, abnormal = training_images(STUDY, "densenet")
    assert (len(images), abnormal.sum()) == (NORMAL + ABNORMAL, ABNORMAL)
    others, none = training_images(STUDY, "cae")
    assert (len(others), none.sum()) == (NORMAL, 0)
    np.testing.assert_array_equal(others, images[~abnormal])


def test_the_lowest_validation_loss_is_kept_whatever_its_auroc(run):
    told = run([0.9, 0.4, 0.5, 0.6, 0.7, 0.8])
    kept = told.metrics[EPOCHS]
    assert kept["kept_validation_loss"] == 0.4
    assert kept["kept_record"] == 2


def test_a_fit_that_no_longer_improves_ends_when_its_patience_does(run):
    told = run([0.9, 0.4, 0.5, 0.6, 0.3, 0.2], patience=2)
    assert sorted(told.metrics) == [0, 1, 2, 3, EPOCHS]  # the last is what was kept


def test_without_patience_every_epoch_is_run(run):
    told = run([0.9] * EPOCHS)
    assert sorted(told.metrics) == list(range(EPOCHS + 1))


def test_it_weighs_classes_by_the_training_labels(run):
    run([0.9] * EPOCHS)
    weights, _ = checkpoint.load(checkpoint_path(STUDY, "densenet"))
    both = NORMAL + ABNORMAL
    expected = torch.tensor([both / (2 * NORMAL), both / (2 * ABNORMAL)])
    torch.testing.assert_close(weights["class_weights"], expected)


def test_without_an_abnormal_training_image_it_is_refused_in_words(study, monkeypatch):
    monkeypatch.setattr(
        "train.fitting.open_images",
        lambda *given: (
            StoredImages(np.zeros((2, 1, 32, 32), np.float32), np.arange(2)),
            np.zeros(2, bool),
        ),
    )
    with pytest.raises(BadParamsError, match="learns from labels") as refused:
        fit(study, "densenet")
    assert "abnormals: folds" in refused.value.hint
