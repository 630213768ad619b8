"""Tests of one group each, made by hand."""

from export.rotation import GroupTest

GROUPS = ("anna", "ben")


def group_test(name, fold, dice, *, trivial=False, **metrics):
    return GroupTest(
        name=name,
        trivial=trivial,
        fold=fold,
        group=GROUPS[fold],
        fingerprint="f",
        fit_seconds=None if trivial else 12.0,
        metrics={"dice": dice, **metrics},
        provenance={"git_commit": "c"},
    )


def both_of(model, threshold):
    """Dice of a model, and of a threshold on intensity, by fold."""
    return [
        *(group_test("vae", fold, dice) for fold, dice in enumerate(model)),
        *(
            group_test("intensity_threshold", fold, dice, trivial=True)
            for fold, dice in enumerate(threshold)
        ),
    ]
