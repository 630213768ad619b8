"""The scans of a run that are still to be scored: a million, and no memory for them."""

import pickle
from collections.abc import Iterable, Iterator

from infer.shelf import Shelf, as_place
from infer.worker import Task


class Tasks:
    """Kept in the order in which they were added."""

    def __init__(self) -> None:
        self._shelf = Shelf()
        self._count = 0

    def add(self, tasks: Iterable[Task]) -> None:
        """Keep further ones."""
        pickled = [pickle.dumps(tuple(task)) for task in tasks]
        start = self._count
        self._shelf.put((as_place(start + at), task) for at, task in enumerate(pickled))
        self._count += len(pickled)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Task]:
        return (Task(*pickle.loads(task)) for _, task in self._shelf.items())
