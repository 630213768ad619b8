"""Divide cases into train, validation and test: the 2×5 protocol of the head-CT study.

Normal groups are dealt into `normal_folds` folds: one is the test's, the next the validation's,
the rest train. Groups with abnormal cases are dealt into two halves: one the test's, one the
validation's, and none trains. All `normal_folds` × 2 choices of `fold` and `half` together test
every case.

A group is never divided. One that holds both normal and abnormal cases counts as abnormal: its
normal cases go with it to test or validation, and are never trained on.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from train.data import Split, SplitCase
from train.datasets.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which of the divisions: the block `split`."""

    seed: int
    normal_folds: int
    fold: int  # the test's
    half: int  # the test's

    def __post_init__(self) -> None:
        if self.normal_folds < 3:
            raise ValueError(
                f"normal_folds must be at least 3 (train, validation, test), "
                f"got {self.normal_folds}"
            )
        if not 0 <= self.fold < self.normal_folds:
            raise ValueError(f"fold must be 0 to {self.normal_folds - 1}, got {self.fold}")
        if self.half not in (0, 1):
            raise ValueError(f"half must be 0 or 1, got {self.half}")


def divide(cases: Sequence[Case], config: SplitConfig) -> list[SplitCase]:
    """Every case with its split, sorted by scan; depends on seed and cases, not on their order."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.group].append(case)
    abnormal = {
        name: sum(not case.normal for case in members)
        for name, members in groups.items()
        if not all(case.normal for case in members)
    }
    normal = {name: len(members) for name, members in groups.items() if name not in abnormal}
    side = {
        **_normal_sides(_deal(normal, config.normal_folds, config.seed), config),
        **_abnormal_sides(_deal(abnormal, 2, config.seed), config),
    }
    ordered = sorted(cases, key=lambda case: case.scan.as_posix())
    return [SplitCase(case=case, split=side[case.group]) for case in ordered]


def _normal_sides(fold_of: Mapping[str, int], config: SplitConfig) -> dict[str, Split]:
    sides: dict[int, Split] = {
        config.fold: "test",
        (config.fold + 1) % config.normal_folds: "validation",
    }
    return {group: sides.get(fold, "train") for group, fold in fold_of.items()}


def _abnormal_sides(half_of: Mapping[str, int], config: SplitConfig) -> dict[str, Split]:
    return {
        group: "test" if half == config.half else "validation" for group, half in half_of.items()
    }


def _deal(sizes: Mapping[str, int], hands: int, seed: int) -> dict[str, int]:
    """Deal groups of these sizes into `hands` hands as equal in cases as groups allow.

    The largest first, each to the hand that holds least; equal ones in the order of a hash, which
    neither the order nor the number of files elsewhere can change.
    """
    held = [0] * hands
    hand_of = {}
    for group in sorted(sizes, key=lambda name: (-sizes[name], _hash(seed, name))):
        hand = held.index(min(held))
        held[hand] += sizes[group]
        hand_of[group] = hand
    return hand_of


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()
