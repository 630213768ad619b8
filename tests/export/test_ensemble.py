import numpy as np
import onnx
import pytest
import torch

from export import onnx_file
from export.calibration import CalibrationError
from export.ensemble import LARGEST_SCORE, ensemble_of, score_in_words, units_of
from export.fitted import Fitted
from export.graph import ExportedGraph, output_names
from export.parity import measure
from infer.engine import open_engine
from tests.export.tiny_graph import RECIPE, SIZE, TINY_MANIFEST, TinyModel
from train.batches import AS_THEY_ARE, ChannelScale, at_once
from train.methods.method import Findings
from train.scores import Scorer

PREPARED = (0.0, 1.0)
SIGNED = (-1.0, 1.0)


class Witness(TinyModel):
    """Remembers what it saw; its reconstruction is its image."""

    def findings(self, images):
        self.seen = images
        return Findings(images - 0.5, images, {"latent": images.flatten(1).amin(dim=1)})


class Bare(TinyModel):
    """A method without reconstruction and parts."""

    def findings(self, images):
        return Findings(images - 0.5, None, {"latent": images.flatten(1).mean(dim=1)})


class Brightness(TinyModel):
    """Finds nothing in a black image."""

    def findings(self, images):
        return Findings(images, None, {"latent": images.flatten(1).mean(dim=1)})


def images(count, seed=0):
    return np.random.default_rng(seed).random((count, 1, *SIZE), np.float32)


def fitted(model=TinyModel, intensity_range=PREPARED, *, seed=0, scale=AS_THEY_ARE):
    torch.manual_seed(seed)
    return Fitted(
        graph=ExportedGraph(model(), Scorer(RECIPE)),
        intensity_range=intensity_range,
        scale=scale,
        patches=None,
        score_recipe=f"as {model.__name__}",
        metadata={},
    )


def members():
    return {"first": fitted(), "second-izi": fitted(intensity_range=SIGNED, seed=1)}


@torch.no_grad()
def say(graph, batch):
    return {name: it.numpy() for name, it in graph.outputs(torch.from_numpy(batch)).items()}


def unlimited(scores):
    return scores / (1 - np.abs(scores) / LARGEST_SCORE)


def units_of_scores(scores):
    return units_of(np.zeros((len(scores), 1, 1, 1), np.float32), scores.astype(np.float32))


@pytest.fixture(scope="module")
def normals():
    return images(at_once(SIZE) + 5, seed=1)


@pytest.fixture(scope="module")
def ensemble(normals):
    return ensemble_of(members(), normals)


@pytest.fixture(scope="module")
def file(ensemble, tmp_path_factory):
    path = tmp_path_factory.mktemp("ensemble") / "ensemble.onnx"
    onnx_file.write(path, onnx_file.to_onnx(ensemble, torch.from_numpy(images(2))), TINY_MANIFEST)
    return path


@pytest.fixture(scope="module")
def engine(file):
    return open_engine(file, device="cpu", threads=1)


def test_outputs_keep_the_contract_and_each_member_is_a_part(ensemble):
    names = ("anomaly_map", "score", "reconstruction", "score_first", "score_second-izi")
    assert output_names(ensemble, torch.from_numpy(images(2))) == names
    shapes = [it.shape for it in say(ensemble, images(3)).values()]
    assert shapes == [(3, 1, *SIZE), (3,), (3, 1, *SIZE), (3,), (3,)]


def test_a_member_sees_channels_standardised_as_in_its_fit(normals):
    scale = ChannelScale((0.25,), (0.5,))
    member, seen = fitted(Witness, SIGNED, scale=scale), images(3)
    said = say(ensemble_of({"only": member}, normals), seen)
    np.testing.assert_allclose(member.graph.model.seen, (seen * 2 - 1 - 0.25) / 0.5, atol=1e-6)
    np.testing.assert_allclose(said["reconstruction"], seen, atol=1e-6)


def test_an_ensemble_of_one_ranks_images_and_pixels_as_its_member(normals):
    member, seen = fitted(), images(20)
    alone, together = say(member.graph, seen), say(ensemble_of({"only": member}, normals), seen)
    np.testing.assert_array_equal(np.argsort(together["score"]), np.argsort(alone["score"]))
    ratio = together["anomaly_map"] / alone["anomaly_map"]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
    np.testing.assert_allclose(together["reconstruction"], alone["reconstruction"], atol=1e-6)


def test_each_members_scores_of_normals_have_median_0_and_one_sigma_of_1(ensemble, normals):
    said = say(ensemble, normals)
    for name in ("score_first", "score_second-izi"):
        low, middle, high = np.quantile(unlimited(said[name]), (0.1587, 0.5, 0.8413))
        assert middle == pytest.approx(0, abs=1e-4)
        assert (high - low) / 2 == pytest.approx(1, abs=1e-4)


def test_one_pixel_in_a_hundred_of_a_normal_image_lies_above_1(normals):
    said = say(ensemble_of({"only": fitted()}, normals), normals)
    above = (said["anomaly_map"] > 1).mean(axis=(1, 2, 3))
    assert np.median(above) == pytest.approx(0.01, abs=1 / 32**2)


def test_score_and_map_are_the_means_of_the_members(ensemble, normals):
    seen = images(4)
    said = say(ensemble, seen)
    singles = [say(ensemble_of({name: it}, normals), seen) for name, it in members().items()]
    for name in ("score", "anomaly_map", "reconstruction"):
        mean = np.mean([it[name] for it in singles], axis=0)
        np.testing.assert_allclose(said[name], mean, atol=1e-5)


def test_normally_distributed_scores_are_measured_by_mean_and_standard_deviation():
    found = units_of_scores(np.random.default_rng(0).normal(7, 3, 100_000))
    assert found.score_middle == pytest.approx(7, rel=0.01)
    assert found.score_spread == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_odd_normals_among_twenty_do_not_silence_a_member(odd):
    scores = np.random.default_rng(0).normal(0, 1, 20)
    clean = units_of_scores(scores)
    scores[:odd] = 1000
    found = units_of_scores(scores)
    assert found.score_spread < 2 * clean.score_spread
    assert abs(found.score_middle) < 1


def test_one_odd_normal_does_not_change_the_unit_of_maps():
    maps = images(20)
    clean = units_of(maps, np.arange(20.0, dtype=np.float32))
    maps[0] *= 1000
    found = units_of(maps, np.arange(20.0, dtype=np.float32))
    assert found.map_unit == pytest.approx(clean.map_unit, rel=0.01)


def test_a_member_that_says_the_same_of_every_normal_still_has_finite_units():
    found = units_of(np.zeros((20, 1, *SIZE), np.float32), np.full(20, 3, np.float32))
    assert (found.score_middle, found.score_spread, found.map_unit) == (3, 1, 1)


def test_each_member_gets_the_range_it_was_fitted_on(normals):
    ranges = {"prepared": PREPARED, "signed": SIGNED}
    witnesses = {name: fitted(Witness, it) for name, it in ranges.items()}
    said = say(ensemble_of(witnesses, normals), normals[:3])
    for name, (low, high) in ranges.items():
        expected = normals[:3] * (high - low) + low
        np.testing.assert_allclose(witnesses[name].graph.model.seen, expected, atol=1e-6)
    np.testing.assert_allclose(said["reconstruction"], normals[:3], atol=1e-6)


def test_the_self_test_counts_from_where_no_member_finds_anything(normals):
    ensemble = ensemble_of({"first": fitted(Brightness), "second": fitted(Brightness)}, normals)
    (score,) = say(ensemble, np.zeros_like(images(1)))["score"]
    assert ensemble.score_zero < -1
    assert ensemble.score_zero == pytest.approx(unlimited(score), rel=1e-3)


def test_no_member_outvotes_the_others_however_far_from_its_normals(normals):
    ensemble = ensemble_of({"bright": fitted(Brightness), "other": fitted()}, normals)
    far, farther = (say(ensemble, images(1) * factor) for factor in (10, 100))
    assert 1 < far["score_bright"] < farther["score_bright"] < LARGEST_SCORE


def test_reconstructions_are_of_the_members_that_have_one(normals):
    seen = images(2)
    mixed = say(ensemble_of({"bare": fitted(Bare), "witness": fitted(Witness)}, normals), seen)
    np.testing.assert_allclose(mixed["reconstruction"], seen, atol=1e-6)
    assert "reconstruction" not in say(ensemble_of({"bare": fitted(Bare)}, normals), seen)


def test_an_image_is_scored_the_same_whatever_its_neighbours(ensemble):
    seen = images(5)
    alone = say(ensemble, seen[:1])
    together = say(ensemble, seen)
    other = say(ensemble, np.concatenate([seen[:1], images(4, seed=9) * 5]))
    for name, it in alone.items():
        np.testing.assert_allclose(together[name][:1], it, atol=1e-5)
        np.testing.assert_allclose(other[name][:1], it, atol=1e-5)


@pytest.mark.parametrize("count", [1, 7])
def test_the_file_says_what_torch_says(ensemble, engine, count):
    found = measure(ensemble, engine, images(count), measured_on="noise")
    assert found.images == count
    assert set(engine.run(images(count)).score_parts) == {"first", "second-izi"}


def test_weights_of_all_members_are_in_the_one_file(file):
    assert [it.name for it in file.parent.iterdir()] == ["ensemble.onnx"]
    weights = onnx.load(file, load_external_data=False).graph.initializer
    assert all(it.data_location == onnx.TensorProto.DEFAULT for it in weights)
    values = {tuple(onnx.numpy_helper.to_array(it).ravel()) for it in weights}
    for member in members().values():
        assert tuple(member.graph.model.up.weight.detach().numpy().ravel()) in values


def test_an_ensemble_in_words_says_every_members_recipe():
    first, *lines = score_in_words(members()).splitlines()
    assert "mean of the members' scores" in first
    assert lines == ["first: as TinyModel", "second-izi: as TinyModel"]


def test_without_normals_members_cannot_be_compared():
    with pytest.raises(CalibrationError, match="no validation image is normal"):
        ensemble_of(members(), images(0))
