"""What one would write in an afternoon for volumes: python plain_volumes.py MODEL SCANS OUT.

SCANS holds .nii.gz files whose axes run towards L, A and S, or a folder of axial DICOM files each.
"""

import csv
import json
import sys
from pathlib import Path

import cv2
import nibabel
import numpy as np
import onnxruntime
import pydicom


def read_nifti(path):
    """Slices (slice, row, column), rows towards posterior; and the affine."""
    scan = nibabel.load(path)
    return scan.get_fdata().transpose(2, 1, 0)[:, ::-1], scan.affine


def read_series(folder):
    """The same of DICOM files."""
    files = [pydicom.dcmread(path) for path in folder.iterdir()]
    files.sort(key=lambda file: file.ImagePositionPatient[2])
    voxels = [file.pixel_array * file.RescaleSlope + file.RescaleIntercept for file in files]
    row_mm, column_mm = files[0].PixelSpacing
    x, y, z = files[0].ImagePositionPatient
    affine = np.diag([-column_mm, row_mm, files[1].ImagePositionPatient[2] - z, 1.0])
    affine[:3, 3] = -x, -y - row_mm * (files[0].Rows - 1), z
    return np.stack(voxels), affine


model, scans, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
manifest = json.loads(session.get_modelmeta().custom_metadata_map["uad.manifest"])
height, width = manifest["image_size"]
intensity = manifest["intensity"]
first, span = intensity["output_low"], intensity["output_high"] - intensity["output_low"]
out.mkdir(parents=True)
with (out / "report.csv").open("w", newline="") as file:
    report = csv.writer(file)
    report.writerow(["scan", "anomalous", "score"])
    for path in sorted(scans.iterdir()):
        voxels, affine = read_series(path) if path.is_dir() else read_nifti(path)
        if intensity["recipe"] == "window":
            low, high = intensity["low"], intensity["high"]
        else:
            low, high = voxels.min(), voxels.max()
        mask = np.zeros(voxels.shape, np.uint8)
        scores = []
        for pixels, found in zip(voxels, mask, strict=True):
            shares = np.clip((pixels - low) / (high - low), 0, 1)
            small = cv2.resize(shares, (width, height), interpolation=cv2.INTER_AREA)
            image = (small * span + first).astype(np.float32)
            maps, score = session.run(["anomaly_map", "score"], {"image": image[None, None]})
            anomaly_map = cv2.resize(maps[0, 0], pixels.shape[::-1])
            found[:] = anomaly_map > manifest["map_threshold"]["value"]
            scores.append(float(score[0]))
        stored = mask[:, ::-1].transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(stored, affine), out / f"{path.name.split('.')[0]}.nii.gz")
        count = max(1, round(manifest["aggregation"]["top_share"] * len(scores)))
        score = sum(sorted(scores)[-count:]) / count
        report.writerow([path.name, score > manifest["score_threshold"]["value"], score])
