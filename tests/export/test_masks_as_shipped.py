"""What `evaluate` measured is what `uad-infer` writes: every mask, bit for bit."""

import csv
from dataclasses import replace

import nibabel
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from export import onnx_file, where_files
from export.located_scan import mask_sha256
from export.measured import NOT_RECALIBRATED, measure
from export.where_config import WhereConfig
from infer.cli import app
from infer.engine import open_engine
from infer.manifest import Threshold
from infer.masking import Postprocessing
from infer.readers import read
from tests.export.tiny_graph import TINY_MANIFEST
from train.datasets.case import Case
from train.metrics import Bootstrap

POSTPROCESSING = {
    "bare": Postprocessing(closing_radius_px=0, smallest_lesion_px=0),
    "all": Postprocessing(
        foreground="stripped",
        median="volume",
        median_px=3,
        erosion_radius_px=1,
        prior="bright_ramp",
        prior_share=0.6,
        closing_radius_px=1,
        smallest_lesion_px=4,
    ),
}
CONFIG = WhereConfig(
    ablate_postprocessing=False,
    lesion_sizes_ml=(1.0,),
    lesion_sizes_px=(1.0,),
    lesion_found_share=0.0,
    montage_slices=0,
)


def write_scans(folder):
    """Three stripped heads, stored in different orders, of more slices than a batch together."""
    draw = np.random.default_rng(3)
    affines = (np.diag([1.0, 1, 2, 1]), np.diag([-1.0, 1, 2, 1]), np.diag([1.0, -1, -2, 1]))
    cases = []
    for at, affine in enumerate(affines):
        voxels = draw.normal(40, 12, (30 + at, 36, 11)).astype(np.float32)
        across = np.linspace(-1, 1, voxels.shape[0])[:, np.newaxis, np.newaxis]
        along = np.linspace(-1, 1, 36)[:, np.newaxis]
        voxels[np.broadcast_to(np.hypot(across, along) > 0.9, voxels.shape)] = -50
        truth = np.zeros(voxels.shape, np.uint8)
        truth[10:18, 12:20, 3:7] = 1
        voxels[truth > 0] += 30
        paths = folder / "scans" / f"head{at}.nii.gz", folder / "truth" / f"head{at}.nii.gz"
        for path, array in zip(paths, (voxels, truth), strict=True):
            path.parent.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, affine), path)
        cases.append(Case(scan=paths[0], group=f"p{at}", normal=False, mask=paths[1]))
    return cases


@pytest.mark.parametrize("name", POSTPROCESSING)
def test_uad_infer_writes_the_masks_that_were_measured(tmp_path, tiny_file, name):
    manifest = replace(
        TINY_MANIFEST,
        postprocessing=POSTPROCESSING[name],
        map_threshold=Threshold(value=0.05, chosen_by="hand"),
    )
    path = tmp_path / "model.onnx"
    onnx_file.write(path, onnx.load(tiny_file), manifest)
    cases = write_scans(tmp_path)
    engine = open_engine(path, device="cpu", threads=1)
    few = Bootstrap(resamples=1, confidence=0.5, seed=0)
    found = measure(cases, manifest, engine, NOT_RECALIBRATED, few, CONFIG, montages=None)
    where_files.save(tmp_path / "model", tmp_path / "model_where.json", found.where, [])

    out = tmp_path / "out"
    asked = [str(tmp_path / "scans"), "--model", str(path), "--out", str(out), "--device", "cpu"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    with (tmp_path / "model" / "where_scans.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    assert len(measured) == len(cases)
    for case, line in zip(cases, measured, strict=True):
        mask = read(out / "masks" / case.scan.name).voxels[0] > 0
        assert mask.any()
        assert not mask.all()
        assert line["mask_sha256"] == mask_sha256(mask)
