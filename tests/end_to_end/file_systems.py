"""File systems that are full or cannot be written, for tests that want the real thing."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@contextlib.contextmanager
def small(folder: Path, *, kib: int) -> Iterator[None]:
    """A file system of so many KiB at `folder`."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount file systems")
    _mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def enlarge(folder: Path, *, kib: int) -> None:
    """Give a small file system more room."""
    _mount("-o", f"remount,size={kib}k", str(folder))


@contextlib.contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Nobody may write to `folder`; root neither, whom permissions do not hold."""
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        _mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(folder))
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)
