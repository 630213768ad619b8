"""What a fold trains, chooses, calibrates and tests with, seen at the doors of fit and file.

Nothing is exported: the file that ships is stood in for by a baseline, once its release was asked.
"""

import shutil
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from export import fold_run, fold_shipping
from export.baselines import baselines
from export.calibration import calibrate
from export.crossval_plan import Planned
from export.fold_job import FoldJob, note_of, resume_of
from export.fold_run import run_fold, write_fold
from infer.errors import BadModelError
from tests.export.tiny_pool import COUNTS, FOLDS, NAME, make_tiny_pool, numbers
from tests.train.told_run import Told
from train import session, tracking
from train.params import Params

KEEPERS = ("study_0", "study_1", "blind")


def job(name="cae", method="", members=(), *, grouped=False, fold=0):
    return FoldJob(
        name=name,
        method=method,
        members=members,
        pool=NAME,
        grouped=grouped,
        fold=fold,
        parent_run="",
    )


def fold_of(job, params):
    return run_fold(params, job, models=Path("models"), reports=Path("reports"))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """In the working directory, for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("pool"))
        yield make_tiny_pool(numbers())


@pytest.fixture(scope="module")
def names_of(pool):
    """The scans that some images are of."""
    known = {
        image.tobytes(): row.scan.stem for image, row in zip(pool.images, pool.rows, strict=True)
    }
    assert len(known) == len(pool.images)
    return lambda images: [known[image.tobytes()] for image in images]


@pytest.fixture
def asked(pool, monkeypatch):
    """What a fold asks of a fit, which is not done."""

    class Enough(Exception):
        pass

    def asked(params, **which):
        given = {}

        @contextmanager
        def fitted(task, **named):
            given.update(named, task=task)
            raise Enough
            yield

        monkeypatch.setattr(fold_run, "fitted", fitted)
        with pytest.raises(Enough):
            fold_of(job(method="cae", **which), params)
        return given

    return asked


class Division(NamedTuple):
    """Scans, by what they are there for."""

    train: list[str]
    calibrating: list[list[str]]  # in the order of `KEEPERS`
    tests: dict[tuple[str, int], list[str]]  # by protocol and half

    @property
    def sides(self):
        """Those who train, who validate and who are tested, in whatever half."""
        return (
            set(self.train),
            {it for own in self.calibrating for it in own},
            {it for own in self.tests.values() for it in own},
        )


@pytest.fixture(scope="module")
def division(pool, names_of):
    """The division of a fold of a baseline, which is calibrated and tested as any file is."""

    @cache
    def divided(fold, grouped):
        trained, calibrating = [], []

        def told_baselines(images):
            trained.extend(names_of(images))
            return baselines(images)

        def told_calibrate(scored, config):
            seen = list(scored)
            calibrating.append([it.case.scan.stem for it in seen])
            return calibrate(seen, config)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fold_run, "baselines", told_baselines)
            patch.setattr(fold_shipping, "calibrate", told_calibrate)
            found = fold_of(job("mean_image", fold=fold, grouped=grouped), numbers())
        tests = {
            (it.protocol, it.half): [Path(scan.scan).stem for scan in it.scans]
            for it in found.tests
        }
        return Division(train=trained, calibrating=calibrating, tests=tests)

    return lambda *, fold=0, grouped=False: divided(fold, grouped)


def abnormal(names):
    return {it for it in names if it.startswith("abnormal")}


def pairs(names):
    """Which near-duplicates, by the numbers in their names."""
    return {(kind, int(at) // 2) for kind, at in (it.split("_") for it in names)}


@pytest.mark.parametrize("grouped", [False, True], ids=["published", "grouped"])
@pytest.mark.parametrize("fold", range(FOLDS))
def test_what_chose_a_threshold_is_never_what_it_is_tested_on(division, fold, grouped):
    found = division(fold=fold, grouped=grouped)
    everyone = {f"abnormal_{at:02}" for at in range(COUNTS[False])}
    for half in (0, 1):
        calibrating, tested = found.calibrating[half], found.tests["study", half]
        assert not set(calibrating) & set(tested)
        assert abnormal(calibrating) | abnormal(tested) == everyone
        assert found.tests["blind", half] == tested
        assert not set(found.calibrating[2]) & set(tested)
    assert abnormal(found.tests["study", 0]) != abnormal(found.tests["study", 1])


@pytest.mark.parametrize("grouped", [False, True], ids=["published", "grouped"])
def test_no_abnormal_scan_trains_or_calibrates_a_blind_file(division, grouped):
    found = division(grouped=grouped)
    assert not abnormal(found.train)
    assert not abnormal(found.calibrating[2])


@pytest.mark.parametrize("fold", range(FOLDS))
def test_where_they_are_grouped_near_duplicates_stay_on_one_side(division, fold):
    found = division(fold=fold, grouped=True)
    train, validation, test = (pairs(side - abnormal(side)) for side in found.sides)
    assert not train & validation | train & test | validation & test
    for half in (0, 1):
        assert not pairs(found.calibrating[half]) & pairs(found.tests["study", half])


def test_as_published_near_duplicates_are_divided(division):
    divided = [division(fold=fold, grouped=False).sides for fold in range(FOLDS)]
    assert all(pairs(train) & pairs(test) for train, _, test in divided)


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_fit_is_divided_as_its_tests_are(asked, division, names_of, fold):
    for grouped in (False, True):
        given = asked(numbers(), fold=fold, grouped=grouped)
        train, validation, test = division(fold=fold, grouped=grouped).sides
        assert set(names_of(given["train"])) == train
        assert set(names_of(given["validation"])) == validation
        assert not given["train_abnormal"].any()
        assert not train & (validation | test)


def test_a_checkpoint_of_another_division_is_of_other_data(asked):
    """It may have been fitted to scans that are tested here."""

    def hash_with(**split):
        params = numbers()
        values = {**params.values, "split": {**params.values["split"], **split}}
        return asked(Params(params.path, values))["task"].data_hash

    assert hash_with() == hash_with()
    assert hash_with() != hash_with(seed=7)


@pytest.mark.parametrize("grouped", [False, True], ids=["published", "grouped"])
def test_a_keeper_looks_at_exactly_what_calibrates_its_file(asked, division, names_of, grouped):
    given, found = asked(numbers(), grouped=grouped), division(grouped=grouped)
    validation = names_of(given["validation"])
    assert [it.name for it in given["keepers"]] == list(KEEPERS)
    for keeper, calibrating in zip(given["keepers"], found.calibrating, strict=True):
        assert {validation[row] for row in keeper.rows} == set(calibrating)
        assert given["abnormal"][keeper.rows].any() == (keeper.name != "blind")


@pytest.mark.parametrize("rule", ["last", "loss"])
def test_the_study_chooses_by_auroc_and_blind_as_was_fixed_beforehand(asked, rule):
    params = numbers(blind_checkpoint=rule, blind_scores={"cae": "mean_square"})
    found = {it.name: (it.rule, it.score) for it in asked(params)["keepers"]}
    assert found == {
        "study_0": ("auroc", ""),
        "study_1": ("auroc", ""),
        "blind": (rule, "mean_square"),
    }


class Released(NamedTuple):
    """What was asked of a release."""

    file: str
    validation: list[str]
    chosen_by: object  # f1, or a rate on normals


@pytest.fixture(scope="module")
def shipped(pool):
    """A tiny fit and an ensemble of it: what they asked to be released, and their results."""
    released, engine = [], baselines(pool.images)[1]

    def release(path, graph, draft, config, *, images, validation):
        seen = [it.scan.stem for it in validation]
        released.append(Released(path.name, seen, config.score_threshold))
        return draft

    params = numbers(false_positive_rate=0.25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_shipping, "release", release)
        patch.setattr(fold_shipping, "open_engine", lambda *given, **named: engine)
        patch.setattr(tracking, "start", lambda *given, **named: Told())
        for pictures in ("_pictures", "_watch"):  # they cost seconds
            patch.setattr(session.Session, pictures, lambda *given, **named: {})
        results = [
            fold_of(job("cae", method="cae"), params),
            fold_of(job("alone", members=("cae",)), params),
        ]
    return released, results


@pytest.mark.parametrize("left", [None, "of other numbers"])
def test_checkpoints_of_another_fit_are_not_combined(shipped, tmp_path, left):
    """As an earlier run leaves them, where a fit of this one has failed."""
    models = tmp_path / "models"
    shutil.copytree("models", models)
    note = note_of(models / job().place, "cae")
    note.unlink()
    if left:
        note.write_text(left)
    with pytest.raises(BadModelError, match="of cae is of other numbers, or its fit has not been"):
        run_fold(
            numbers(false_positive_rate=0.25),
            job("alone", members=("cae",)),
            models=models,
            reports=tmp_path,
        )


def test_a_fit_can_go_on_until_its_result_is_written(shipped, tmp_path, monkeypatch):
    """Whatever fails in between: MLflow, the disk."""
    params = numbers(false_positive_rate=0.25)
    planned = Planned(job=job("cae", method="cae"), params=params, fingerprint="f", wave=0)
    resume = resume_of(tmp_path / planned.job.place, "cae")
    resume.parent.mkdir(parents=True)
    resume.touch()
    monkeypatch.setattr(fold_run, "run_fold", lambda *given, **named: shipped[1][0])

    def full(path, found):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(fold_run.fold_result, "save", full)
        with pytest.raises(OSError, match="disk full"):
            write_fold(planned, folder=tmp_path, models=tmp_path)
    assert resume.exists()
    assert write_fold(planned, folder=tmp_path, models=tmp_path).exists()
    assert not resume.exists()


@pytest.mark.parametrize("name", ["cae", "alone"])
def test_each_file_is_calibrated_on_what_its_keeper_saw_and_as_its_protocol_says(
    shipped, division, name
):
    expected = [
        Released(f"{name}.{keeper}.onnx", calibrating, by)
        for keeper, calibrating, by in zip(
            KEEPERS, division().calibrating, ("f1", "f1", 0.25), strict=True
        )
    ]
    assert [it for it in shipped[0] if it.file.startswith(f"{name}.")] == expected


def test_every_file_is_tested_on_the_half_that_it_has_not_seen(shipped):
    released, results = shipped
    calibrating = {it.file: it.validation for it in released}
    for found in results:
        assert [(it.protocol, it.half) for it in found.tests] == [
            ("study", 0),
            ("study", 1),
            ("blind", 0),
            ("blind", 1),
        ]
        for test in found.tests:
            keeper = "blind" if test.protocol == "blind" else f"study_{test.half}"
            tested = {Path(it.scan).stem for it in test.scans}
            assert not tested & set(calibrating[f"{found.method}.{keeper}.onnx"])


def test_how_well_it_redraws_is_measured_on_normal_scans_alone(shipped):
    for found in shipped[1]:
        for scan in (scan for test in found.tests for scan in test.scans):
            assert (scan.psnr is None, scan.ssim is None) == (scan.abnormal, scan.abnormal)
