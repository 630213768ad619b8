"""A further encoder of an f-AnoGAN in cross validation: for the generator and critic of its fold.

Nothing is exported, as in `test_fold_run`.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export import fold_shipping
from export.baselines import baselines
from export.fold_job import checkpoint_of, fingerprint_of, note_of
from export.fold_run import run_fold
from infer.errors import BadModelError
from tests.export.test_fold_run import fold_of, job
from tests.export.tiny_pool import make_tiny_pool, numbers
from tests.train.told_run import Told
from train import checkpoint, session, tracking
from train.pool import load_pool

GAN = ("generator.", "critic.")
KEEPERS = ("study_0", "study_1", "blind")
PARAMS = numbers(("fanogan", "fanogan-izi"))


class WithPart:
    """An engine that has a score part: its own score, told in another unit."""

    def __init__(self, engine):
        self.engine = engine

    def run(self, images):
        found = self.engine.run(images)
        return replace(found, score_parts={"features": found.score * 2 + 1})


@pytest.fixture(scope="module")
def working_directory(tmp_path_factory):
    """With a pool, and with two folds of the method and of its variant; the results by both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("variant"))
        engine = WithPart(baselines(make_tiny_pool(PARAMS).images)[1])
        patch.setattr(fold_shipping, "release", lambda path, graph, draft, *given, **named: draft)
        patch.setattr(fold_shipping, "open_engine", lambda *given, **named: engine)
        patch.setattr(tracking, "start", lambda *given, **named: Told())
        for pictures in ("_pictures", "_watch"):  # they cost seconds
            patch.setattr(session.Session, pictures, lambda *given, **named: {})
        yield {
            (name, fold): fold_of(job(name, method=name, fold=fold), PARAMS)
            for name in ("fanogan", "fanogan-izi")
            for fold in (0, 1)
        }


def weights(name, fold, keeper="blind"):
    """What a keeper has kept: of generator and critic, and of the encoder."""
    found, _ = checkpoint.load(checkpoint_of(Path(f"models/published/fold{fold}"), name, keeper))
    gan = {name: it for name, it in found.items() if name.startswith(GAN)}
    encoder = {name: it for name, it in found.items() if name.startswith("encoder.")}
    assert gan
    assert encoder
    return gan, encoder


def equal(some, others):
    assert some.keys() == others.keys()
    return all(torch.equal(it, others[name]) for name, it in some.items())


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("keeper", KEEPERS)
def test_every_keeper_has_generator_and_critic_of_the_folds_own_fit(
    working_directory, keeper, fold
):
    gan, encoder = weights("fanogan", fold, keeper)
    own_gan, own_encoder = weights("fanogan-izi", fold, keeper)
    assert equal(gan, own_gan)
    assert not equal(encoder, own_encoder)


def test_the_fits_of_two_folds_have_learned_different_ones(working_directory):
    assert not equal(weights("fanogan", 0)[0], weights("fanogan", 1)[0])


def test_those_of_another_fold_or_grouping_are_refused(working_directory):
    """Whatever was copied: they have seen scans that are tested here."""
    fitted = Path("models/published/fold0/fanogan.safetensors")
    for place, which in (
        (Path("models/published/fold2"), {"fold": 2}),
        (Path("models/grouped/fold0"), {"grouped": True}),
    ):
        place.mkdir(parents=True)
        (place / fitted.name).write_bytes(fitted.read_bytes())
        whole = job("fanogan", method="fanogan", **which)
        note_of(place, "fanogan").write_text(
            fingerprint_of(PARAMS, whole, load_pool(whole.pool).hash)
        )
        with pytest.raises(BadModelError, match="was fitted to other data"):
            fold_of(job("fanogan-izi", method="fanogan-izi", **which), PARAMS)


@pytest.mark.parametrize("left", [None, "of other numbers"])
def test_those_of_another_fit_are_refused(working_directory, tmp_path, left):
    """As an earlier run leaves them, where the method's own fit has failed; nothing is changed."""
    models = tmp_path / "models"
    shutil.copytree("models", models)
    variant = job("fanogan-izi", method="fanogan-izi", fold=1)
    note = note_of(models / variant.place, "fanogan")
    note.unlink()
    if left:
        note.write_text(left)
    with pytest.raises(BadModelError, match="of fanogan is of other numbers, or its fit"):
        run_fold(PARAMS, variant, models=models, reports=tmp_path)
    assert note_of(models / variant.place, "fanogan-izi").exists()


def test_a_score_part_by_itself_is_a_row_that_nothing_chooses(working_directory):
    for result in working_directory.values():
        for test in result.tests:
            alone = test.other_scores["features_alone"]
            np.testing.assert_allclose(alone, test.scores * 2 + 1, rtol=1e-6)
            assert test.recipe in PARAMS.values["scores"]
