"""Grey and colour: what a model with so many channels sees of a scan."""

import numpy as np
import pytest

from infer.colours import check_colours, with_channels
from infer.errors import UnreadableScanError


def test_a_grey_picture_stored_in_colour_is_the_same_picture():
    grey = np.random.default_rng(0).random((1, 6, 5), np.float32)
    np.testing.assert_allclose(with_channels(np.repeat(grey, 3, axis=0), 1), grey, rtol=1e-6)


def test_a_grey_picture_becomes_three_equal_channels():
    grey = np.random.default_rng(0).random((1, 6, 5), np.float32)
    np.testing.assert_array_equal(with_channels(grey, 3), np.concatenate([grey] * 3))


def test_other_channels_are_refused():
    with pytest.raises(UnreadableScanError, match="3 channels, the model takes 2"):
        with_channels(np.zeros((3, 4, 4), np.float32), 2)


def test_some_of_the_colours_are_seen_in_the_order_they_are_named():
    photograph = np.random.default_rng(0).random((3, 6, 5), np.float32)
    np.testing.assert_array_equal(with_channels(photograph, 2, (1, 0)), photograph[[1, 0]])


def test_of_a_grey_picture_every_colour_is_the_same():
    grey = np.random.default_rng(0).random((1, 6, 5), np.float32)
    np.testing.assert_array_equal(with_channels(grey, 2, (0, 1)), np.concatenate([grey] * 2))


def test_colours_are_not_chosen_of_a_scan_that_has_none():
    with pytest.raises(UnreadableScanError, match="4 channels, the model takes 2"):
        with_channels(np.zeros((4, 4, 4), np.float32), 2, (0, 1))


@pytest.mark.parametrize("colours", [(0,), (0, 3), (0, 1, 2)])
def test_a_choice_that_is_none_is_refused(colours):
    with pytest.raises(ValueError, match="colours must name one of"):
        check_colours(colours, 2)
