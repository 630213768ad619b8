import cv2
import numpy as np
import pytest

from train.datasets.near_duplicates import grouped, groups_of


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    first, other = (random.integers(0, 255, (40, 40), np.uint8) for _ in range(2))
    brighter = (first * 0.8 + 20).astype(np.uint8)
    for name, picture in {"b": first, "a": brighter, "c": other}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    (tmp_path / "d.png").write_text("not a picture")
    return [tmp_path / f"{name}.png" for name in "bacd"]


def test_the_same_picture_at_another_brightness_is_a_near_duplicate(pictures):
    assert groups_of(pictures, above=0.95) == ["a", "a", "c", "d"]


def test_at_a_correlation_of_1_nothing_is_grouped():
    alike = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 3, axis=0)
    assert len(set(grouped(alike, above=1.0001))) == 3


def test_a_chain_of_neighbours_is_one_group():
    steps = np.stack([np.sin(np.linspace(0, 6, 200) + shift) for shift in (0.0, 0.2, 0.4)])
    assert np.corrcoef(steps)[0, 2] < 0.95 < np.corrcoef(steps)[0, 1]
    assert len(set(grouped(steps, above=0.95))) == 1
