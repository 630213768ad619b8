"""Ways of finding anomalies: one file each, met only in `train.recipes`."""
