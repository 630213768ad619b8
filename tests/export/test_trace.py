"""From results back to code and data: each link that holds, and each that is broken, by itself."""

import json
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.signing import sign
from export.stages.export import export
from export.trace import trace
from infer.batch import score_folder
from infer.errors import UnreadableScanError
from infer.interruption import Interruption
from infer.progress import Silence
from tests.export.signing_keys import write_keys
from tests.export.tiny_study import make_study, write_fit
from tests.infer.run_options import options
from tests.train.methods.test_cae import TINY, cae
from train import tracking
from train.data import data_folder

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL = Path("models/tiny/cae.onnx")


def git(*words):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A fitted, exported and used model in a repository of its own."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        Path(".gitignore").write_text("*\n!.gitignore\n")
        git("init", "-q")
        git("add", ".gitignore")
        git("commit", "-qm", "first")
        params = make_study()
        run = tracking.start("tiny", "cae", params={"width": 4}, tags={"study": "tiny"})
        run.finish()
        write_fit("cae", cae(), TINY, run_id=run.id)
        export(params, "cae")
        score(Path("out"))
    return folder


def score(out, **changed):
    score_folder(
        data_folder("tiny") / "scans",
        MODEL,
        out,
        options(**changed),
        progress=Silence(),
        interruption=Interruption(),
    )


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy of it, to be damaged."""
    folder = shutil.copytree(made, tmp_path / "study")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    return folder


def broken(path):
    return {it.name for it in trace(path) if not it.holds}


@pytest.mark.parametrize(
    "path", ["out/masks/test_0.png", "out/report.csv", "out", "models/tiny/cae.onnx"]
)
def test_every_link_of_what_was_just_made_holds(study, path):
    links = trace(study / path)
    assert [it.name for it in links if not it.holds] == []
    assert {it.name for it in links} >= {"model", "version", "run", "commit", "data", "parameters"}


def test_it_says_what_git_and_mlflow_say(study):
    said = {it.name: it.said for it in trace(MODEL)}
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert said["commit"] == head.stdout.strip()
    (version,) = tracking.open_client().search_model_versions("name = 'uad-tiny-cae'")
    assert version.run_id in said["run"]
    assert said["version"] == "1 of uad-tiny-cae"


def test_a_mask_is_traced_without_its_model(study):
    shutil.rmtree("models")
    assert broken(Path("out/masks")) == set()


def test_other_prepared_data_break_the_link_to_the_data_alone(study):
    images = data_folder("tiny") / "images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    assert broken(MODEL) == {"data"}
    shutil.rmtree(data_folder("tiny"))
    assert broken(MODEL) == {"data"}


def test_a_commit_that_is_not_here_breaks_the_link_to_the_code_alone(study):
    run = Path("out/run.json")
    record = json.loads(run.read_text())
    record["model"]["git_commit"] = "0" * 40
    run.write_text(json.dumps(record))
    assert broken(Path("out/report.csv")) == {"commit"}
    record["model"] |= {"git_commit": "", "git_dirty": False}
    run.write_text(json.dumps(record))
    assert broken(Path("out/report.csv")) == {"commit"}


def test_changes_that_were_not_committed_break_it_too(study):
    run = Path("out/run.json")
    record = json.loads(run.read_text())
    record["model"]["git_dirty"] = True
    run.write_text(json.dumps(record))
    assert broken(run) == {"commit"}


@pytest.mark.parametrize(("name", "holds"), [("brave-kiwi", True), ("shy-lemon", False)])
def test_changes_that_dvc_keeps_as_an_experiment_can_be_had_again(study, name, holds):
    """`dvc exp run -S …` changes files; what it ran is a commit upon the one it began at."""
    record = json.loads(Path("out/run.json").read_text())
    record["model"]["git_dirty"] = True
    Path("out/run.json").write_text(json.dumps(record))
    tracking.open_client().set_model_version_tag("uad-tiny-cae", "1", "DVC_EXP_NAME", name)
    kept = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "experiment")
    git("update-ref", "refs/exps/ab/cdef/brave-kiwi", kept)
    (commit,) = [it for it in trace(Path("out")) if it.name == "commit"]
    assert commit.holds == holds
    assert ("dvc exp branch brave-kiwi" in commit.said) == holds


def test_an_export_is_not_of_the_experiment_that_fitted(study):
    """Another one may have taken the fit from DVC's cache and exported by other numbers."""
    client = tracking.open_client()
    record = json.loads(Path("out/run.json").read_text())
    record["model"]["git_dirty"] = True
    Path("out/run.json").write_text(json.dumps(record))
    run = record["model"]["mlflow_run_id"]
    head = git("rev-parse", "HEAD")
    for tag, value in (("DVC_EXP_NAME", "brave-kiwi"), ("git_commit", head), ("git_dirty", "true")):
        client.set_tag(run, tag, value)
    kept = git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "experiment")
    git("update-ref", "refs/exps/ab/cdef/brave-kiwi", kept)
    exported, fitted = (it for it in trace(Path("out")) if it.name == "commit")
    assert (exported.holds, fitted.holds) == (False, True)
    assert fitted.said.endswith("(fitted cae)")


def test_another_store_knows_neither_run_nor_version_nor_parameters(
    study, monkeypatch, tmp_path_factory
):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("another")))
    assert broken(MODEL) == {"run", "version", "parameters"}


def test_a_run_that_stands_for_that_of_another_store_is_followed(study):
    write_fit("cae", cae(), TINY)
    from train.params import load

    export(load("params.yaml"), "cae")
    assert broken(MODEL) == {"parameters"}
    (said,) = [it.said for it in trace(MODEL) if it.name == "run"]
    assert "stands for a run of another store" in said


def test_what_no_run_lies_above_is_refused(study, tmp_path_factory):
    alone = tmp_path_factory.mktemp("alone") / "mask.png"
    alone.write_bytes(b"")
    with pytest.raises(UnreadableScanError, match=r"run\.json, which says what made it"):
        trace(alone)
    with pytest.raises(UnreadableScanError, match="no such file"):
        trace(alone.with_name("none.png"))


def test_the_command_ends_with_1_where_a_link_is_broken(study):
    whole = CliRunner().invoke(app, ["trace", str(MODEL)])
    assert whole.exit_code == 0, whole.output
    shutil.rmtree(data_folder("tiny"))
    torn = CliRunner().invoke(app, ["trace", str(MODEL)])
    assert torn.exit_code == 1
    assert "BROKEN: data/tiny is not here" in torn.output.replace("\n", " ")


def test_a_file_that_no_run_wrote_or_that_was_changed_since_is_no_result(study):
    notes, mask = Path("out/masks/notes.txt"), Path("out/masks/test_0.png")
    notes.write_text("mine")
    assert broken(notes) == {"result"}
    mask.write_bytes(mask.read_bytes() + b"!")
    assert broken(mask) == {"result"}


def test_what_a_run_with_other_options_left_is_not_taken_for_the_last_run_s(study):
    """A scan that could not be read again keeps the mask of before; other options made it."""
    scan = data_folder("tiny") / "scans/test_0.png"
    content = scan.read_bytes()
    scan.unlink()
    scan.symlink_to("nowhere")
    score(Path("out"), threshold=0.123)
    scan.unlink()
    scan.write_bytes(content)
    assert broken(Path("out/masks/test_0.png")) == {"result"}
    assert broken(Path("out/masks/test_1.png")) == set()
    score(Path("out"), threshold=0.123)
    assert broken(Path("out/masks/test_0.png")) == set()


def test_a_record_that_does_not_say_what_was_used_is_refused(study):
    run = Path("out/run.json")
    record = json.loads(run.read_text())
    del record["model"]["study"]
    for damaged in (json.dumps(record), '{"model": 1}', "{"):
        run.write_text(damaged)
        with pytest.raises(UnreadableScanError, match="does not say which model was used"):
            trace(run)
        assert CliRunner().invoke(app, ["trace", str(run)]).exit_code == 2


def test_a_changed_file_of_the_same_fit_is_not_taken_for_the_registered_one(study):
    model = onnx.load(MODEL)
    model.doc_string = "changed"
    onnx.save(model, MODEL)
    assert broken(MODEL) == {"version"}
    (said,) = [it.said for it in trace(MODEL) if it.name == "version"]
    assert "1 is of its fit, but another file" in said


def test_a_signed_file_is_known_by_what_was_signed(study, tmp_path):
    private, _ = write_keys(tmp_path)
    sign(MODEL, private)
    assert broken(MODEL) == set()


def test_results_of_a_signed_file_are_known_by_what_was_signed(study, tmp_path):
    private, _ = write_keys(tmp_path)
    sign(MODEL, private)
    score(Path("signed"))
    assert broken(Path("signed/report.csv")) == set()


def test_the_code_that_fitted_is_asked_for_beside_that_which_exported(study):
    """Between a fit and its export there may be commits."""
    client = tracking.open_client()
    (run,) = (it.said.split()[0] for it in trace(MODEL) if it.name == "run")
    client.set_tag(run, "git_commit", "0" * 40)
    client.set_tag(run, "git_dirty", "false")
    exported, fitted = (it for it in trace(MODEL) if it.name == "commit")
    assert exported.holds
    assert exported.said.endswith("(exported)")
    assert not fitted.holds
    assert fitted.said == f"{'0' * 40} is not in this repository: fetch it (fitted cae)"


def test_a_version_without_a_hash_is_said_to_have_none(study):
    tracking.open_client().delete_model_version_tag("uad-tiny-cae", "1", "sha256")
    assert broken(MODEL) == {"version"}
    (said,) = [it.said for it in trace(MODEL) if it.name == "version"]
    assert "was registered before hashes of files were noted" in said


def test_without_git_the_link_to_the_code_is_broken(study, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert broken(MODEL) == {"commit"}
