import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from infer.errors import UadError
from train.batches import Batches
from train.loops.memory import fit_by_remembering
from train.methods.neighbours import Neighbours, NeighboursConfig
from train.processes import open_fabric

SIDE, CELL = 16, 4
TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "remembered": 6,
    "cell_px": CELL,
    "window_px": 8.0,  # two cells: a Gaussian that SciPy cuts off at the same place
    "surroundings_px": 2.0,
    "softness": 0.5,
    "doubt": 0.05,
    "company_px": 4.0,
    "company_weight": 0.5,
    "batch_size": 2,
    "validate_every": 1,
}


def neighbours(channels=1, size=(SIDE, SIDE), **changes):
    return Neighbours(NeighboursConfig(**(TINY | changes)), channels, size).eval()


def images(count, channels=1, seed=0, size=(SIDE, SIDE)):
    return torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(seed))


def blurred(planes, deviation):
    """Over the last two axes; beyond the border all is as on it."""
    return gaussian_filter(planes, deviation, mode="nearest", truncate=2.5, axes=(-2, -1))


def by_hand(image, remembered, config):
    """Evidence of one image (channel, height, width), place by place, in NumPy and SciPy."""
    flat, others = (it - blurred(it, config["surroundings_px"]) for it in (image, remembered))
    apart = (flat - others) ** 2
    cells = apart.mean(axis=1).reshape(len(others), SIDE // CELL, CELL, SIDE // CELL, CELL)
    windowed = blurred(cells.mean(axis=(2, 4)), config["window_px"] / CELL)
    weights = np.exp(-windowed / (windowed.min(axis=0) + 1e-4) / config["softness"])
    weights = (weights / weights.sum(axis=0)).repeat(CELL, axis=1).repeat(CELL, axis=2)[:, None]
    mean = (weights * others).sum(axis=0)
    variance = (weights * (others - mean) ** 2).sum(axis=0)
    odd = (flat - mean) / np.sqrt(variance + config["doubt"] ** 2)
    return odd / np.sqrt(1 + config["company_weight"] * blurred(odd**2, config["company_px"]))


@pytest.mark.parametrize("channels", [1, 2])
def test_evidence_is_the_distance_from_what_weighed_neighbours_show(channels):
    model, remembered = neighbours(channels), images(6, channels)
    model.remember(remembered)
    seen = images(3, channels, seed=1)
    found = model.findings(seen).evidence.numpy()
    expected = [by_hand(it, remembered.double().numpy(), TINY) for it in seen.double().numpy()]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_image_that_is_nearly_one_of_the_remembered_is_expected_as_that_one():
    model, remembered = neighbours(size=(16, 32)), images(6, size=(16, 32))
    model.remember(remembered)
    nearly = remembered + 0.01 * images(6, seed=1, size=(16, 32))
    torch.testing.assert_close(
        model.findings(nearly).reconstruction, remembered, atol=0.011, rtol=0
    )


def test_a_remembered_image_is_looked_at_as_if_it_were_not():
    with_it, without = neighbours(), neighbours()
    remembered = images(6)
    with_it.remember(remembered)
    without.remember(remembered[1:])
    torch.testing.assert_close(
        with_it.findings(remembered[:1]).evidence,
        without.findings(remembered[:1]).evidence,
        atol=1e-4,
        rtol=1e-4,
    )


def test_what_is_planted_stands_out_where_it_is_and_with_its_sign():
    model, remembered = neighbours(window_px=4.0), images(6)
    model.remember(remembered)
    planted = remembered + 0.01 * images(6, seed=1)
    planted[0, 0, 3:5, 3:5] += 0.5
    planted[1, 0, 10:12, 12:14] -= 0.5
    bright, dark, *rest = model.findings(planted).evidence[:, 0]
    assert np.unravel_index(int(bright.argmax()), bright.shape) in {(3, 3), (3, 4), (4, 3), (4, 4)}
    assert np.unravel_index(int(dark.argmin()), dark.shape) in {
        (row, column) for row in (10, 11) for column in (12, 13)
    }
    assert torch.stack(rest).abs().max() < 0.1 * min(bright.max(), -dark.min())


def test_an_image_that_is_odd_all_over_is_less_odd_in_any_one_place():
    remembered = images(6)
    spot, noise = torch.zeros(2, 1, 1, SIDE, SIDE)
    spot[0, 0, 8, 8] = 0.5
    noise[0, 0] = 0.2 * (images(1, seed=2)[0, 0] - 0.5)
    peaks = {}
    for weight in (0.0, 3.0):
        model = neighbours(window_px=4.0, company_weight=weight)
        model.remember(remembered)
        found = model.findings(torch.cat([remembered[:1] + spot, remembered[:1] + noise + spot]))
        peaks[weight] = found.evidence[:, 0, 8, 8]
    alone, in_company = peaks[3.0] / peaks[0.0]
    assert in_company < alone < 1


def test_what_varies_slowly_is_taken_off():
    model, remembered = neighbours(window_px=4.0), 0.5 * images(6)
    model.remember(remembered)
    shaded = remembered + torch.linspace(0.1, 0.2, SIDE).view(-1, 1)
    inside = model.findings(shaded).evidence[..., 6:-6, :]  # a border has surroundings on one side
    assert inside.abs().max() < 1e-2


def test_places_without_an_image_count_for_nothing():
    large, small, remembered = neighbours(), neighbours(remembered=2), images(2)
    for model in (large, small):
        model.remember(remembered)
    seen = images(3, seed=1)
    torch.testing.assert_close(large.findings(seen).evidence, small.findings(seen).evidence)


def test_air_that_all_have_alike_is_no_finding():
    model, remembered = neighbours(), images(6)
    remembered[:, :, :8] = 0
    model.remember(remembered)
    seen = images(1, seed=1)
    seen[:, :, :8] = 0
    found = model.findings(seen).evidence
    assert torch.isfinite(found).all()
    assert found[..., :3, :].abs().max() < 1e-6  # what lies lower has tissue in its surroundings


@pytest.mark.parametrize(
    ("count", "rows"), [(4, [0, 1, 2, 3]), (11, [0, 2, 4, 6, 8, 10]), (1, [0])]
)
def test_a_fit_remembers_training_images_unchanged_from_first_to_last(count, rows):
    model, training = neighbours(intensity_range=(-1.0, 1.0)), images(count)
    batches = Batches(
        training.numpy(),
        2,
        change=torch.zeros_like,  # an augmentation nobody could overlook
        intensity_range=(-1.0, 1.0),
        device=torch.device("cpu"),
    )
    fitting = fit_by_remembering(open_fabric(model.config), model, {}, batches, range(1))
    assert [record.candidate for record in fitting] == [True]
    same = neighbours(intensity_range=(-1.0, 1.0))
    same.remember(2 * training[rows] - 1)
    torch.testing.assert_close(model.memory, same.memory)
    assert model.absent.tolist() == [0] * len(rows) + [1] * (6 - len(rows))


def test_cells_that_do_not_divide_the_image_are_refused():
    with pytest.raises(UadError, match=r"cell_px 4 is not possible at image_size \[16, 18\]"):
        neighbours(size=(16, 18))
