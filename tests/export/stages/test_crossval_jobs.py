"""How the stage hands folds out: to as many processes and GPUs as there are, to the last one."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from export import crossval_plan, crossval_report, fold_result, registry
from export.crossval_report import Report
from export.job_pool import Done
from export.stages import crossval as stage
from infer.errors import UadError
from tests.export import fold_results
from tests.export.stages.test_crossval import OPTIONS
from tests.export.tiny_pool import FOLDS, NAME, make_tiny_pool, numbers
from train import tracking
from train.params import BadParamsError
from train.pool import load_pool
from train.protocol import CrossvalConfig

FAILING = ("mean_image", 1)
PUBLISHED = numbers(grouped=[False])


def drawn_up(planned, *, folder, models, failing=FAILING):
    """A fold's result, made by hand; one fold fails."""
    job = planned.job
    if (job.name, job.fold) == failing:
        raise ValueError("a bad night")
    made = fold_results.fold(
        method=job.name,
        number=job.fold,
        trivial=job.trivial,
        tests=[fold_results.half_result(half=it, scores=[1, 2, 3, 4, 5, 6]) for it in (0, 1)],
    )
    path = planned.path(folder / "folds")
    fold_result.save(path, replace(made, fingerprint=planned.fingerprint))
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the stage with folds made by hand; what was written of them, and what MLflow was told."""
    told = {"written": [], "files": [], "runs": []}

    def write(params, config, results, pool, folder, *, missing):
        told["written"].append(([(it.method, it.fold) for it in results], len(missing)))
        paths = [folder / it for it in ("table.csv", "curve.png", "page.html")]
        for path in paths:
            path.write_text(path.name)
        return Report(tables=paths[:1], curves=paths[1:2], pages=paths[2:], text="", numbers={})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "make_pool", lambda params, stored: make_tiny_pool(params))
    monkeypatch.setattr(stage, "write_fold", drawn_up)
    monkeypatch.setattr(crossval_report, "write", write)
    monkeypatch.setattr(tracking, "record", lambda study, name, **named: f"run {name}")

    def start_run(run_id):
        told["runs"].append(run_id)
        return nullcontext()

    monkeypatch.setattr(registry.mlflow, "start_run", start_run)
    monkeypatch.setattr(registry.mlflow, "log_metrics", lambda numbers: None)
    monkeypatch.setattr(
        registry.mlflow, "log_artifact", lambda path: told["files"].append(Path(path).name)
    )

    def run(**options):
        stage.crossval(PUBLISHED, replace(OPTIONS, **{"jobs": 1, "keep": False, **options}))

    return run, told


def test_a_fold_that_fails_is_told_after_all_others_are_done_and_in_the_table(run, capsys):
    run, told = run
    with pytest.raises(UadError, match="1 folds failed: mean_image published/fold1: ValueError"):
        run()
    ((done, missing),) = told["written"]
    assert FAILING not in done
    rows = {name for name, _ in done}
    assert {"cae", "mean_image", "random"} <= rows
    assert (len(done), missing) == (FOLDS * len(rows) - 1, 1)
    assert "not in the table: mean_image published/fold1: there is none" in capsys.readouterr().out


def test_chosen_folds_alone_are_run_and_the_table_has_all_that_are_done(run, monkeypatch):
    run, told = run
    run(folds=(0,))
    monkeypatch.setattr(stage, "make_pool", lambda params, stored: load_pool(stored))
    with pytest.raises(UadError, match="1 folds failed: mean_image published/fold1"):
        run(folds=(1,))
    first, both = ({fold for _, fold in done} for done, _ in told["written"])
    assert (first, both) == ({0}, {0, 1})


def test_a_method_s_run_has_its_numbers_though_nothing_of_it_was_left_to_run(run, monkeypatch):
    """The run before may have been stopped between its last fold and its table."""
    run, told = run
    with pytest.raises(UadError, match="1 folds failed"):
        run()
    monkeypatch.setattr(stage, "make_pool", lambda params, stored: load_pool(stored))
    told["runs"].clear()
    with pytest.raises(UadError, match="1 folds failed"):
        run()
    assert "run crossval cae" in told["runs"]


def test_a_fold_that_there_is_not_is_refused_in_words(run):
    run, told = run
    with pytest.raises(BadParamsError, match=f"no fold {FOLDS}: normals are divided into {FOLDS}"):
        run(folds=(0, FOLDS))
    assert told["written"] == []


@pytest.mark.parametrize("said", ["", "one", "0;1"])
def test_folds_that_are_no_numbers_are_refused_by_the_command_line(said, capsys):
    with pytest.raises(SystemExit):
        stage.main(["params.yaml", f"--folds={said}"])
    assert "--folds" in capsys.readouterr().err


@pytest.fixture
def resumable(run):
    """The state of a fit that was interrupted."""
    path = Path("models/tiny/crossval/published/fold1/cae.resume")
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_models_are_deleted_when_all_is_done(run, resumable, monkeypatch):
    run, _ = run
    monkeypatch.setattr(stage, "write_fold", partial(drawn_up, failing=None))
    run(delete_models=True)
    assert not resumable.exists()


def test_of_other_rows_nothing_is_deleted(run, resumable, monkeypatch):
    """They may be running."""
    run, _ = run
    monkeypatch.setattr(stage, "write_fold", partial(drawn_up, failing=None))
    others = [resumable.with_name(f"{it}.resume") for it in ("vae", "cae+still", ".cae.resume")]
    for path in others:
        path.touch()
    run(delete_models=True)
    assert not resumable.exists()
    assert all(path.exists() for path in others)


def test_models_stay_while_folds_are_left_to_another_night(run, resumable):
    run, _ = run
    run(folds=(0, 2), delete_models=True)
    assert resumable.exists()


def test_models_stay_where_a_fold_failed(run, resumable):
    run, _ = run
    with pytest.raises(UadError, match="1 folds failed"):
        run(delete_models=True)
    assert resumable.exists()


def test_tables_curves_and_pages_are_all_told_to_mlflow(run):
    run, told = run
    with pytest.raises(UadError):
        run()
    assert told["files"] == ["table.csv", "curve.png", "page.html"]


def test_the_next_run_runs_the_fold_that_failed_and_no_other(run, monkeypatch):
    run, _ = run
    with pytest.raises(UadError):
        run()
    again = []

    def mended(planned, *, folder, models):
        again.append((planned.job.name, planned.job.fold))
        return planned.path(folder)

    monkeypatch.setattr(stage, "make_pool", lambda params, stored: load_pool(NAME))
    monkeypatch.setattr(stage, "write_fold", mended)
    run()
    assert again == [FAILING]


@pytest.mark.parametrize(
    ("asked", "gpus", "expected"),
    [(0, 2, 5), (2, 2, 2), (3, 0, 3), (100, 1, 100)],
    ids=["what the machine bears", "as asked", "without a GPU", "more than there are folds"],
)
def test_every_gpu_is_shared_out_to_as_many_jobs_as_asked(run, monkeypatch, asked, gpus, expected):
    run, _ = run
    given = []

    def run_jobs(task, jobs, **named):
        assert named["at_once"] == min(expected, len(jobs))
        given.append(named["gpus"])
        return [Done(it, "", "") for it in jobs]

    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(stage, "jobs_at_once", lambda seen: 5 if seen == gpus else 0)
    monkeypatch.setattr(stage, "run_jobs", run_jobs)
    with pytest.raises(UadError, match="no fold is done"):
        run(jobs=asked)
    assert set(given) == {gpus}


def test_several_processes_for_a_fold_are_refused(run):
    values = dict(PUBLISHED.values)
    method = values["crossval"]["methods"][0]
    values["fit"] = {**values["fit"], method: {**values["fit"][method], "devices": 2}}
    with pytest.raises(UadError, match="devices is 2, but folds are fitted by one process each"):
        stage.crossval(replace(PUBLISHED, values=values), OPTIONS)


def test_folds_go_to_a_cluster_where_one_is_asked_for(run, monkeypatch):
    asked = []

    class Jobs:
        at_once = 2

        def run(self, work, jobs):
            return (Done(job, work(job), "") for job in jobs if job.job.name != FAILING[0])

    def ray_jobs(address):
        asked.append(address)
        return nullcontext(Jobs())

    monkeypatch.setattr(stage, "ray_jobs", ray_jobs)
    run, told = run
    run(jobs="ray", ray_address="head:6379")
    assert asked == ["head:6379"]
    assert told["written"][0][0]


def test_what_other_machines_are_to_do_is_found_there_by_its_name():
    """The stage is `__main__` where it is started, which is another program elsewhere."""
    assert stage.write_fold.__module__ != stage.__name__


def test_an_address_without_ray_is_refused(capsys):
    with pytest.raises(SystemExit):
        stage.main(["params.yaml", "--jobs", "2", "--ray-address", "head:6379"])
    assert "goes with --jobs ray" in capsys.readouterr().err


def test_ablations_are_missed_only_of_methods_that_were_run_with_them(run):
    """Those of every other method would fill a page."""
    values = dict(PUBLISHED.values)
    method, *_ = values["crossval"]["methods"]
    ablations = {"wide": {"augment": {"brightness": 0.5}}}
    values["crossval"] = {**values["crossval"], "ablations": ablations}
    with_ablations = replace(PUBLISHED, values=values)
    planned = list(
        crossval_plan.plan(
            with_ablations,
            with_ablations.block(CrossvalConfig, "crossval"),
            make_tiny_pool(with_ablations),
            stored=NAME,
            methods=(),
            ablations=("wide",),
        )
    )
    _, missing = stage._results(planned, planned, Path("folds"))
    assert method in {it.name for it in missing}
    assert f"{method}+wide" not in {it.name for it in missing}
    one = next(it for it in planned if it.job.name == f"{method}+wide")
    drawn_up(one, folder=Path(), models=Path())
    _, missing = stage._results(planned, planned, Path("folds"))
    assert f"{method}+wide" in {it.name for it in missing}
