"""Where the results of a run go: a folder of this machine, or one of a store."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from infer import journal, output_folder
from infer.journal import Entries, Entry
from infer.storage.address import Address, Place

_SHOWN = (output_folder.REPORT, *output_folder.OF_SCANS)


@runtime_checkable
class Results(Protocol):
    """What a run must be able to do where its results go."""

    folder: Path  # of reports, journal and log, on this machine
    store: Address | None  # where workers put outputs of scans; None: below `folder`

    def refuse_harmful(self, scans: Place) -> None:
        """See that writing there touches neither the scans nor what is not ours.

        Raises:
            BadOutputError: it could.
        """
        ...

    def claimed(self) -> AbstractContextManager[None]:
        """Hold the place for this run.

        Raises:
            BadOutputError: another run holds it, or it cannot be written.
        """
        ...

    def start_afresh(self) -> None:
        """Remove what earlier runs made there, and nothing else."""
        ...

    def remove_run(self) -> None:
        """Remove the record of an earlier run, and its page."""
        ...

    def tells_case(self) -> bool:
        """Is `A` another name than `a` there?"""
        ...

    def is_whole(self, entry: Entry) -> bool:
        """Are the entry's outputs there as they were written?"""
        ...

    def remove_outputs(self, entry: Entry, *, keep: Collection[str]) -> None:
        """Remove a scan's outputs, except those in `keep`."""
        ...

    def replace_journal(self, entries: Entries) -> None:
        """These are done, and nothing else."""
        ...

    def add_to_journal(self, entries: Sequence[Entry]) -> None:
        """These are done, too: their outputs must be in place."""
        ...

    def publish(self) -> None:
        """The reports are written: they may be seen."""
        ...

    def shown(self) -> Sequence[str]:
        """What a user is pointed to."""
        ...


@contextlib.contextmanager
def opened_results(out: Place) -> Iterator[Results]:
    """What a run needs to write there; nothing is written yet."""
    if isinstance(out, Path):
        yield FolderResults(out)
        return
    from infer.storage.results import opened_in_store

    with opened_in_store(out) as results:
        yield results


@dataclass
class FolderResults:
    """A folder of this machine."""

    folder: Path
    store: Address | None = None

    def refuse_harmful(self, scans: Place) -> None:
        """See `Results`, as for all below."""
        if isinstance(scans, Path):
            output_folder.refuse_harmful(self.folder, scans)
        else:
            output_folder.refuse_foreign(self.folder)

    def claimed(self) -> AbstractContextManager[None]:
        """The system lets go of it however the run ends."""
        return output_folder.claimed(self.folder)

    def start_afresh(self) -> None:
        """The folder stays."""
        output_folder.start_afresh(self.folder)

    def remove_run(self) -> None:
        """The files run.json and report.html."""
        output_folder.remove_run(self.folder)

    def tells_case(self) -> bool:
        """As its file system does."""
        return output_folder.case_matters(self.folder)

    def is_whole(self, entry: Entry) -> bool:
        """By the digests of the files."""
        return journal.is_whole(entry, self.folder)

    def remove_outputs(self, entry: Entry, *, keep: Collection[str]) -> None:
        """The files."""
        output_folder.remove_outputs(self.folder, entry, keep=keep)

    def replace_journal(self, entries: Entries) -> None:
        """The file."""
        entries.write(self.folder / output_folder.JOURNAL)

    def add_to_journal(self, entries: Sequence[Entry]) -> None:
        """Lines at its end.

        Raises:
            BadOutputError: the folder was moved away, and files that it had would be missed.
        """
        output_folder.refuse_moved(self.folder)
        journal.append_entries(self.folder / output_folder.JOURNAL, entries)

    def publish(self) -> None:
        """They are in place."""

    def shown(self) -> Sequence[str]:
        """What is there; the page is written last, and always."""
        there = [name for name in _SHOWN if (self.folder / name).exists()]
        return [output_folder.PAGE, *there]
