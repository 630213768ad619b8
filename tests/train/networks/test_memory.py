"""Who in a memory is asked; what comes of asking: tests/train/methods/test_neighbours.py."""

import pytest
import torch

from train.networks.memory import Memory, MemoryConfig

CONFIG = MemoryConfig(
    remembered=8,
    cell_px=4,
    window_px=4.0,
    surroundings_px=3.0,
    softness=0.5,
    doubt=0.05,
    company_px=4.0,
    company_weight=0.5,
)


def images(count, seed=0):
    drawn = torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return drawn.double()


def memory_of(remembered):
    memory = Memory(CONFIG, 1, (16, 16), (0.0, 1.0))
    memory.remember(remembered)
    return memory


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_kin_are_looked_past_as_if_they_were_not_remembered():
    """Of two, the image is a mixture: nothing else in the memory is as like it."""
    remembered = images(8)
    seen = 0.5 * (remembered[1:2] + remembered[6:7])
    others = remembered[[0, 2, 3, 4, 5, 7]]
    assert_equal(memory_of(remembered).compare(seen, kin=2), memory_of(others).compare(seen))


def test_each_image_has_kin_of_its_own():
    remembered = images(8)
    seen = remembered[[2, 5]] + 0.05 * images(2, seed=1)
    found = memory_of(remembered).compare(seen, kin=1)
    for row, kin in enumerate((2, 5)):
        others = torch.cat([remembered[:kin], remembered[kin + 1 :]])
        expected = memory_of(others).compare(seen[row : row + 1])
        assert_equal((it[row : row + 1] for it in found), expected)


def test_without_kin_only_the_image_itself_is_looked_past():
    remembered = images(8)
    nearly = remembered[:1] + 0.05 * images(1, seed=1)
    memory = memory_of(remembered)
    torch.testing.assert_close(memory.compare(nearly).expected, remembered[:1], atol=0.06, rtol=0)
    assert_equal(memory.compare(remembered[:1]), memory_of(remembered[1:]).compare(remembered[:1]))


@pytest.mark.parametrize(("count", "asked"), [(6, 3), (3, 2), (2, 1), (1, 1)])
def test_of_a_small_memory_half_is_asked_however_many_are_kin(count, asked):
    remembered = images(count)
    seen = images(1, seed=1)
    memory = memory_of(remembered)
    flat = (it - memory.surroundings(it) for it in (seen, remembered))
    unlike = torch.sub(*flat).square().mean(dim=(1, 2, 3))
    farthest = remembered[unlike.argsort(descending=True)[:asked]]
    assert_equal(memory.compare(seen, kin=100), memory_of(farthest).compare(seen))
