"""Who is in which ensemble: the block `ensembles`, checked against what is fitted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from train.bounds import refuse_repeats
from train.params import BadParamsError, Params, suggest

NAME = re.compile(r"\w[\w-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleConfig:
    """One ensemble."""

    members: tuple[str, ...]  # methods and variants

    def __post_init__(self) -> None:
        refuse_repeats("members", self.members)


def ensembles(params: Params) -> dict[str, EnsembleConfig]:
    """Every ensemble by its name, in the order of the file.

    Raises:
        BadParamsError: a member is not fitted, or an ensemble is called as a method is, or as no
            model may be.
    """
    found = params.blocks(EnsembleConfig, "ensembles")
    for name, ensemble in found.items():
        refuse_unusable_name(params, "ensembles", name)
        if name in params.names("fit"):
            raise BadParamsError(
                f"{params.path}: ensembles.{name} has the name of a method",
                hint="their files would overwrite each other: call it otherwise",
            )
        for member in ensemble.members:
            if member not in params.models:
                raise BadParamsError(
                    f"{params.path}: ensembles.{name} names {member!r}, which is not fitted",
                    hint=suggest(member, params.models),
                )
        refuse_patches(params, f"ensembles.{name}", ensemble.members)
    return found


def refuse_unusable_name(params: Params, where: str, name: str) -> None:
    """Files, stages, models and metrics in MLflow are called as a block of ours is.

    Raises:
        BadParamsError: one of them cannot be called so.
    """
    if not NAME.fullmatch(name):
        raise BadParamsError(
            f"{params.path}: {where} has {name!r}, after which no file and no metric can be called",
            hint="use letters, digits, - and _",
        )


def refuse_patches(params: Params, where: str, members: Sequence[str]) -> None:
    """One file cannot take whole images and patches, or patches of two sizes, at once.

    Raises:
        BadParamsError: a member takes patches.
    """
    for member in members:
        if (params.of("fit", member) or member) in params.names("patches"):
            raise BadParamsError(
                f"{params.path}: {where} names {member!r}, which takes patches: an ensemble "
                "takes whole images",
                hint="leave it out, or let it take whole images",
            )


def members_of(params: Params, ensemble: str) -> tuple[str, ...]:
    """What one ensemble is made of.

    Raises:
        BadParamsError: there is no such ensemble, or the block is not in order.
    """
    found = ensembles(params)
    if ensemble not in found:
        raise BadParamsError(
            f"{params.path} lacks ensembles.{ensemble}", hint=suggest(ensemble, list(found))
        )
    return found[ensemble].members
