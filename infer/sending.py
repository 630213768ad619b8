"""A worker on its way to another machine: its model's bytes, and where it is to work."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import infer
from infer.engine import OpenedFile, open_same, read_graph
from infer.errors import BadOutputError, UadError
from infer.output_folder import JOURNAL
from infer.providers import Device
from infer.worker import Worker, ready


@dataclass(frozen=True, slots=True, kw_only=True)
class SentWorker:
    """Opens, wherever it is called, the worker that it was made from.

    Its machine must see the scans and the output folder under the names that they have here; the
    model is brought along.
    """

    graph: bytes
    opened: OpenedFile
    device: Device
    settings: Mapping[str, Any]  # of the worker, but for its engine
    folder: Path | None  # where scans are; None: in object storage
    home: Path  # which relative paths start from
    version: str

    def __call__(self) -> Worker:
        """The worker, ready.

        Raises:
            BadOutputError: scans or output folder are not here.
            UadError: another version of uad is.
        """
        here = platform.node()
        if infer.__version__ != self.version:
            raise UadError(
                f"on {here} there is uad {infer.__version__}, not {self.version}",
                hint="install the same version on every machine of the cluster",
            )
        out = self.settings["out"]
        seen = [*([self.folder] if self.folder else [])]
        if self.settings["store"] is None:
            seen.append(out / JOURNAL)
        if not all(path.is_absolute() for path in seen):
            self._go_home(here)
        for path in seen:
            if not path.exists():
                raise BadOutputError(
                    f"{here} does not see {path}",
                    hint="scans and --out must lie where every machine of the cluster sees them",
                )
        return ready(
            Worker(engine=open_same(self.graph, self.opened, self.device), **self.settings)
        )

    def _go_home(self, here: str) -> None:
        try:
            os.chdir(self.home)
        except OSError as error:
            raise BadOutputError(
                f"{here} does not see {self.home}",
                hint="scans and --out must lie where every machine of the cluster sees them",
            ) from error


def sent(worker: Worker, folder: Path | None) -> SentWorker:
    """The same worker, to be opened elsewhere.

    Raises:
        BadModelError: its model's file is gone.
    """
    opened = worker.engine.opened
    settings = {it.name: getattr(worker, it.name) for it in fields(worker) if it.name != "engine"}
    settings["spool"] = None  # a folder of this machine
    return SentWorker(
        graph=read_graph(opened.path),  # where it is opened, it is seen that it is the same
        opened=opened,
        device=worker.engine.device,
        settings=settings,
        folder=folder,
        home=Path.cwd(),
        version=infer.__version__,
    )
