import numpy as np
import pytest

from export.baselines import SMALLEST_STD, baselines

TRAINING = np.random.default_rng(0).random((20, 1, 16, 16), np.float32)
IMAGES = np.random.default_rng(1).random((5, 1, 16, 16), np.float32)
BASELINES = {it.name: it for it in baselines(TRAINING)}


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_keeps_the_contract_of_engines(name):
    found = BASELINES[name].run(IMAGES)
    assert found.anomaly_map.shape == (5, 1, 16, 16)
    assert found.score.shape == (5,)
    assert found.anomaly_map.dtype == found.score.dtype == np.float32


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_says_the_same_of_an_image_whatever_its_neighbours(name):
    together = BASELINES[name].run(IMAGES)
    alone = BASELINES[name].run(IMAGES[3:4])
    np.testing.assert_array_equal(together.anomaly_map[3:4], alone.anomaly_map)
    np.testing.assert_array_equal(together.score[3:4], alone.score)


def test_the_table_names_its_three_trivial_rows_and_marks_the_others():
    names = list(BASELINES)
    assert names[:3] == ["intensity_threshold", "mean_image", "random"]
    assert all(name.startswith("baseline_") for name in names[3:])


def test_the_mean_image_itself_is_not_anomalous_and_its_deviation_is_in_its_own_units():
    mean, std = TRAINING.mean(axis=0), TRAINING.std(axis=0)
    engine = BASELINES["mean_image"]
    np.testing.assert_allclose(engine.run(mean[None]).score, 0, atol=1e-5)
    np.testing.assert_allclose(engine.run((mean + 2 * std)[None]).anomaly_map, 2, rtol=1e-4)


def test_where_all_training_images_agree_noise_is_not_divided_by_nothing():
    flat = {it.name: it for it in baselines(np.zeros((3, 1, 16, 16), np.float32))}
    found = flat["mean_image"].run(np.full((1, 1, 16, 16), SMALLEST_STD, np.float32))
    np.testing.assert_allclose(found.score, 1, rtol=1e-5)


def test_random_scores_differ_between_images():
    assert len(set(BASELINES["random"].run(IMAGES).score.tolist())) == len(IMAGES)


def test_brightness_counts_where_it_says_so():
    image = np.zeros((1, 1, 16, 16), np.float32)
    image[0, 0, 2:9, 3:10] = 0.5
    image[0, 0, 15, 15] = 1.0
    assert BASELINES["baseline_maximum"].run(image).score == pytest.approx([1.0])
    assert BASELINES["baseline_strongest_7x7"].run(image).score == pytest.approx([0.5])
    assert BASELINES["intensity_threshold"].run(image).score == pytest.approx([0.5])


@pytest.mark.parametrize("name", ["baseline_sharpness", "baseline_mean_intensity"])
def test_the_unusual_is_found_on_either_side(name):
    chance = np.random.default_rng(2)
    noise = chance.random((40, 1, 16, 16), np.float32)

    def drawn(level, contrast):
        return np.float32(level) + np.float32(contrast) * (noise - noise.mean())

    usual = drawn(0.5, 0.1) + chance.normal(0, 0.01, (40, 1, 1, 1)).astype(np.float32)
    engine = {it.name: it for it in baselines(usual)}[name]
    odd = {
        "baseline_sharpness": (drawn(0.5, 0.05), drawn(0.5, 0.2)),
        "baseline_mean_intensity": (drawn(0.4, 0.1), drawn(0.6, 0.1)),
    }[name]
    for images in odd:
        assert engine.run(images).score.min() > engine.run(usual).score.max()


def test_sharpness_is_the_mean_laplacian_counted_in_spreads_of_the_training_images():
    def sharpness(image):
        own = np.pad(image[0].astype(float), 1, mode="reflect")
        around = own[:-2, 1:-1] + own[2:, 1:-1] + own[1:-1, :-2] + own[1:-1, 2:]
        return np.abs(around - 4 * own[1:-1, 1:-1]).mean()

    usual = np.array([sharpness(it) for it in TRAINING])
    expected = [abs(sharpness(it) - usual.mean()) / usual.std() for it in IMAGES]
    found = BASELINES["baseline_sharpness"].run(IMAGES).score
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_edge_of_a_volume_is_as_sharp_along_every_axis(axis):
    volume = np.zeros((8, 8, 8), np.float32)
    np.moveaxis(volume, axis, 0)[4:] = 1.0
    training = np.zeros((2, 1, 8, 8, 8), np.float32)
    sharpness = {it.name: it for it in baselines(training)}["baseline_sharpness"]
    (found,) = sharpness.run(volume[None, None]).anomaly_map[:, 0]
    np.testing.assert_allclose(np.moveaxis(found, axis, 0)[[3, 4]], 1.0)
    np.testing.assert_allclose(np.moveaxis(found, axis, 0)[[0, 1, 2, 5, 6, 7]], 0.0)


def test_images_that_are_as_bright_as_can_be_have_one_score_whatever_resizing_rounds():
    images = np.zeros((3, 1, 16, 16), np.float32)
    images[:, 0, 4:9, 4:9] = np.nextafter(np.float32(1), np.float32([[[0]], [[1]], [[2]]]))
    for name in ("baseline_maximum", "intensity_threshold"):
        assert set(BASELINES[name].run(images).score.tolist()) == {1.0}
