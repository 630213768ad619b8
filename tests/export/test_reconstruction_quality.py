"""PSNR and SSIM against what is computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from export.reconstruction_quality import quality_of
from infer.finding import Finding
from infer.intensity import Intensity
from tests.infer.tiny_model import MANIFEST

SIZE = 32
WINDOW_PX, SIGMA_PX = 11, 1.5
K1, K2 = 0.01, 0.03  # Wang et al. 2004: what keeps the quotients stable, in units of the range


def manifest(low, high):
    intensity = Intensity(recipe="window", low=0.0, high=80.0, output_low=low, output_high=high)
    return replace(MANIFEST, intensity=intensity)


def quality(images, redrawn, low=0.0, high=1.0):
    """Of a scan whose images in [0, 1] are redrawn so by a model of another range."""
    ranged = [None if it is None else it * (high - low) + low for it in (images, redrawn)]
    empty = np.zeros((SIZE, SIZE), np.float32)
    finding = Finding(
        score=0.0,
        anomaly_map=empty,
        mask=empty > 0,
        slice_scores=np.zeros(len(images), np.float32),
        score_parts={},
        images=ranged[0],
        reconstruction=ranged[1],
        peak=(0, 0),
        peak_value=0.0,
        lesions=0,
    )
    return quality_of(finding, manifest(low, high))


def flat(*values):
    """An image of one channel for each value."""
    each = np.array(values, np.float32)[:, None, None, None]
    return np.broadcast_to(each, (len(values), 1, SIZE, SIZE)).copy()


def textured(seed, count=2):
    return np.random.default_rng(seed).random((count, 1, SIZE, SIZE), np.float32)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0)], ids=["0 to 1", "-1 to 1"])
@pytest.mark.parametrize(("error", "psnr"), [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0)])
def test_an_error_of_a_tenth_of_the_range_is_20_db_whatever_the_range(error, psnr, ends):
    found = quality(flat(0.0), flat(error), *ends)
    assert found.psnr == pytest.approx(psnr, abs=1e-3)  # float32 intensities


def test_psnr_is_of_all_images_together():
    """Mean square 0.02 over both: 10 log10(1 / 0.02)."""
    assert quality(flat(0.5, 0.5), flat(0.5, 0.7)).psnr == pytest.approx(16.990, abs=1e-3)


def test_equal_images_have_an_ssim_of_1():
    assert quality(textured(0), textured(0)).ssim == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0)], ids=["0 to 1", "-1 to 1"])
def test_without_texture_ssim_compares_brightness_alone(ends):
    """Variances are 0, and (2 · 0.5 · 0.7 + c) / (0.5² + 0.7² + c) is left of its formula."""
    expected = (2 * 0.5 * 0.7 + K1**2) / (0.5**2 + 0.7**2 + K1**2)
    assert quality(flat(0.5), flat(0.7), *ends).ssim == pytest.approx(expected, abs=1e-4)


def test_ssim_is_that_of_its_paper_around_every_pixel():
    one, other = textured(0), 0.7 * textured(0) + 0.3 * textured(1)
    expected = np.mean([ssim(it[0], that[0]) for it, that in zip(one, other, strict=True)])
    assert 0.1 < expected < 0.95
    # float32 against float64, and variances as differences of moments
    assert quality(one, other).ssim == pytest.approx(expected, abs=1e-4)


def test_a_method_that_redraws_nothing_has_no_quality():
    assert quality(textured(0), None) is None


def ssim(one, other):
    """Wang, Bovik, Sheikh, Simoncelli 2004, equation 13, its moments under a Gaussian window."""
    one, other = one.astype(float), other.astype(float)

    def mean(values):
        return gaussian_filter(values, SIGMA_PX, radius=WINDOW_PX // 2, mode="mirror")

    spread_one, spread_other = (mean(it**2) - mean(it) ** 2 for it in (one, other))
    shared = mean(one * other) - mean(one) * mean(other)
    luminance = (2 * mean(one) * mean(other) + K1**2) / (mean(one) ** 2 + mean(other) ** 2 + K1**2)
    structure = (2 * shared + K2**2) / (spread_one + spread_other + K2**2)
    return (luminance * structure).mean()


@pytest.mark.parametrize("depth", [4, 8, 12])
def test_volumes_of_every_depth_have_a_quality(depth):
    volume = np.random.default_rng(0).random((1, 1, depth, SIZE, SIZE), np.float32)
    assert quality(volume, volume).ssim == pytest.approx(1.0)
    noisy = volume[:, :, :, ::-1]
    found = quality(volume, noisy).ssim
    assert found < 0.9
    if depth == 4:  # slice by slice
        assert found == pytest.approx(
            quality(volume[0].swapaxes(0, 1), noisy[0].swapaxes(0, 1)).ssim
        )
