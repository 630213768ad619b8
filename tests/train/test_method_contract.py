"""What every method in train/recipes.py must be able to do, whatever it is made of."""

import csv
import json
import math
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from export import parity, registry
from export.stages.export import export
from infer import batch
from infer.batch import score_folder
from infer.engine import open_engine
from infer.interruption import Interruption
from infer.progress import Silence
from tests.infer.run_options import options
from tests.train.phantom_study import COUNTS, STUDY, make_phantom_study, powers
from tests.train.told_run import Told
from train import attention, checkpoint, session, tracking
from train.data import DataConfig, load_images
from train.methods.method import AnomalyModel
from train.params import Params
from train.patches import cut, input_size
from train.patchwise import patches_of
from train.paths import checkpoint_path, model_path, report_folder
from train.recipes import RECIPES, find
from train.stages.fit import fit
from train.validation import as_tensor

SIZES = {"32 px": ((32, 32), 1), "64 px, 2 channels": ((64, 64), 2)}
# As many patches as fit, and the last of a row shifted back. `densenet` learns from labels.
PATCHES = {"size": [32, 32], "stride": [20, 32], "top_share": 0.5}
# Methods that take whole volumes, too, and patches of them.
VOLUMETRIC = ("cae", "vae")
VOLUME = (32, 32, 64)
CUBES = {"size": [32, 32, 32], "stride": [32, 32, 32], "top_share": 0.5}
PATCHWISE = ("cae", "vae", "dae", "dagmm", "fanogan", "fanogan-izi")
# What the run of a fit shows of a method as it trains, by method.
GENERATED = {"generated", "redrawn"}
LATENTS = {"samples", "interpolations"}
WATCHED = {
    "fanogan": GENERATED,
    "vae": LATENTS,
    "cevae": LATENTS,
    "gmvae": {"components"},
    "densenet": {"grad_cam", "grad_cam_plus_plus", "smooth_grad"},
}
STEPS = 20  # on a fixed batch, until its loss must have fallen


class Study(NamedTuple):
    """A study of one method, in the working directory."""

    params: Params
    method: str
    data: DataConfig
    patch: pytest.MonkeyPatch

    def fit(self, method="", **options):
        """Fit and return what the run was told."""
        told = Told(**options)
        self.patch.setattr(tracking, "start", lambda *given, **named: told)
        fit(self.params, method or self.method)
        return told

    @property
    def config(self):
        return self.params.block(find(self.method).config, "fit", self.method)

    @property
    def patches(self):
        return patches_of(self.params, self.method)

    @property
    def fitted(self):
        return checkpoint_path(STUDY, self.method)

    @property
    def result(self):
        return json.loads((report_folder(STUDY, "fit") / f"{self.method}.json").read_text())


@pytest.fixture(
    scope="module",
    params=[
        *((method, *size, None) for method in RECIPES for size in SIZES.values()),
        *((method, (64, 64), 1, PATCHES) for method in PATCHWISE),
        *((method, (32, 32, 32), channels, None) for channels, method in enumerate(VOLUMETRIC, 1)),
        ("vae", VOLUME, 1, CUBES),
    ],
    ids=[
        *(f"{method}, {size}" for method in RECIPES for size in SIZES),
        *(f"{method}, patches" for method in PATCHWISE),
        *(f"{method}, volumes" for method in VOLUMETRIC),
        "vae, patches of volumes",
    ],
)
def study(request, tmp_path_factory):
    *which, patches = request.param
    with study_of(*which, tmp_path_factory.mktemp("study"), patches) as study:
        yield study


@contextmanager
def study_of(method, image_size, channels, folder, patches=None):
    """A prepared study for one method and size; fitted is only what a variant is a variant of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for module in ("infer.images", "infer.finding"):
            patch.setattr(f"{module}.with_channels", powers)
        patch.setattr(batch, "FEW_CHUNKS", 1_000)  # in other processes, it would not hold
        patch.setattr(registry, "register", lambda *given, **named: "1")
        patch.setattr(session, "RESUME_SECONDS", -1)  # the state is put aside at every record
        patch.setattr(session, "WATCHES", 1)
        patch.setattr(attention, "NOISY_COPIES", 1)
        patch.setattr(session.Session, "_pictures", lambda *given: {})  # they cost a second
        params = make_phantom_study(method, image_size, channels, patches)
        study = Study(params, method, params.block(DataConfig, "data"), patch)
        for fitted_before in params.variants.values():
            study.fit(fitted_before)
        yield study


@pytest.fixture(scope="module")
def told(study):
    """What a whole fit told; its checkpoint is there."""
    return study.fit()


@pytest.fixture(scope="module")
def file(study, told):
    return exported(study)


def exported(study):
    """The exported model."""
    export(study.params, study.method)
    return model_path(STUDY, study.method)


def model_of(study):
    torch.manual_seed(0)
    config = study.config
    size = input_size(study.data.image_size, study.patches)
    return find(study.method).model(config, study.data.channels, size)


def images(study, split):
    """Prepared images, or their patches, in the method's range."""
    prepared, _ = load_images(STUDY, split)
    ranged = as_tensor(prepared, study.config.intensity_range, torch.device("cpu"))
    return cut(ranged, study.patches)


def tensors(findings):
    """All that a model says of a batch."""
    redrawn = [] if findings.reconstruction is None else [findings.reconstruction]
    return [findings.evidence, *redrawn, *findings.parts.values()]


def scores_of(folder, file, out, batch_size):
    """What `uad-infer` reports of every scan."""
    chosen = options(batch_size=batch_size, workers=1, overwrite=True)
    score_folder(folder, file, out, chosen, progress=Silence(), interruption=Interruption())
    with (out / "report.csv").open(newline="") as table:
        rows = {row["scan"]: row for row in csv.DictReader(table)}
    assert {row["status"] for row in rows.values()} == {"ok"}
    return {scan: float(row["score"]) for scan, row in rows.items()}


def test_it_is_an_anomaly_model(study):
    assert isinstance(model_of(study), AnomalyModel)


def test_a_fit_tells_finite_losses_and_keeps_a_model(study, told):
    assert len(told.metrics) == study.config.records + 1  # and once what is kept
    assert all(math.isfinite(it) for step in told.metrics.values() for it in step.values())
    assert study.fitted.exists()


def test_a_fit_shows_what_is_to_be_watched_of_its_method(study, told):
    shown = {name.split("/")[0] for name in told.pictures}
    assert shown == WATCHED.get(study.method, set())


def test_its_loss_falls_on_a_fixed_batch(study):
    model = model_of(study).train()
    optimizers = list(model.optimizers().values())
    batch = images(study, "train")[:4]
    losses = []
    for _ in range(STEPS):
        torch.manual_seed(0)  # what a method draws, it draws again
        loss = model.training_loss(batch).total
        losses.append(loss.item())
        if not optimizers:  # it remembers what others learn
            model.remember(batch)
            continue
        optimizers[-1].zero_grad()  # the last is that of `training_loss`
        loss.backward()
        optimizers[-1].step()
    assert np.mean(losses[-5:]) < losses[0]


def test_an_interrupted_fit_arrives_at_the_weights_of_an_uninterrupted_one(study, told):
    whole, result = checkpoint.load(study.fitted)[0], study.result
    several = study.config.records > 1
    for stop_at in range(1, study.config.records) if several else [0]:
        with pytest.raises(KeyboardInterrupt):
            study.fit(stop_at=stop_at)
    aside = study.fitted.with_suffix(".resume")
    assert aside.exists() == several  # what a fit of one record has done, it does again
    again = study.fit()
    assert min(again.metrics) == study.config.records - 1  # the records before are not repeated
    resumed = checkpoint.load(study.fitted)[0]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    clock = {"fit_seconds": 0, "data_wait_share": 0}
    assert {**study.result, **clock} == {**result, **clock}
    assert not aside.exists()


def test_the_exported_file_says_what_the_model_says(file):
    engine = open_engine(file, device="cpu", threads=1)
    parity.check(engine.manifest.parity)
    assert engine.manifest.parity.images == sum(COUNTS["validation"])


def test_an_image_has_the_same_findings_whatever_its_neighbours(study, told):
    model = model_of(study).eval()
    weights, _ = checkpoint.load(study.fitted)  # and what a score recipe may have stored there
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    some = images(study, "validation")
    with torch.no_grad():
        among, alone, turned = map(model.findings, (some, some[:1], some.flip(0)))
    for one, several, backwards in zip(*map(tensors, (alone, among, turned)), strict=True):
        # Kernels differ by batch size in their last digits.
        torch.testing.assert_close(one, several[:1], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(backwards.flip(0), several, atol=1e-5, rtol=1e-5)


def test_uad_infer_gives_the_same_scores_at_any_batch_size(file, tmp_path):
    scans = Path(f"data/{STUDY}/scans")
    one = scores_of(scans, file, tmp_path / "one", batch_size=1)
    several = scores_of(scans, file, tmp_path / "several", batch_size=5)
    assert len(one) == sum(map(sum, COUNTS.values()))
    assert several == pytest.approx(one, rel=1e-4, abs=1e-5)


def test_uad_infer_gives_a_scan_the_same_score_whatever_lies_beside_it(file, tmp_path):
    scans = Path(f"data/{STUDY}/scans")
    (scan,) = scans.glob("test_16.*")
    alone = scores_of(scan, file, tmp_path / "alone", batch_size=5)
    among = scores_of(scans, file, tmp_path / "among", batch_size=5)
    assert among[scan.name] == alone[scan.name]  # to the last digit
