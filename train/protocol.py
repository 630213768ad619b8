"""Divide cases into train, validation and test: the 2×5 protocol of the head-CT study, and others.

`scheme: folds`, the study's. Normal groups are dealt into `normal_folds` folds: one is the test's,
the next the validation's, the rest train. Groups with abnormal cases are dealt into two halves: one
the test's, one the validation's, and none trains. All `normal_folds` × 2 choices of `fold` and
`half` together test every case.

A method that learns from labels needs abnormal images to train on: where `abnormals` says `folds`,
abnormal groups are dealt as the normal ones are, and five folds give 60 % of both to train, 20 % to
validation and 20 % to test; `half` then says nothing.

A group is never divided. One that holds both normal and abnormal cases counts as abnormal: its
normal cases go with it, and in the 2×5 protocol are never trained on.

`scheme: groups`. `groups` says how many groups train, validate and test. Where `abnormals` says
`folds`, groups of both kinds are dealt together; where it says `halves`, `groups` counts the normal
ones, and abnormal ones are dealt into halves as above.

`scheme: leave_one_out`. Group number `fold`, in the order of their names, is tested, the next
`groups.validation` validate, the others train. Whether their scans are normal does not matter: for
volumes that hold lesions and normal slices, of which only the latter train. It asks for
`abnormals: folds`.

`scheme: given`. The dataset itself says it, as MOOD does.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from train.bounds import Seed, refuse_repeats
from train.data import SplitCase
from train.datasets.case import BadDatasetError, Case, Split
from train.whole_groups import GroupCounts, by_number, hash_of, leave_one_out

Scheme = Literal["folds", "groups", "leave_one_out", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which of the divisions: the block `split`. Numbers a scheme does not ask for are not used."""

    seed: Seed
    scheme: Scheme
    normal_folds: int
    fold: int  # the test's; of leave_one_out: which group
    groups: GroupCounts  # of groups and leave_one_out
    abnormals: Literal["halves", "folds"]  # halves: none trains; folds: as the normals
    half: int  # the test's, where abnormals are in halves

    def __post_init__(self) -> None:
        if self.normal_folds < 3:
            raise ValueError(
                f"normal_folds must be at least 3 (train, validation, test), "
                f"got {self.normal_folds}"
            )
        if self.fold < 0:
            raise ValueError(f"fold must be at least 0, got {self.fold}")
        if self.scheme == "folds" and self.fold >= self.normal_folds:
            raise ValueError(f"fold must be 0 to {self.normal_folds - 1}, got {self.fold}")
        if self.scheme == "leave_one_out" and (
            self.abnormals == "halves" or self.groups.validation < 1
        ):
            raise ValueError(
                "scheme leave_one_out needs `abnormals: folds` and at least one of "
                "groups.validation: whoever is not tested or validates trains"
            )
        if self.half not in (0, 1):
            raise ValueError(f"half must be 0 or 1, got {self.half}")


def divide(cases: Sequence[Case], config: SplitConfig) -> list[SplitCase]:
    """Every case with its split, sorted by scan; depends on seed and cases, not on their order."""
    side = _given(cases) if config.scheme == "given" else _dealt(cases, config)
    ordered = sorted(cases, key=lambda case: case.scan.as_posix())
    return [SplitCase(case=case, split=side[case.group]) for case in ordered]


def _given(cases: Sequence[Case]) -> dict[str, Split]:
    """As the dataset says.

    Raises:
        BadDatasetError: it does not, or it divides a group.
    """
    side: dict[str, Split] = {}
    for case in cases:
        if case.split is None:
            raise BadDatasetError(
                f"the dataset does not say on which side {case.scan} is",
                hint="choose another split.scheme: folds, groups or leave_one_out",
            )
        if side.setdefault(case.group, case.split) != case.split:
            raise BadDatasetError(
                f"the dataset divides group {case.group} between {side[case.group]} and "
                f"{case.split}",
                hint="what is learned of a patient in training would be tested on him",
            )
    return side


def _dealt(cases: Sequence[Case], config: SplitConfig) -> dict[str, Split]:
    """Each group's side, by the scheme."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.group].append(case)
    if config.scheme == "leave_one_out":
        return leave_one_out(groups, config.groups, config.fold)
    if config.scheme == "groups" and config.abnormals == "folds":
        return by_number(groups, config.groups, config.seed)
    abnormal = {
        name: sum(not case.normal for case in members)
        for name, members in groups.items()
        if not all(case.normal for case in members)
    }
    normal = {name: len(members) for name, members in groups.items() if name not in abnormal}
    if config.scheme == "groups":
        normal_sides = by_number(normal, config.groups, config.seed)
        return {**normal_sides, **_sides_by_half(abnormal, config)}
    abnormal_sides = _sides_by_half if config.abnormals == "halves" else _sides_by_fold
    return {**_sides_by_fold(normal, config), **abnormal_sides(abnormal, config)}


def _sides_by_fold(sizes: Mapping[str, int], config: SplitConfig) -> dict[str, Split]:
    """One fold is tested, the next validates, the rest train."""
    sides: dict[int, Split] = {
        config.fold: "test",
        (config.fold + 1) % config.normal_folds: "validation",
    }
    fold_of = _deal(sizes, config.normal_folds, config.seed)
    return {group: sides.get(fold, "train") for group, fold in fold_of.items()}


def _sides_by_half(sizes: Mapping[str, int], config: SplitConfig) -> dict[str, Split]:
    """One half is tested, the other validates."""
    half_of = _deal(sizes, 2, config.seed)
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
    for group in sorted(sizes, key=lambda name: (-sizes[name], hash_of(seed, name))):
        hand = held.index(min(held))
        held[hand] += sizes[group]
        hand_of[group] = hand
    return hand_of


Protocol = Literal["study", "blind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossvalConfig:
    """What is cross-validated, and how each protocol chooses: the block `crossval`.

    `study` chooses checkpoint and score recipe by validation AUROC, the threshold by validation F1.
    `blind` sees no abnormal image before the test: all it has is fixed here, or is of normals.
    """

    methods: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    grouped: tuple[bool, ...]  # true: near-duplicates, or a patient's scans, stay together
    false_positive_rate: float  # blind: on validation normals, where the threshold is
    blind_checkpoint: Literal["last", "loss"]
    blind_scores: dict[str, str]  # score recipe by method
    ensembles: dict[str, tuple[str, ...]]  # methods by the ensemble's name
    beside: dict[str, str]  # supervised methods: the study that has measured each
    published: dict[str, dict[str, tuple[float, float]]]  # method → metric → (mean, std)
    ablations: dict[str, dict[str, Any]]  # blocks laid over the study's, by the ablation's name

    def __post_init__(self) -> None:
        for name in ("methods", "protocols", "grouped"):
            refuse_repeats(name, getattr(self, name))
        if not 0 <= self.false_positive_rate < 1:
            raise ValueError(
                f"false_positive_rate must be 0 to below 1, got {self.false_positive_rate}"
            )
        if missing := [it for it in self.methods if it not in self.blind_scores]:
            raise ValueError(f"blind_scores lacks {', '.join(missing)}")
        for name, members in self.ensembles.items():
            refuse_repeats(f"ensembles.{name}", members)
            if strange := [it for it in members if it not in self.methods]:
                raise ValueError(f"ensembles.{name} names {', '.join(strange)}: not of methods")

    @property
    def shows_grouped(self) -> bool:
        """Whether pages are of folds that keep groups together: only where there are no others."""
        return all(self.grouped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """What one half of the abnormals decides and what the other is tested on."""

    validation: list[Case]
    test: list[Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fit's division: both halves share what is trained on."""

    train: list[Case]
    halves: tuple[Half, Half]

    @property
    def blind(self) -> list[Case]:
        """Normal cases that validate in both halves: all that a blind choice may see."""
        second = {case.scan for case in self.halves[1].validation}
        return [it for it in self.halves[0].validation if it.normal and it.scan in second]

    @property
    def validation(self) -> list[Case]:
        """Whatever validates in either half, sorted by scan."""
        both = {it.scan: it for half in self.halves for it in half.validation}
        return [both[scan] for scan in sorted(both)]


def fold_of(cases: Sequence[Case], config: SplitConfig, fold: int) -> Fold:
    """The fold of the 2×5 protocol that tests the normals of fold `fold`."""
    both = [
        divide(cases, replace(config, scheme="folds", fold=fold, half=half, abnormals="halves"))
        for half in (0, 1)
    ]
    first, second = (
        Half(
            validation=[it.case for it in divided if it.split == "validation"],
            test=[it.case for it in divided if it.split == "test"],
        )
        for divided in both
    )
    return Fold(
        train=[it.case for it in both[0] if it.split == "train"],
        halves=(first, second),
    )


def ungrouped(cases: Sequence[Case]) -> list[Case]:
    """As the study was published: every scan a group of its own."""
    return [replace(case, group=case.scan.as_posix()) for case in cases]
