"""What a model file says of itself."""

from dataclasses import replace

import pytest

from infer.describe import describe_model, facts
from infer.patches import Patches
from tests.infer.tiny_model import MANIFEST, save, tiny_graph


def said_of(path, **changed):
    postprocessing = replace(MANIFEST.postprocessing, **changed)
    save(path, tiny_graph(), replace(MANIFEST, postprocessing=postprocessing))
    return describe_model(path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"foreground": "stripped"}, "kept in the foreground (stripped)"),
        ({"median": "volume", "median_px": 5}, "median of cubes of 5 px"),
        ({"median": "slices"}, "median of squares of 3 px"),
        ({"gaussian": "volume", "gaussian_px": 2.5}, "Gaussian of 2.5 px along every axis"),
        ({"gaussian": "slices"}, "Gaussian of 1 px in slices"),
        (
            {"foreground": "brain", "erosion_radius_px": 2},
            "none within 2 px of the foreground's border",
        ),
        ({"prior": "bright", "prior_share": 0.3}, "kept within the brightest 30%"),
        ({"prior": "dark_ramp"}, "weighed by how far a voxel lies within the darkest 50%"),
    ],
)
def test_what_happens_to_the_map_is_said(tmp_path, changed, words):
    (line,) = [
        it for it in said_of(tmp_path / "a.onnx", **changed).splitlines() if "map before" in it
    ]
    assert words in line


@pytest.mark.parametrize("first", [True, False])
def test_a_prior_is_named_where_it_comes(tmp_path, first):
    changed = {"prior": "bright", "median": "slices", "prior_first": first}
    said = said_of(tmp_path / "a.onnx", **changed)
    assert (said.index("kept within") < said.index("median of squares")) == first


@pytest.mark.parametrize("how", ["graph", "map"])
def test_of_patches_it_says_once_what_a_slice_scores(tmp_path, how):
    patches = Patches(size=(32, 32), stride=(16, 16), top_share=0.5)
    manifest = replace(
        MANIFEST,
        image_size=(64, 64),
        patches=patches,
        aggregation=replace(MANIFEST.aggregation, slice_score=how),
    )
    lines = facts(manifest)
    assert ("slice score: mean of the highest 50.0%" in lines["in patches"]) == (how == "graph")
    assert lines["patch score" if how == "graph" else "slice score"] == manifest.score_recipe


def test_nothing_is_said_of_a_map_to_which_nothing_happens(tmp_path):
    assert "map before" not in said_of(tmp_path / "a.onnx")
