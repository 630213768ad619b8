import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from train.batches import Batches
from train.corruption import LesionsConfig
from train.loops.atlas import fit_with_atlas
from train.loops.memory import fit_with_memory
from train.methods.fpi import Fpi, FpiConfig, FpiNeighbours, FpiNeighboursConfig, KinConfig
from train.methods.method import AnomalyModel, TellsOdds
from train.processes import open_fabric
from train.pseudo_anomalies import PseudoAnomaliesConfig

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "anomalies": PseudoAnomaliesConfig(
        kinds=("spot",),
        blobs=LesionsConfig(
            count=(1, 2), radius=(0.1, 0.2), contrast=(0.4, 0.5), irregularity=0.2, softness=0.1
        ),
        polarity="bright",
        texture=0.0,
        opacity=(1.0, 1.0),
        least_change=0.0,
    ),
    "width": 4,
    "levels": 2,
    "bottleneck": 8,
    "spatial_dims": 2,
    "mirror": "none",
    "atlas": False,
    "learning_rate": 1e-2,
    "weight_decay": 0.0,
    "batch_size": 8,
    "epochs": 2,
    "validate_every": 1,
}


MEMORY = {
    "kin": 2,
    "remembered": 8,
    "cell_px": 4,
    "window_px": 4.0,
    "surroundings_px": 4.0,
    "softness": 0.5,
    "doubt": 0.05,
    "company_px": 4.0,
    "company_weight": 0.5,
}


def fpi(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Fpi(FpiConfig(**(TINY | changes)), channels, image_size)


def twins(rows):
    """Grey images with a bright disc on either side, at these rows."""
    down, across = torch.meshgrid(torch.arange(32), torch.arange(16), indexing="ij")
    near = (down - rows.view(-1, 1, 1)) ** 2 + (across - 8) ** 2 < 16
    left = 0.3 + 0.45 * near.float().unsqueeze(1)
    return torch.cat([left, left.flip(-1)], dim=-1)


class Remember(torch.nn.Module):
    """Says nothing of any image, and remembers what it was shown."""

    def forward(self, images):
        self.shown = images
        return torch.zeros_like(images[:, :1])

    def look(self, images):
        return self(images), images


def test_it_keeps_the_promise_of_methods():
    assert isinstance(fpi(), AnomalyModel)


def test_the_network_sees_planted_images_and_the_given_ones_stay_as_they_are():
    model = fpi()
    model.network = Remember()
    images = torch.rand(4, 1, 32, 32) / 2
    before = images.clone()
    loss = model.training_loss(images).total
    assert torch.equal(images, before)
    assert (model.network.shown > images + 0.2).flatten(1).any(dim=1).all()
    # A logit of 0 everywhere costs ln 2, whatever the truth.
    torch.testing.assert_close(loss, torch.log(torch.tensor(2.0)))


@pytest.mark.parametrize("channels", [1, 2])
def test_evidence_is_one_number_for_each_pixel_and_nothing_is_redrawn(channels):
    found = fpi(channels).eval().findings(torch.rand(3, channels, 32, 32))
    assert found.evidence.shape == (3, 1, 32, 32)
    assert found.evidence.min() >= 0
    assert found.reconstruction is None
    assert found.code.shape == (3, 8)


def test_evidence_tells_odds_beside_those_at_the_start():
    class Odds(torch.nn.Module):
        def look(self, images):
            return torch.log(images), images.flatten(2).mean(dim=2)

    model = fpi()
    model.network = Odds()
    odds = torch.tensor([1e-9, math.exp(-4), 1.0, 1e9]).expand(1, 1, 4, 4)
    expected = torch.tensor([0.0, math.log(2), math.log(1 + math.exp(4)), 9 * math.log(10) + 4])
    torch.testing.assert_close(
        model.findings(odds).evidence[0, 0, 0], expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("odds", [1e-3, 1.0, 50.0])
def test_evidence_at_given_odds_is_what_it_says_of_them(odds):
    class Odds(torch.nn.Module):
        def look(self, images):
            return torch.log(images), images.flatten(2).mean(dim=2)

    model = fpi()
    assert isinstance(model, TellsOdds)
    model.network = Odds()
    said = model.findings(torch.full((1, 1, 4, 4), odds)).evidence[0, 0, 0, 0]
    assert model.evidence_at(odds) == pytest.approx(float(said), rel=1e-5)


def test_before_it_has_learned_it_calls_almost_nothing_planted():
    found = fpi().eval().findings(torch.rand(3, 1, 32, 32))
    assert found.evidence.mean() < 1.0


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("image_size", [(32, 64), (8, 32, 64)])
@pytest.mark.parametrize(("mirror", "axis"), [("columns", -1), ("rows", -2)])
def test_with_a_mirror_the_network_sees_each_image_and_the_same_turned_round(
    mirror, axis, image_size, channels
):
    model = fpi(channels, image_size, mirror=mirror, spatial_dims=len(image_size))
    images = torch.rand(2, channels, *image_size)
    assert model.eval().findings(images).evidence.shape == (2, 1, *image_size)
    model.network = Remember()
    model.training_loss(images)
    own, turned = model.network.shown.split(channels, dim=1)
    assert torch.equal(own.flip(axis), turned)
    assert not torch.equal(own, turned)


@pytest.mark.parametrize(("mirror", "axis"), [("columns", -1), ("rows", -2)])
def test_with_a_mirror_an_image_and_its_mirror_image_get_the_same_answer_mirrored(mirror, axis):
    model, images = fpi(mirror=mirror).eval(), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        said = model.findings(images).evidence
        turned = model.findings(images.flip(axis)).evidence
    torch.testing.assert_close(turned.flip(axis), said)


def test_with_a_mirror_it_learns_that_what_one_side_has_alone_was_planted():
    model = fpi(width=8, mirror="columns")
    optimizer = model.optimizers()["model"]
    for _ in range(150):
        loss = model.training_loss(twins(torch.randint(4, 28, (8,)))).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    healthy = twins(torch.tensor([16]))
    one_sided = torch.cat([healthy[..., :16], torch.full((1, 1, 32, 16), 0.3)], dim=-1)
    with torch.no_grad():
        said = model.eval().findings(torch.cat([healthy, one_sided])).evidence
    disc = said[:, 0, 14:19, 6:11].mean(dim=(1, 2))
    assert disc[1] > disc[0] + 1


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mirror", ["none", "columns"])
def test_with_an_atlas_the_network_sees_how_far_each_image_is_from_it_too(channels, mirror):
    model = fpi(channels, mirror=mirror, atlas=True)
    model.atlas.draw([torch.rand(5, channels, 32, 32)])
    images = torch.rand(2, channels, 32, 32)
    assert model.eval().findings(images).evidence.shape == (2, 1, 32, 32)
    model.network = Remember()
    model.training_loss(images)
    own, *_, away = model.network.shown.split(channels, dim=1)
    torch.testing.assert_close(away, model.atlas(own))


def test_the_atlas_is_drawn_before_the_first_step_of_images_as_they_are():
    model, images = fpi(atlas=True), np.random.default_rng(0).random((9, 1, 32, 32), np.float32)
    batches = Batches(
        images,
        4,
        change=torch.zeros_like,
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
    )
    fabric = open_fabric(model.config)
    next(fit_with_atlas(fabric, model, model.optimizers(), batches, range(2)))
    torch.testing.assert_close(model.atlas.mean[0].numpy(), images.mean(axis=0))
    torch.testing.assert_close(model.atlas.deviation[0].numpy(), images.std(axis=0))


def with_neighbours(channels=1, **changes):
    torch.manual_seed(0)
    numbers = FpiNeighboursConfig(**(TINY | {"neighbours": KinConfig(**MEMORY)} | changes))
    return FpiNeighbours(numbers, channels, (32, 32))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("atlas", [False, True])
def test_with_neighbours_the_network_sees_how_odd_each_place_is_too(channels, atlas):
    """Whom it is trained on it remembers: there, who looks most alike is not asked."""
    model, remembered = with_neighbours(channels, atlas=atlas), torch.rand(6, channels, 32, 32)
    model.memory.remember(remembered)
    model.network = Remember()
    images = remembered[:2] + 0.05 * torch.rand(2, channels, 32, 32)
    for looked, kin in ((model.training_loss, 2), (model.eval().findings, 0)):
        looked(images)
        own, *_, in_company, odd = model.network.shown.split(channels, dim=1)
        found = model.memory.compare(own.double(), kin=kin)
        for seen, expected in ((in_company, found.odd_in_company / 2), (odd, found.odd / 4)):
            torch.testing.assert_close(seen, expected.clamp(-2, 2).float(), atol=1e-3, rtol=1e-3)
        assert in_company.abs().max() > 0.05


def test_the_memory_is_filled_before_the_first_step_of_images_as_they_are(monkeypatch):
    model, images = with_neighbours(), np.random.default_rng(0).random((6, 1, 32, 32), np.float32)
    batches = Batches(
        images,
        4,
        change=torch.zeros_like,
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
    )
    loss_of, known = model.training_loss, []

    def observed(shown):
        known.append({name: it.clone() for name, it in model.memory.state_dict().items()})
        return loss_of(shown)

    monkeypatch.setattr(model, "training_loss", observed)
    fabric = open_fabric(model.config)
    next(fit_with_memory(fabric, model, model.optimizers(), batches, range(2)))
    same = with_neighbours()
    same.memory.remember(torch.from_numpy(images))
    torch.testing.assert_close(known[0], same.memory.state_dict())


def test_it_learns_to_find_spots_that_it_never_saw():
    model = fpi(width=8)
    optimizer = model.optimizers()["model"]
    for _ in range(160):
        loss = model.training_loss(0.3 + 0.1 * torch.rand(8, 1, 32, 32)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    spot = torch.zeros(1, 1, 32, 32)
    spot[..., 8:15, 18:25] = 1  # a square: no blob is one
    with torch.no_grad():
        said = model.eval().findings(0.35 + 0.3 * spot).evidence
    assert said[spot == 1].mean() > 4.0  # odds above 1
    assert said[spot == 0].mean() < 1.5


def test_of_a_volume_it_learns_to_find_what_ends_between_slices():
    model = fpi(image_size=(8, 32, 32), width=8, spatial_dims=3)
    optimizer = model.optimizers()["model"]

    def healthy(count):  # each with a brightness of its own: no threshold tells a spot
        return torch.rand(count, 1, 1, 1, 1).mul(0.5).expand(-1, -1, 8, 32, 32).contiguous()

    for _ in range(150):
        loss = model.training_loss(healthy(4)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    brighter = torch.full((1, 1, 8, 32, 32), 0.1)
    brighter[:, :, 3:5] = 0.5  # two whole slices: in their planes there is nothing to see
    with torch.no_grad():
        said = model.eval().findings(brighter).evidence.mean(dim=(0, 1, 3, 4))
    assert said[3:5].min() > said[[0, 1, 6, 7]].max() + 0.5


def test_a_fit_in_bfloat16_is_shown_the_images_that_one_in_float32_is_shown():
    kinds = replace(TINY["anomalies"], kinds=("blurred", "swirl"))
    model, images, seen = fpi(anomalies=kinds), torch.rand(4, 1, 32, 32), []
    model.network.register_forward_pre_hook(lambda network, given: seen.append(given[0].clone()))
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            model.training_loss(images)
    assert torch.equal(*seen)
    assert not torch.equal(seen[0], images)
