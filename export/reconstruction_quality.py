"""How well a method redraws an image: PSNR and SSIM, on intensities in [0, 1]."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from export.panels import unit_range
from infer.finding import Finding
from infer.manifest import Manifest

WINDOW_PX = 11


class Quality(NamedTuple):
    """Both are higher for better reconstructions."""

    psnr: float  # dB, of all a scan's images together
    ssim: float  # mean over its images, Gaussian windows of 11 pixels along every axis but a thin
    # volume's depth


def quality_of(finding: Finding, manifest: Manifest) -> Quality | None:
    """Of a scan's reconstruction; None where the method has none."""
    if finding.reconstruction is None:
        return None
    images = unit_range(finding.images, manifest)
    redrawn = unit_range(finding.reconstruction, manifest)
    flat = images.reshape(len(images), -1), redrawn.reshape(len(images), -1)
    if images.ndim == 5 and images.shape[2] <= WINDOW_PX // 2:  # too thin a volume for its window
        images, redrawn = (_slices_of(it) for it in (images, redrawn))
    ssim = structural_similarity_index_measure(
        torch.from_numpy(np.ascontiguousarray(redrawn, np.float32)),
        torch.from_numpy(np.ascontiguousarray(images, np.float32)),
        data_range=1.0,
    )
    assert isinstance(ssim, torch.Tensor)  # no image of its own was asked for
    return Quality(psnr=float(cv2.PSNR(*flat, R=1.0)), ssim=float(ssim))


def _slices_of(volumes: np.ndarray) -> np.ndarray:
    """(batch, channel, depth, *) → (batch · depth, channel, *)."""
    return volumes.swapaxes(1, 2).reshape(-1, volumes.shape[1], *volumes.shape[3:])
