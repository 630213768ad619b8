"""Every block of a params file, checked before anything long runs."""

from difflib import get_close_matches

from export.calibration import ExportConfig
from export.figures import CompareConfig
from export.membership import ensembles, refuse_patches, refuse_unusable_name
from export.where_config import WhereConfig
from train.augment import AugmentConfig
from train.bounds import refuse_reversed
from train.data import DataConfig
from train.datasets.catalog import dataset
from train.metrics import Bootstrap
from train.params import BadParamsError, Params, build, suggest
from train.patchwise import patches_of
from train.protocol import CrossvalConfig, SplitConfig
from train.recipes import RECIPES, find
from train.scores import ScoreRecipe
from train.spatial_dims import refuse_other_dims

# What the rows of a cross validation may differ in: not who is tested, nor how it is measured.
ABLATED_BLOCKS = ("data", "augment", "fit", "patches", "scores", "export")


def check(params: Params) -> None:
    """Build every config once.

    Raises:
        BadParamsError: a key is unknown or missing, a value of the wrong kind or out of range.
        UnknownChoiceError: there is no such dataset or method.
    """
    _check_numbers(params)
    split = params.block(SplitConfig, "split")
    for method in params.methods:
        if method not in params.names("fit"):
            raise BadParamsError(
                f"{params.path}: methods names {method!r}, but there is no block fit.{method}",
                hint=f"there are {', '.join(params.names('fit'))}",
            )
        if find(method).supervised and split.abnormals == "halves":
            raise BadParamsError(
                f"{params.path}: {method} learns from labels, but no abnormal image will train",
                hint="give it a study of its own, with `abnormals: folds` in its block split",
            )
    _check_variants(params)
    for method in params.models:
        refuse_other_dims(params, method)
    _check_patches(params)
    ensembles(params)
    params.block(Bootstrap, "evaluate")
    params.block(WhereConfig, "where")
    params.block(CompareConfig, "compare")
    check_crossval(params)


def _check_numbers(params: Params) -> None:
    """Build what an ablation may change."""
    data = params.block(DataConfig, "data")
    # Not as a block of ours: `of` there is a number of the dataset's own.
    build(dataset(data.dataset).options, data.options, where=f"{params.path}: data.options")
    params.block(AugmentConfig, "augment")
    for method in params.names("fit"):
        numbers = find(method).config
        _refuse_a_variant_of_another(params, method)
        config = params.block(numbers, "fit", method)
        refuse_reversed(config, where=f"{params.path}: fit.{method}")
    if not params.blocks(ScoreRecipe, "scores"):
        raise BadParamsError(f"{params.path}: scores is empty", hint="name at least one recipe")
    for name in params.names("scores"):
        refuse_unusable_name(params, "scores", name)
    params.block(ExportConfig, "export")


def _refuse_a_variant_of_another(params: Params, method: str) -> None:
    """A variant is fitted as the method is that its name begins with.

    Raises:
        BadParamsError: its block is of no method, of another one or of a variant, or its name
            belongs to none, or nearly to another one.
    """
    of = params.of("fit", method)
    refuse_unusable_name(params, "fit", method)
    if method not in RECIPES and not of:
        raise BadParamsError(
            f"{params.path}: fit.{method} lacks `of`",
            hint="it is no method but a variant: name the method whose numbers it changes",
        )
    if of and not method.startswith(f"{of}-"):
        raise BadParamsError(
            f"{params.path}: fit.{method} is of {of}, but not called as a variant of it",
            hint=f"call it {of}-…, here and wherever it is named",
        )
    if of and params.of("fit", of):
        raise BadParamsError(
            f"{params.path}: fit.{method} is of {of}, which is a variant itself",
            hint=f"let it be of {params.of('fit', of)}, with all numbers that differ from it",
        )
    # Not fitted as something else than was meant, since a letter is wrong. Of the endings: names
    # of one method are alike anyway.
    endings = [it.removeprefix(f"{of}-") for it in RECIPES if it.startswith(f"{of}-")]
    meant = get_close_matches(method.removeprefix(f"{of}-"), endings, n=1)
    if method not in RECIPES and meant:
        raise BadParamsError(
            f"{params.path}: fit.{method} is called nearly as {of}-{meant[0]} is, which is fitted "
            "in a way of its own",
            hint=f"write {of}-{meant[0]}, or take a name that nobody confuses with it",
        )


def check_crossval(params: Params) -> None:
    """Refuse what would fail hours later.

    Raises:
        BadParamsError: cross validation names a method or recipe that has no numbers.
    """
    config = params.block(CrossvalConfig, "crossval")
    for method in config.methods:
        if method not in params.names("fit"):
            raise BadParamsError(
                f"{params.path}: crossval names {method!r}, but there is no block fit.{method}",
                hint=suggest(method, params.names("fit")),
            )
    for method, score in config.blind_scores.items():
        if score not in params.names("scores"):
            raise BadParamsError(
                f"{params.path}: crossval.blind_scores.{method} is {score!r}, not one of scores",
                hint=suggest(score, params.names("scores")),
            )
        if params.block(ScoreRecipe, "scores", score).compares and patches_of(params, method):
            raise BadParamsError(
                f"{params.path}: crossval.blind_scores.{method} is {score!r}, which compares with "
                "healthy images, but the method takes patches, which may lie anywhere",
                hint="name a recipe with `standardised: false` and `typicality: none`",
            )
    for name, members in config.ensembles.items():
        refuse_patches(params, f"crossval.ensembles.{name}", members)
    for name, blocks in config.ablations.items():
        refuse_unusable_name(params, "crossval.ablations", name)
        for block in blocks:
            if block in params.values and block not in ABLATED_BLOCKS:
                raise BadParamsError(
                    f"{params.path}: crossval.ablations.{name} changes {block}, which all rows of "
                    "a table have in common",
                    hint=f"an ablation may change {', '.join(ABLATED_BLOCKS)}",
                )
        _check_numbers(params.with_blocks(blocks, where=f"crossval.ablations.{name}"))


def _check_patches(params: Params) -> None:
    """Refuse patches of methods that there are not, or that nothing could score.

    Raises:
        BadParamsError: the block `patches` does not agree with the others.
    """
    for method in params.names("patches"):
        if method not in params.names("fit"):
            raise BadParamsError(
                f"{params.path}: patches names {method!r}, but there is no block fit.{method}",
                hint=suggest(method, params.names("fit")),
            )
        if of := params.of("fit", method):
            raise BadParamsError(
                f"{params.path}: patches names {method!r}, which is a variant of {of} and takes "
                "the same patches",
                hint=f"name {of} instead",
            )
        patches_of(params, method)
        if all(it.standardised for it in params.blocks(ScoreRecipe, "scores").values()):
            raise BadParamsError(
                f"{params.path}: patches names {method!r}, but every recipe of scores "
                "standardises by pixel, and patches may lie anywhere",
                hint="add a recipe with `standardised: false`",
            )
    for variant in params.variants:
        patches_of(params, variant)


def _check_variants(params: Params) -> None:
    """Refuse what DVC could not run, or would run in the wrong order.

    Raises:
        BadParamsError: variants and blocks disagree, or a variant's method is not fitted.
    """
    for method in params.methods:
        if of := params.of("fit", method):
            raise BadParamsError(
                f"{params.path}: methods names {method!r}, which is a variant of {of}",
                hint=f"write it under variants, as {method}: {of}",
            )
    for variant, method in params.variants.items():
        if variant not in params.names("fit"):
            raise BadParamsError(
                f"{params.path}: variants names {variant!r}, but there is no block fit.{variant}",
                hint=suggest(variant, params.names("fit")),
            )
        if (of := params.of("fit", variant)) != method:
            raise BadParamsError(
                f"{params.path}: variants.{variant} is {method}, but fit.{variant} is of "
                f"{of or 'no method'}",
                hint="both must name the same method",
            )
        if method not in params.methods:
            raise BadParamsError(
                f"{params.path}: variants names {variant!r}, but methods lacks {method}",
                hint=f"add {method} to methods: it is fitted first",
            )
