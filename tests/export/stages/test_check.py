from pathlib import Path

import pytest

from export.params_check import check
from train.command import run_stage

TEXT = (Path(__file__).parents[3] / "params.yaml").read_text()


def check_text(folder, text):
    path = folder / "params.yaml"
    path.write_text(text)
    return run_stage(check, [str(path)])


def test_the_default_study_is_in_order(tmp_path):
    assert check_text(tmp_path, TEXT) == 0


STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*/params.yaml"))


@pytest.mark.parametrize("study", STUDIES, ids=[it.parent.name for it in STUDIES])
def test_every_study_of_the_repository_is_in_order(study, capsys):
    assert run_stage(check, [str(study)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("resamples:", "resample:"),
        ("gallery:", "galery:"),
        ("map_false_positive_rate:", "map_false_positive_rates:"),
        ("normal_folds:", "normal_fold:"),
        ("rotation_degrees:", "rotation_degree:"),
        ("latent:", "latents:"),
        ("polarity:", "polarities:"),
        ("top_share: 0.05", "top_shares: 0.05"),
    ],
)
def test_a_misspelt_key_of_any_block_is_refused_with_a_suggestion(tmp_path, capsys, right, wrong):
    assert right in TEXT
    assert check_text(tmp_path, TEXT.replace(right, wrong, 1)) == 2
    said = capsys.readouterr().err
    assert wrong.split(":")[0] in said
    assert f"did you mean {right.split(':')[0]}?" in said


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (
            "pose_probability: 1.0",
            "pose_probability: 50",
            "augment: Expected `float` <= 1.0 - at `pose_probability`",
        ),
        (
            "flip_probability: 0.5",
            "flip_probability: -1",
            "augment: Expected `float` >= 0.0 - at `flip_probability`",
        ),
        (
            "rotation_degrees: 5.0",
            "rotation_degrees: -5.0",
            "Expected `float` >= 0.0 - at `rotation_degrees`",
        ),
        ("hue: 0.0", "hue: 0.7", "Expected `float` <= 0.5 - at `hue`"),
        ("scale: [0.95, 1.05]", "scale: [1.05, 0.95]", "scale must be a range above 0"),
        ("learning_rate: 1.0e-3", "learning_rate: -1.0", "Expected `float` > 0.0 - at"),
        ("batch_size: 32", "batch_size: 0", "Expected `int` >= 1 - at `batch_size`"),
        ("intensity_range: [0.0, 1.0]", "intensity_range: [1.0, 0.0]", "black before white"),
        ("dropout: 0.0", "dropout: 1.0", "Expected `float` < 1.0 - at `dropout`"),
        ("rotation_degrees: 5.0", "rotation_degrees: .inf", "augment.rotation_degrees is inf"),
        ("intensity_range: [0.0, 1.0]", "intensity_range: [.nan, 1.0]", "intensity_range is nan"),
        ("seed: 0", "seed: -1", "Expected `int` >= 0 - at `seed`"),
        ("seed: 0", "seed: 5000000000", "Expected `int` <= 4294967295 - at `seed`"),
        ("gan_betas: [0.0, 0.9]", "gan_betas: [-1.0, 0.9]", "Expected `float` >= 0.0 - at"),
        ("features: [16, 32, 64, 256]", "features: [16, 0]", "Expected `int` >= 1 - at `features"),
        ("features: [16, 32, 64, 256]", "features: []", "length >= 1 - at `features"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(tmp_path, capsys, right, wrong, says):
    assert right in TEXT
    assert check_text(tmp_path, TEXT.replace(right, wrong, 1)) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ablation", "says"),
    [
        ("{augmnt: {rotation_degrees: 0.0}}", "did you mean augment?"),
        ("{fit: {ca: {latent: 2}}}", "did you mean cae?"),
        ("{augment: {rotation_degree: 0.0}}", "did you mean rotation_degrees?"),
        ("{fit: {cae: {epochs: 0}}}", "fit.cae: Expected `int` >= 1 - at `epochs`"),
    ],
)
def test_an_ablation_that_would_change_nothing_or_fail_is_refused(tmp_path, capsys, ablation, says):
    text = TEXT.replace("    no_affine:\n", f"    typo: {ablation}\n    no_affine:\n", 1)
    assert text != TEXT
    assert check_text(tmp_path, text) == 2
    assert says in capsys.readouterr().err


def test_a_method_without_numbers_is_refused(tmp_path, capsys):
    assert check_text(tmp_path, TEXT.replace("  - cae", "  - gpt", 1)) == 2
    assert "there is no block fit.gpt" in capsys.readouterr().err


def test_a_member_of_an_ensemble_that_is_not_fitted_is_refused(tmp_path, capsys):
    both = "ensembles: {both: {members: [cae, fanogen]}}"
    assert check_text(tmp_path, TEXT.replace("ensembles: {}", both)) == 2
    said = capsys.readouterr().err
    assert "ensembles.both names 'fanogen'" in said
    assert "did you mean fanogan?" in said


def test_the_variants_of_the_default_study_are_in_order_when_switched_on(tmp_path):
    on = "variants: {fanogan-izi: fanogan, fanogan-ziz: fanogan}"
    assert check_text(tmp_path, TEXT.replace("variants: {}", on)) == 0


def with_variant(block: str) -> str:
    """The default study with one more block under `fit`, and it among the variants of cae."""
    listed = TEXT.replace("variants: {}", "variants: {cae-wide: cae}", 1)
    return listed.replace("\nfit:\n", f"\nfit:\n  {block}\n", 1)


def test_a_variant_that_could_not_take_the_patches_of_its_method_is_refused(tmp_path, capsys):
    text = TEXT.replace("variants: {}", "variants: {fpi-neighbours: fpi}", 1)
    text = text.replace("methods:\n  - cae\n", "methods:\n  - cae\n  - fpi\n", 1)
    assert check_text(tmp_path, text) == 0
    cut = "patches: {fpi: {size: [16, 16], stride: [16, 16], top_share: 0.5}}"
    assert check_text(tmp_path, text.replace("patches: {}", cut, 1)) == 2
    assert "fpi-neighbours asks what is usual at each place" in capsys.readouterr().err


def test_a_study_of_volumes_may_hold_numbers_of_variants_that_look_at_slices(tmp_path):
    text = TEXT.replace("image_size: [32, 32] ", "image_size: [32, 32, 32] ", 1)
    text = text.replace("methods:\n  - cae\n  - fanogan\n", "methods: [fpi]\n", 1)
    before, own, after = text.partition("\n  fpi:\n")
    text = before + own + after.replace("spatial_dims: 2", "spatial_dims: 3", 1)
    assert check_text(tmp_path, text) == 0


@pytest.mark.parametrize(
    "block",
    [
        "cae-wide: {of: cae, width: 32}",
        "fanogan-wide: {of: fanogan, width: 32}",  # no nearer to fanogan-izi than to fanogan
        "fpi-plain: {of: fpi, atlas: false}",
        "dagmm-small: {of: dagmm, width: 8}",
    ],
)
def test_a_variant_that_differs_in_numbers_alone_needs_its_block_only(tmp_path, block):
    name, of = block.split(":")[0], block.split("of: ")[1].split(",")[0]
    text = TEXT.replace("variants: {}", f"variants: {{{name}: {of}}}", 1)
    text = text.replace("methods:\n  - cae\n  - fanogan\n", f"methods: [{of}]\n", 1)
    assert check_text(tmp_path, text.replace("\nfit:\n", f"\nfit:\n  {block}\n", 1)) == 0


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("cae-wide: {width: 32}", "fit.cae-wide lacks `of`"),
        ("cae-wide: {of: vae}", "fit.cae-wide is of vae, but not called as a variant of it"),
        ("cae-wide: {of: cae, wdth: 32}", "fit.cae-wide.wdth is unknown"),
        ("wide-cae: {of: cae, width: 32}", "method 'wide-cae' is unknown"),
        ("cae-: {of: cae}", "method 'cae-' is unknown"),
        ("cae-../wide: {of: cae}", "fit has 'cae-../wide', after which no file"),
        ("fanogan-izi-2: {of: fanogan-izi}", "fanogan-izi, which is a variant itself"),
        ("fanogan-izzi: {of: fanogan}", "is called nearly as fanogan-izi is"),
        ("dagmm-untraind: {of: dagmm}", "is called nearly as dagmm-untrained is"),
    ],
)
def test_a_variant_that_is_not_called_after_its_method_is_refused(tmp_path, capsys, block, says):
    assert check_text(tmp_path, with_variant(block)) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("  top_1_percent:", "  top_1%:", "scores has 'top_1%'"),
        ("    no_affine:", "    latent=64:", "crossval.ablations has 'latent=64'"),
    ],
)
def test_what_mlflow_could_not_name_is_refused_before_anything_is_fitted(
    tmp_path, capsys, right, wrong, says
):
    assert right in TEXT
    assert check_text(tmp_path, TEXT.replace(right, wrong)) == 2
    assert f"{says}, after which no file and no metric can be called" in capsys.readouterr().err


def test_an_ablation_of_what_rows_have_in_common_is_refused(tmp_path, capsys):
    right = "    no_affine:\n      augment: {"
    assert right in TEXT
    text = TEXT.replace(right, "    no_affine:\n      split: {seed: 2}\n      augment: {")
    assert check_text(tmp_path, text) == 2
    assert "crossval.ablations.no_affine changes split, which all rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("methods", "variants", "says"),
    [
        ("[cae]", "{fanogan-izi: fanogan}", "methods lacks fanogan"),
        ("[cae, fanogan]", "{fanogan-izi: cae}", "but fit.fanogan-izi is of fanogan"),
        ("[cae, fanogan]", "{cae: fanogan}", "but fit.cae is of no method"),
        ("[cae, fanogan]", "{fanogan-zzi: fanogan}", "there is no block fit.fanogan-zzi"),
        ("[cae, fanogan-izi]", "{}", "which is a variant of fanogan"),
    ],
)
def test_a_variant_that_could_not_be_fitted_is_refused(tmp_path, capsys, methods, variants, says):
    text = TEXT.replace("methods:\n  - cae\n  - fanogan\n", f"methods: {methods}\n", 1)
    assert check_text(tmp_path, text.replace("variants: {}", f"variants: {variants}", 1)) == 2
    assert says in capsys.readouterr().err


def test_a_method_that_learns_from_labels_is_refused_where_no_abnormal_image_trains(
    tmp_path, capsys
):
    text = TEXT.replace("  - cae", "  - densenet", 1)
    assert check_text(tmp_path, text) == 2
    assert "learns from labels" in capsys.readouterr().err
    assert check_text(tmp_path, text.replace("abnormals: halves", "abnormals: folds", 1)) == 0


def test_a_study_of_volumes_takes_methods_that_look_at_volumes(tmp_path, capsys):
    volumes = TEXT.replace("image_size: [32, 32] ", "image_size: [32, 32, 32] ", 1)
    assert check_text(tmp_path, volumes) == 2
    assert "is of whole volumes, but fit.cae.spatial_dims is 2" in capsys.readouterr().err
    of_methods, of_variant, rest = volumes.partition("\n  fpi-neighbours:")
    both = of_methods.replace("spatial_dims: 2", "spatial_dims: 3") + of_variant + rest
    assert check_text(tmp_path, both) == 2
    said = capsys.readouterr().err
    assert "is of whole volumes, and fanogan looks at slices only" in said
    assert "cae, vae" in said
    assert check_text(tmp_path, both.replace("  - fanogan\n", "", 1)) == 0


def test_a_method_of_volumes_is_refused_for_a_study_of_slices(tmp_path, capsys):
    assert check_text(tmp_path, TEXT.replace("spatial_dims: 2", "spatial_dims: 3", 1)) == 2
    assert "is of slices, but fit.cae.spatial_dims is 3" in capsys.readouterr().err


def test_patches_have_as_many_sides_as_the_images(tmp_path, capsys):
    cubes = "patches: {cae: {size: [32, 32, 32], stride: [16, 16, 16], top_share: 0.1}}"
    assert check_text(tmp_path, TEXT.replace("patches: {}", cubes)) == 2
    assert "do not fit into images of [32, 32]" in capsys.readouterr().err
