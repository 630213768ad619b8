import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.corruption import LesionsConfig
from train.pseudo_anomalies import KINDS, PseudoAnomaliesConfig, Site, plant_pseudo_anomalies

BLOBS = LesionsConfig(
    count=(1, 1), radius=(0.1, 0.2), contrast=(0.3, 0.5), irregularity=0.0, softness=0.1
)
CONFIG = PseudoAnomaliesConfig(
    kinds=tuple(KINDS),
    blobs=BLOBS,
    polarity="either",
    texture=0.0,
    opacity=(1.0, 1.0),
    least_change=0.0,
)
UNIT = (0.0, 1.0)
MOVED = ("moved", "mirrored", "swirl", "bulge")  # what stood there before, elsewhere


def config(*kinds, count=(1, 1), **changes):
    blobs = dataclasses.replace(BLOBS, count=count)
    return dataclasses.replace(
        CONFIG, blobs=blobs, **({"kinds": kinds} if kinds else {}), **changes
    )


def textured(count=8, channels=1, spatial=(64, 64)):
    """Waves of a few pixels, in (0.2, 0.8): something changes wherever anything is planted."""
    return 0.2 + 0.6 * torch.rand(count, channels, *spatial)


def plant(images, *kinds, seed=0, **changes):
    torch.manual_seed(seed)
    return plant_pseudo_anomalies(images, config(*kinds, **changes), UNIT)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 2**31),
    count=st.integers(1, 4),
    channels=st.integers(1, 3),
    spatial=st.sampled_from([(32, 32), (32, 64), (16, 16, 16), (8, 32, 32)]),
    intensity_range=st.sampled_from([(0.0, 1.0), (-1.0, 1.0)]),
)
def test_only_what_the_share_says_is_changed_and_it_stays_in_its_range(
    kind, seed, count, channels, spatial, intensity_range
):
    low, high = intensity_range
    torch.manual_seed(seed)
    images = textured(count, channels, spatial) * (high - low) + low
    before = images.clone()
    planted = plant_pseudo_anomalies(images, config(kind), intensity_range)
    assert torch.equal(images, before)
    assert planted.images.shape == images.shape
    assert planted.share.shape == (count, 1, *spatial)
    assert planted.images.min() >= low
    assert planted.images.max() <= high
    assert planted.share.min() >= 0
    assert planted.share.max() <= 1
    outside = (planted.share == 0).expand_as(images)
    assert torch.equal(planted.images[outside], images[outside])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_changes_what_lies_inside(kind):
    images = textured()
    planted = plant(images, kind)
    change = (planted.images - images).abs()
    inside = (planted.share > 0.9).expand_as(images)
    assert inside.flatten(1).any(dim=1).sum() >= (1 if kind == "foreign" else 7)
    assert change[inside].mean() > 0.03
    assert change[inside].mean() > 20 * change[~inside].mean()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_seed_plants_the_same_and_another_something_else(kind):
    images = textured(4)
    first, again, other = (plant(images, kind, seed=it).images for it in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("polarity", "sign"), [("bright", 1), ("dark", -1)])
def test_spots_are_of_the_polarity_asked_for_and_of_their_contrast(polarity, sign):
    images = torch.full((16, 1, 64, 64), 0.5)
    planted = plant(images, "spot", polarity=polarity)
    change = sign * (planted.images - images)
    assert change.min() >= 0
    assert (change.flatten(1).amax(dim=1) > 0.27).all()
    assert change.max() <= 0.5


def test_spots_of_either_polarity_are_some_bright_and_some_dark():
    images = torch.full((32, 1, 64, 64), 0.5)
    change = (plant(images, "spot", polarity="either").images - images).mean(dim=(1, 2, 3))
    bright = int((change > 0).sum())
    assert 0 < bright < len(images)
    assert int((change < 0).sum()) == len(images) - bright


def test_a_texture_makes_a_spot_uneven():
    images = torch.full((16, 1, 64, 64), 0.5)

    def spread(texture):
        planted = plant(images, "spot", polarity="bright", texture=texture)
        inside = planted.share > 0.98
        return torch.stack(
            [it[where].std() for it, where in zip(planted.images, inside, strict=True)]
        ).mean()

    assert spread(0.5) > 5 * spread(0.0)


def test_a_foreign_patch_is_what_stands_there_in_another_image():
    images = torch.stack([torch.full((1, 64, 64), it) for it in (0.2, 0.8)])
    for seed in range(8):
        planted = plant(images, "foreign", seed=seed)
        middles = planted.images[planted.share > 0.999]
        own = images[(planted.share > 0.999).nonzero()[:, 0], 0, 0, 0]
        if not torch.equal(planted.images, images):
            torch.testing.assert_close(middles, 1 - own, atol=2e-3, rtol=0)
            return
    pytest.fail("of eight draws none exchanged two images")


@pytest.mark.parametrize("kind", MOVED)
def test_what_is_moved_makes_no_new_brightness(kind):
    images = torch.where(torch.rand(8, 1, 64, 64) < 0.5, 0.3, 0.7)
    planted = plant(images, kind)
    assert planted.images.min() >= 0.3 - 1e-6
    assert planted.images.max() <= 0.7 + 1e-6


@pytest.mark.parametrize("kind", [*MOVED, "blurred", "foreign"])
def test_grey_in_grey_is_no_anomaly(kind):
    images = torch.full((8, 1, 64, 64), 0.5)
    planted = plant(images, kind, least_change=0.02)
    assert torch.equal(planted.images, images)
    assert not planted.share.any()


@pytest.mark.parametrize("kind", ["mirrored", "swirl", "bulge"])
def test_a_thin_volume_is_deformed_as_the_same_slices_of_a_thick_one(kind):
    middle = slice(12, 20)  # all that is deformed, with some room
    images = textured(1, 1, (32, 32, 32))
    down, *across = torch.meshgrid(*[torch.arange(32.0) - 15.5] * 3, indexing="ij")
    inside = (down**2 + across[0] ** 2 + across[1] ** 2 < 9).float()[None, None]
    site = Site(images, images, inside, 1.0, CONFIG, alone=False)
    torch.manual_seed(2)
    thick = KINDS[kind](site)
    thin_site = site._replace(images=images[:, :, middle], inside=inside[:, :, middle])
    torch.manual_seed(2)
    thin = KINDS[kind](thin_site)
    torch.testing.assert_close(thin, thick[:, :, middle], atol=1e-4, rtol=0)
    assert (thin - images[:, :, middle]).abs().max() > 0.1


def test_blur_takes_the_grain_away():
    images = textured(16)
    planted = plant(images, "blurred")
    inside = planted.share > 0.98
    assert planted.images[inside].std() < 0.6 * images[inside].std()


def test_as_many_as_asked_for_and_sometimes_none():
    images = torch.full((64, 1, 64, 64), 0.5)
    planted = plant(images, "spot", count=(0, 1))
    healthy = (planted.share == 0).flatten(1).all(dim=1)
    assert 16 < healthy.sum() < 48
    assert torch.equal(planted.images[healthy], images[healthy])
    more = plant(images, "spot", count=(4, 4)).share
    assert more.mean() > 2 * plant(images, "spot").share.mean()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kinds": ("tumour",)}, "kind 'tumour' is unknown"),
        ({"kinds": ()}, "at least one kind"),
        ({"kinds": ("spot", "spot")}, "none twice"),
        ({"opacity": (0.0, 1.0)}, "opacity must be a range"),
        ({"texture": -0.1}, "texture must not be negative"),
        ({"least_change": -0.1}, "least_change must not be negative"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_image_gets_the_foreign_patch_that_it_is_to_have(count):
    """Were it its own, nothing would change, and nothing would be learned of it."""
    for seed in range(20):
        seen = plant(textured(count), "foreign", seed=seed)
        assert (seen.share.flatten(1).amax(dim=1) > 0.5).all()


def test_what_is_not_changed_is_no_anomaly_however_small_a_change_would_do():
    grey = torch.full((4, 1, 64, 64), 0.5)
    seen = plant(grey, "moved", least_change=0.0)
    assert torch.equal(seen.images, grey)
    assert not seen.share.any()


@pytest.mark.parametrize("lift", [0.0, 0.1])
def test_anomalies_lie_in_the_head_also_where_brightness_lifts_the_air_around_it(lift):
    images = torch.zeros(50, 1, 64, 64)
    images[..., 20:44, 20:44] = 0.5
    seen = plant(images + lift, "spot")
    middles = seen.share.flatten(1).argmax(dim=1)
    rows, columns = middles // 64, middles % 64
    inside = (rows > 10) & (rows < 54) & (columns > 10) & (columns < 54)
    assert inside.all()
