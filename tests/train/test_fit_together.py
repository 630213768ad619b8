"""Two processes that fit one model learn what one process learns, and outlive one another."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.train.phantom_study import REPOSITORY
from tests.train.tiny_configs import tiny
from train import checkpoint, data
from train.datasets.case import Case

METHODS = ("cae", "fanogan")
# Every image comes up several times, in batches that span passes: 10 images, 4 at a time.
NUMBERS = {
    "cae": {"epochs": 5, "dropout": 0.0},
    "fanogan": {"gan_steps": 3, "encoder_steps": 3, "critic_steps": 2, "encoder_norm": "batch"},
}
# float32 adds up the same numbers in another order; each step of descent multiplies the difference.
NOISE = 1e-4
TERMS = ("wasserstein", "penalty")


def make_study(folder, **numbers):
    """The default study's numbers, shrunk, and a few images of noise."""
    values = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())
    values["data"]["image_size"] = [32, 32]
    values["augment"]["pose_probability"] = 0.5  # some are turned: of each process, its own
    for method in METHODS:
        values["fit"][method] = tiny(method, values["fit"][method]) | NUMBERS[method] | numbers
    store = folder / "data" / "phantom"
    store.mkdir(parents=True)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(values, file)
    images = np.random.default_rng(0).random((16, 1, 32, 32), np.float32) / 2
    normals = [True] * 13 + [False] * 3
    cases = [
        data.SplitCase(
            case=Case(scan=Path(f"{at}.png"), group=str(at), normal=normal, mask=None),
            split="train" if at < 10 else "validation",
        )
        for at, normal in enumerate(normals)
    ]
    rows = [
        data.ImageRow(scan=it.case.scan, slice=0, split=it.split, normal=it.case.normal)
        for it in cases
    ]
    data.save(store, data.Prepared(cases=cases, rows=rows, images=images))
    return folder


def run(folder, *methods, launcher=(), **variables):
    """Fit in processes of their own; the losses of each method, record by record."""
    script = Path(__file__).with_name("fitting_process.py")
    own = {name: value for name, value in os.environ.items() if not name.startswith("LT_")}
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(folder), *methods],
        env={**own, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done


def torchrun(processes, *options):
    return (
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={processes}",
        *options,
    )


def history(folder, method):
    return json.loads((folder / f"{method}.json").read_text())


def losses(records):
    """Of each record; what generated images look like is left out.

    Adam divides a gradient by its size, so that one of mere rounding moves its weight as far as any
    other, and such figures drift. In double precision they agree, too (tried: within 1e-11).
    """
    return [
        {name: it for name, it in record.items() if "loss" in name or name in TERMS}
        for record in records
    ]


@pytest.fixture(scope="module")
def of_one(tmp_path_factory):
    folder = make_study(tmp_path_factory.mktemp("one"))
    done = run(folder, *METHODS)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    folder = make_study(tmp_path_factory.mktemp("two"))
    done = run(folder, *METHODS, launcher=torchrun(2))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_lose_record_by_record_what_one_does(of_one, of_two, method):
    one, two = (losses(history(folder, method)) for folder in (of_one, of_two))
    assert len(one) == len(two) > 2
    for expected, found in zip(one, two, strict=True):
        assert found == pytest.approx(expected, rel=NOISE, abs=NOISE)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_says_how_many_processes_fitted_it(of_one, of_two, method):
    for folder, count in ((of_one, "1"), (of_two, "2")):
        _, metadata = checkpoint.load(folder / "models" / "phantom" / f"{method}.safetensors")
        assert metadata["processes"] == count


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What a fit leaves of which the second process was killed, and how it ended."""
    folder = make_study(tmp_path_factory.mktemp("ended"))
    return folder, run(folder, "cae", launcher=torchrun(2), DIE_AT="3")


def test_a_fit_of_two_is_not_gone_on_with_by_one(ended):
    folder, _ = ended
    refused = run(folder, "cae")
    assert refused.returncode == 2
    assert "was left by a fit of 2 processes, now there are 1" in refused.stderr


def test_a_process_that_dies_ends_the_others_and_all_go_on_where_they_were(ended, of_two):
    folder, first = ended
    assert first.returncode != 0
    assert not (folder / "cae.json").exists()
    again = run(folder, "cae", launcher=torchrun(2), DIE_AT="3")
    assert again.returncode == 0, again.stderr
    assert "goes on at record 2" in again.stdout
    assert history(folder, "cae") == history(of_two, "cae")


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path):
    folder = make_study(tmp_path, batch_size=5)
    refused = run(folder, "cae", launcher=torchrun(2))
    assert "batch_size 5 cannot be shared by 2 processes" in refused.stderr
