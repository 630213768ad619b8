"""What one would write in half an hour: python plain_script.py MODEL SCANS OUT cpu|cuda."""

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

model, scans, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[sys.argv[4]]
session = onnxruntime.InferenceSession(model, providers=[provider])
manifest = json.loads(session.get_modelmeta().custom_metadata_map["uad.manifest"])
height, width = manifest["image_size"]
low, high = manifest["intensity"]["output_low"], manifest["intensity"]["output_high"]
flag = cv2.IMREAD_GRAYSCALE if manifest["channels"] == 1 else cv2.IMREAD_COLOR_RGB
out.mkdir(parents=True)
with (out / "report.csv").open("w", newline="") as file:
    report = csv.writer(file)
    report.writerow(["scan", "anomalous", "score"])
    for path in sorted(scans.glob("*.png")):
        pixels = cv2.imread(str(path), flag)
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        image = (small.astype(np.float32) / 255 * (high - low) + low).reshape(height, width, -1)
        maps, scores = session.run(
            ["anomaly_map", "score"], {"image": image.transpose(2, 0, 1)[None]}
        )
        anomaly_map = cv2.resize(maps[0, 0], pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        mask = (anomaly_map > manifest["map_threshold"]["value"]).astype(np.uint8) * 255
        cv2.imwrite(str(out / path.name), mask)
        score = float(scores[0])
        report.writerow([path.name, score > manifest["score_threshold"]["value"], score])
