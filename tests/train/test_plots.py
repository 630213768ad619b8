import numpy as np
import pytest

from train import plots


def test_a_picture_spans_the_methods_range():
    image = np.array([[[-1.0, 0.0, 1.0]]], np.float32)
    np.testing.assert_allclose(plots.picture(image, (-1.0, 1.0)), [[0.0, 0.5, 1.0]])


def test_three_channels_are_shown_as_colours_and_others_as_grey():
    images = np.zeros((3, 4, 5), np.float32)
    assert plots.picture(images, (0.0, 1.0)).shape == (4, 5, 3)
    assert plots.picture(images[:2], (0.0, 1.0)).shape == (4, 5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_any_number_of_images(channels):
    images = np.random.default_rng(0).random((11, channels, 6, 5), np.float32)
    (shown,) = plots.grid(images, (0.0, 1.0)).axes[0].images
    assert shown.get_array().shape[:2] == (2 * 6, 8 * 5)


def test_curves_leave_out_the_records_that_lack_a_metric():
    history = [{"a": 1.0}, {"b": 2.0}, {"a": 3.0, "b": 4.0}]
    lines = plots.curves(history, ["a", "b"], "losses").axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [[0, 2], [1, 2]]


def test_scores_that_differ_by_their_last_digit_have_a_histogram():
    scores = np.array([50_000, np.nextafter(np.float32(50_000), np.float32(1e9))], np.float32)
    assert plots.histogram(scores, np.array([False, True])).axes[0].patches
