from dataclasses import replace

import pytest
import torch

from export.graph import ExportedGraph, in_words, output_names
from tests.export.tiny_graph import RECIPE, TinyModel, tiny_graph
from train.methods.method import Findings
from train.scores import Scorer, ScoreRecipe

IMAGES = torch.rand(3, 1, 32, 32, generator=torch.manual_seed(1))


class Evidence(TinyModel):
    """A method without a reconstruction."""

    def findings(self, images):
        return Findings(images, None, {})


def test_outputs_come_in_the_order_of_the_contract():
    graph = tiny_graph()
    assert output_names(graph, IMAGES) == (
        "anomaly_map",
        "score",
        "reconstruction",
        "score_latent",
    )
    shapes = [tuple(output.shape) for output in graph(IMAGES)]
    assert shapes == [(3, 1, 32, 32), (3,), (3, 1, 32, 32), (3,)]


def test_a_method_without_reconstruction_has_no_such_output():
    bare = ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=False,
        smoothing_px=1,
        power=1,
        top_share=1.0,
        parts={},
        typicality="none",
    )
    graph = ExportedGraph(Evidence(), Scorer(bare))
    assert output_names(graph, IMAGES) == ("anomaly_map", "score")
    assert len(graph(IMAGES)) == 2


class Telling(Evidence):
    """A method that tells odds."""

    def evidence_at(self, odds):
        return 10 * odds


PLAIN = ScoreRecipe(
    polarity="bright",
    denoising_px=3,
    standardised=False,
    smoothing_px=3,
    power=1,
    top_share=1.0,
    parts={},
    typicality="none",
)
USUAL = {"mean": torch.zeros(1, 32, 32), "spread": torch.ones(1, 32, 32)}


@pytest.mark.parametrize(
    ("model", "changes", "expected"),
    [
        (Telling(), {}, 20.0),
        (Telling(), {"polarity": "absolute", "smoothing_px": 1}, 20.0),
        (Telling(), {"polarity": "dark"}, None),  # of odds nothing is below 0
        (Telling(), {"standardised": True}, None),  # no odds any more
        (Evidence(), {}, None),
    ],
)
def test_a_map_tells_odds_where_it_is_the_evidence_of_a_method_that_does(model, changes, expected):
    graph = ExportedGraph(model, Scorer(replace(PLAIN, **changes), USUAL))
    assert graph.map_at_odds(2.0) == expected


def test_a_graph_around_a_model_in_training_mode_evaluates():
    graph = ExportedGraph(TinyModel().train(), Scorer(RECIPE))
    alone = graph(IMAGES[:1])[1]
    torch.testing.assert_close(graph(IMAGES)[1][:1], alone)  # batch norm looks at no neighbours


@pytest.mark.parametrize(
    ("typicality", "words"),
    [
        ("score", "distance of (mean of map^2 over all) from that of healthy training images"),
        ("code", "Mahalanobis distance of the image's code"),
    ],
)
def test_a_recipe_in_words_says_that_it_looks_on_either_side(typicality, words):
    share = {"score": 1.0, "code": 0.0}[typicality]
    recipe = replace(RECIPE, parts={}, top_share=share, typicality=typicality)
    assert words in in_words("mine", recipe)


def test_a_recipe_in_words_says_each_of_its_numbers():
    words = in_words("mine", RECIPE)
    assert words == (
        "mine: map = |evidence| averaged over 3 px; "
        "score = mean of map^2 over the highest 0.1 of the pixels (at least one) + 0.5 · latent"
    )


def test_a_recipe_of_parts_alone_says_so_in_words():
    words = in_words("energy", replace(RECIPE, top_share=0.0, parts={"energy": 1.0}))
    assert words == "energy: map = |evidence| averaged over 3 px; score = 1 · energy"
