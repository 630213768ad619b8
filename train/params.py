"""params.yaml → frozen dataclasses: every key known, none missing, no default applied.

The only module that reads YAML. `ruamel.yaml` and not PyYAML, which takes `1e-4` for a string.
"""

import math
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infer.errors import UadError

Config = TypeVar("Config")

BLOCKS = (
    "study",
    "root",
    "params_file",
    "methods",
    "variants",
    "data",
    "split",
    "augment",
    "fit",
    "patches",
    "ensembles",
    "scores",
    "export",
    "evaluate",
    "where",
    "compare",
    "crossval",
)


# What stands at the top level; what is not named here is a block of named values. A study names
# folders and files.
KINDS: dict[str, Any] = {
    "study": Annotated[str, msgspec.Meta(pattern=r"^\w[\w.-]*$")],
    "root": str,
    "params_file": str,
    "methods": list[str],
    "variants": dict[str, str],
}
KINDS_HINT = "where there are none, write [] or {}; a study's name has letters, digits and .-_ only"


class BadParamsError(UadError):
    """A number in params.yaml that is missing, misspelt or out of range."""


@dataclass(frozen=True, slots=True)
class Params:
    """One study's params file, top-level keys checked; blocks are built on request."""

    path: str
    values: Mapping[str, Any]

    @property
    def study(self) -> str:
        return str(self.values["study"])

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.values["methods"])

    @property
    def variants(self) -> dict[str, str]:
        """Further fits of a method's model: the method by the variant's name."""
        return dict(self.values["variants"])

    @property
    def models(self) -> tuple[str, ...]:
        """All that is fitted, exported and compared: methods, then variants."""
        return (*self.methods, *self.variants)

    def of(self, *keys: str) -> str:
        """The sibling that the block at `keys` is laid over; "" if it stands by itself."""
        return str(self._found(keys).get("of", ""))

    def block(self, config: type[Config], *keys: str) -> Config:
        """The block at `keys` as a `config`: `block(CaeConfig, "fit", "cae")`."""
        return build(config, self._at(keys), where=f"{self.path}: {'.'.join(keys)}")

    def blocks(self, config: type[Config], *keys: str) -> dict[str, Config]:
        """A block of named sub-blocks, all of one kind, in the order of the file."""
        return {name: self.block(config, *keys, name) for name in self._at(keys)}

    def with_blocks(self, blocks: Mapping[str, Any], *, where: str) -> "Params":
        """The same numbers, but for those that are named, however deep.

        Raises:
            BadParamsError: there is no such block, or none of such a method: nothing would change.
        """
        for name, value in blocks.items():
            _refuse_unknown([name], list(self.values), where=f"{self.path}: {where}")
            if name == "fit":
                if not isinstance(value, Mapping):
                    raise BadParamsError(f"{self.path}: {where}.fit must be a block of methods")
                _refuse_unknown(value, self.names("fit"), where=f"{self.path}: {where}.fit")
        return Params(self.path, _laid_over(self.values, blocks))

    def names(self, *keys: str) -> tuple[str, ...]:
        """The names of the sub-blocks at `keys`, in the order of the file."""
        return tuple(self._at(keys))

    def _at(self, keys: tuple[str, ...]) -> Mapping[str, Any]:
        """The block; with `of: sibling`, the sibling's numbers where it names none of its own."""
        values = self._found(keys)
        if "of" not in values:
            return values
        own = {name: value for name, value in values.items() if name != "of"}
        return {**self._found((*keys[:-1], str(values["of"]))), **own}

    def _found(self, keys: tuple[str, ...]) -> Mapping[str, Any]:
        values: Any = self.values
        for depth, key in enumerate(keys):
            if not isinstance(values, Mapping) or key not in values:
                place = ".".join(keys[: depth + 1])
                known = list(values) if isinstance(values, Mapping) else []
                raise BadParamsError(f"{self.path} lacks {place}", hint=suggest(key, known))
            values = values[key]
        if not isinstance(values, Mapping):
            raise BadParamsError(f"{self.path}: {'.'.join(keys)} must be a block of numbers")
        return values


def load(path: str | Path) -> Params:
    """Read a params file.

    Raises:
        BadParamsError: it is missing, not YAML, or has a top-level key we do not know.
    """
    try:
        values = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadParamsError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadParamsError(
            f"{path} is not text in UTF-8: byte {error.start} is {error.object[error.start]:#x}",
            hint="save it as UTF-8",
        ) from error
    except YAMLError as error:
        raise BadParamsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise BadParamsError(f"{path} holds no blocks", hint="start from the repository's own")
    _refuse_unknown(values, BLOCKS, where=str(path))
    if missing := [name for name in BLOCKS if name not in values]:
        raise BadParamsError(f"{path} lacks {', '.join(missing)}")
    for name, value in values.items():
        try:
            msgspec.convert(value, type=KINDS.get(name, dict[str, Any]))
        except msgspec.ValidationError as error:
            raise BadParamsError(f"{path}: {name}: {_in_words(error)}", hint=KINDS_HINT) from error
    _refuse_not_finite(values, path=str(path))
    if not values["methods"]:
        raise BadParamsError(f"{path}: methods is empty", hint="name at least one, e.g. cae")
    return Params(str(path), values)


def build(config: type[Config], values: Mapping[str, Any], *, where: str) -> Config:
    """Fill a config: every field given, none unknown, types as declared, no default applied."""
    _check_keys(config, values, where=where)
    try:
        return msgspec.convert(values, type=config)
    except msgspec.ValidationError as error:
        raise BadParamsError(
            f"{where}: {_in_words(error)}", hint=_choices(config, error)
        ) from error


def _check_keys(config: Any, values: Mapping[str, Any], *, where: str) -> None:
    known = [field.name for field in fields(config)]
    _refuse_unknown(values, known, where=where)
    if missing := [name for name in known if name not in values]:
        raise BadParamsError(f"{where} lacks {', '.join(missing)}")
    types = typing.get_type_hints(config)
    for name, value in values.items():
        for inner in (types[name], *typing.get_args(types[name])):
            if is_dataclass(inner) and isinstance(value, Mapping):
                _check_keys(inner, value, where=f"{where}.{name}")


def _refuse_not_finite(value: Any, *, path: str, names: tuple[str, ...] = ()) -> None:
    """No number may be infinite, or none at all: every library takes that in its own way."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadParamsError(f"{path}: {'.'.join(names)} is {value}", hint="give a finite number")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_not_finite(inner, path=path, names=(*names, str(name)))
    elif isinstance(value, list):
        for inner in value:
            _refuse_not_finite(inner, path=path, names=names)


def _laid_over(values: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    return {**values} | {
        name: _laid_over(values[name], value)
        if isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
        else value
        for name, value in named.items()
    }


def _refuse_unknown(values: Iterable[str], known: Sequence[str], *, where: str) -> None:
    for name in values:
        if name not in known:
            raise BadParamsError(f"{where}.{name} is unknown", hint=suggest(str(name), known))


def suggest(name: str, known: Sequence[str]) -> str:
    """What the writer may have meant."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"


def _choices(config: type[Any], error: msgspec.ValidationError) -> str:
    """What a field may be that was given none of its choices; "" where an error is another."""
    found = re.fullmatch(r"Invalid enum value .* - at `\$\.([\w.]+)(\[.*\])?`", str(error))
    if not found:
        return ""
    kind: Any = config
    for name in found[1].split("."):
        kind = next(filter(is_dataclass, (kind, *typing.get_args(kind))), None)
        if kind is None:
            return ""
        kind = typing.get_type_hints(kind)[name]
    of = next(
        (it for it in (kind, *typing.get_args(kind)) if typing.get_origin(it) is Literal), None
    )
    return f"it is one of {', '.join(map(str, typing.get_args(of)))}" if of else ""


def _in_words(error: msgspec.ValidationError) -> str:
    """msgspec's sentence without its path syntax: "`$.width`" becomes "width"."""
    return str(error).replace("`$.", "`")
