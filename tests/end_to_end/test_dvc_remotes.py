"""A DVC remote, a folder or S3: what one clone pushes, another pulls, byte for byte."""

import boto3
import pytest

from tests.end_to_end.test_pipeline import run
from tests.infer.storage.faulty_store import KEY, SECRET, running

# Prepared data are a folder of files, a model is one file: both are outs of stages.
PIPELINE = """
stages:
  prepare:
    cmd: python -c "from pathlib import Path; Path('data/tiny').mkdir(parents=True);
      [Path(f'data/tiny/{it}.npy').write_bytes(bytes(range(it, 200)) * 50) for it in range(3)]"
    outs: [data/tiny]
  fit:
    cmd: python -c "from pathlib import Path; Path('models').mkdir(exist_ok=True);
      Path('models/cae.onnx').write_bytes(Path('data/tiny/2.npy').read_bytes()[::-1])"
    deps: [data/tiny]
    outs: [models/cae.onnx]
"""


@pytest.fixture(scope="module", params=["folder", "s3"])
def remote(request, tmp_path_factory):
    """The address of an empty remote; credentials for it are in the environment alone."""
    if request.param == "folder":
        yield tmp_path_factory.mktemp("remote") / "uad"
        return
    with running() as store:
        boto3.client("s3", endpoint_url=store.server_url).create_bucket(Bucket="hospital")
        yield "s3://hospital/uad"


@pytest.fixture(scope="module")
def pushed(remote, tmp_path_factory):
    """A repository whose outs were pushed, and a clone of it with nothing but git's files."""
    folder = tmp_path_factory.mktemp("clones")
    ours, theirs = folder / "ours", folder / "theirs"
    ours.mkdir()
    (ours / "dvc.yaml").write_text(PIPELINE)
    for command in ("git init --quiet", "dvc init --quiet", "dvc repro --quiet"):
        run(ours, *command.split())
    run(ours, "dvc", "remote", "add", "--default", "storage", str(remote))
    run(ours, "git", "add", "--all")
    run(ours, "git", "commit", "--quiet", "-m", "Fit")
    run(ours, "dvc", "push")
    run(folder, "git", "clone", "--quiet", str(ours), str(theirs))
    return ours, theirs


def outs(folder):
    files = [*(folder / "data").rglob("*.npy"), *(folder / "models").rglob("*.onnx")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_clone_pulls_the_same_bytes_and_has_nothing_to_compute(pushed):
    ours, theirs = pushed
    assert outs(theirs) == {}
    run(theirs, "dvc", "pull")
    assert outs(theirs) == outs(ours)
    assert len(outs(ours)) == 4
    assert "Running stage" not in run(theirs, "dvc", "repro")


def test_no_key_is_in_what_git_and_dvc_keep(pushed):
    for folder in pushed:
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert SECRET.encode() not in content
                assert KEY.encode() not in content
