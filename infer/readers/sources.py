"""The scans that an input names: a million of them, and no memory for them."""

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from infer.readers.source import Source
from infer.shelf import Shelf, as_name, batched
from infer.storage.stored import Stored

_Values: TypeAlias = tuple[str, str, tuple[str, ...], tuple[Stored, ...], str]


class Sources:
    """Where scans are, by the name that they have in reports, in the order of their places."""

    def __init__(self, sources: Iterable[tuple[str, Source]] = ()) -> None:
        self._names = Shelf()
        self._places = Shelf()
        self.add(sources)

    def add(self, sources: Iterable[tuple[str, Source]]) -> None:
        """Further ones; what has a name that is known is taken for the same."""
        for some in batched(sources):
            self._names.put((as_name(name), b"") for name, _ in some)
            self._places.put(map(_pickled, some))

    def only(self, takes: Callable[[str, Source], bool]) -> "Sources":
        """Some of them."""
        return Sources((name, source) for name, source in self.items() if takes(name, source))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and as_name(name) in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return (name for name, *_ in self._values())

    def items(self) -> Iterator[tuple[str, Source]]:
        """Names and sources."""
        for name, path, series, stored, key in self._values():
            yield name, Source(Path(path), tuple(map(Path, series)), stored, key)

    def kinds(self) -> Iterator[tuple[str, bool]]:
        """Names, each with whether it is a DICOM series."""
        return ((name, bool(series)) for name, _, series, *_ in self._values())

    def one_of_each_folder(self) -> Iterator[Path]:
        """A file for each folder that holds any first file of a scan."""
        seen: set[str] = set()
        for _, path, *_ in self._values():
            folder = os.path.dirname(path)  # noqa: PTH120 - a fifth of the time of a Path
            if folder not in seen:
                seen.add(folder)
                yield Path(path)

    def _values(self) -> Iterator[_Values]:
        return (pickle.loads(pickled) for _, pickled in self._places.items())


def _pickled(item: tuple[str, Source]) -> tuple[bytes, bytes]:
    name, source = item
    # As paths are ordered: part by part. No part holds the separator.
    place = "\0".join((*source.path.parts, "", name))
    files = tuple(map(str, source.series))
    values = (name, str(source.path), files, source.stored, source.series_key)
    return as_name(place), pickle.dumps(values)
