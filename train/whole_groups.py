"""Whole groups dealt to train, validation and test: so many to each, or one at a time to the test.

For patients with many images each, where a study says how many of them do what; and where there are
so few of them, all ill, that each must be tested by a model that the others have trained.
"""

import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass

from infer.errors import UadError
from train.datasets.case import Split


class BadSplitError(UadError):
    """Numbers of groups that the data cannot give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounts:
    """How many groups, patients for instance, each split gets; 0 where a scheme does not ask."""

    train: int
    validation: int
    test: int

    def __post_init__(self) -> None:
        if min(self.train, self.validation, self.test) < 0:
            raise ValueError(f"groups cannot be fewer than 0, got {asdict(self)}")


def by_number(groups: Collection[str], counts: GroupCounts, seed: int) -> dict[str, Split]:
    """So many groups to each side, in the order of a hash of their names.

    Raises:
        BadSplitError: the numbers do not add up to the groups there are.
    """
    wanted = counts.train + counts.validation + counts.test
    if wanted != len(groups):
        raise BadSplitError(
            f"split.groups divides {wanted} groups "
            f"({counts.train} + {counts.validation} + {counts.test}), but the data has "
            f"{len(groups)} to divide",
            hint="a group is a patient, or a scan of its own: give numbers that add up to them",
        )
    order = sorted(groups, key=lambda name: hash_of(seed, name))
    tested = counts.test + counts.validation
    sides: dict[str, Split] = dict.fromkeys(order, "train")
    sides |= dict.fromkeys(order[:tested], "validation")
    return sides | dict.fromkeys(order[: counts.test], "test")


def leave_one_out(groups: Collection[str], counts: GroupCounts, fold: int) -> dict[str, Split]:
    """The group at place `fold` of all names in order is tested, the next ones validate.

    Raises:
        BadSplitError: there is no such group, or none is left to train.
    """
    order = sorted(groups)
    if fold >= len(order):
        raise BadSplitError(
            f"split.fold is {fold}, but the data has {len(order)} groups",
            hint=f"with scheme leave_one_out it is the group to test: 0 to {len(order) - 1}",
        )
    if counts.validation + 1 >= len(order):
        raise BadSplitError(
            f"with {counts.validation} of {len(order)} groups for validation and one for the "
            "test, none is left to train",
            hint="lower split.groups.validation, or choose another split.scheme",
        )
    turned = order[fold:] + order[:fold]
    sides: dict[str, Split] = dict.fromkeys(turned, "train")
    sides |= dict.fromkeys(turned[: 1 + counts.validation], "validation")
    return sides | {turned[0]: "test"}


def hash_of(seed: int, group: str) -> str:
    """An order of groups that neither the order nor the number of files can change."""
    return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()
