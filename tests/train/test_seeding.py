"""Chance in common: what processes draw together is what one draws alone."""

import pytest
import torch

from train.augment import Augmentation, AugmentConfig
from train.params import load
from train.seeding import chance_aside, drawn_for_all, seed_process


@pytest.fixture(autouse=True)
def alone_afterwards():
    yield
    seed_process(0, rank=0, processes=1)


def draws(rank, processes, draw):
    """What a process of so many draws, three times, each with some chance of its own between."""
    seed_process(3, rank=rank, processes=processes)
    found = []
    for _ in range(3):
        found.append(draw(rank, 4 // processes))
        if processes > 1:
            torch.rand(rank + 1)  # as much as it likes
    return found


def parts_of_two(draw):
    both = zip(*(draws(rank, 2, draw) for rank in (0, 1)), strict=True)
    return [torch.cat(parts) for parts in both]


@pytest.mark.parametrize("size", [(1, 12, 10), (3, 12, 10), (1, 6, 8, 10)], ids=str)
def test_images_are_changed_alike_however_many_processes_share_a_batch(size):
    change = Augmentation(
        load("params.yaml").block(AugmentConfig, "augment"), size[0], len(size) - 1
    )
    images = torch.rand(4, *size)

    def changed(rank, count):
        return change(images[rank * count : (rank + 1) * count])

    for alone, together in zip(draws(0, 1, changed), parts_of_two(changed), strict=True):
        torch.testing.assert_close(together, alone)
        assert not torch.equal(alone, images)


def test_what_is_drawn_aside_is_in_common_with_nobody():
    def aside(rank, count):
        with chance_aside(7):
            drawn_for_all(lambda some: torch.rand(some), rank + 1)
        return drawn_for_all(lambda some: torch.rand(some), count)

    for alone, together in zip(draws(0, 1, aside), parts_of_two(aside), strict=True):
        assert torch.equal(together, alone)
