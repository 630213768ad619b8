"""Where numbers come from: the commit, whether the tree was clean, and the libraries used."""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from infer.digest import digest, digest_of

FITTING = (".", "loops", "methods", "networks")  # folders of `train`
LIBRARIES = ("torch", "lightning-fabric", "kornia", "numpy", "scikit-learn", "mlflow", "dvc")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The code that ran: its commit, and whether it was changed since."""

    commit: str  # empty outside a repository
    dirty: bool


def git_state() -> GitState:
    """The state of the repository around the working directory, when this process first asked.

    What is committed or edited while it works is not what it works with: its code is loaded.

    DVC rewrites dvc.lock after each stage: it says what was run, it is not what runs. Nor is the
    copy of dvc.yaml that switches a further study on.
    """
    return _state_in(Path.cwd())


def git_tags() -> dict[str, str]:
    """The same for a run of MLflow."""
    git = git_state()
    return {"git_commit": git.commit, "git_dirty": str(git.dirty).lower()}


@cache
def _state_in(folder: Path) -> GitState:
    commit = _git("rev-parse", "HEAD")
    own = (":(exclude)*dvc.lock", ":(exclude)studies/*/dvc.yaml")
    changed = _git("status", "--porcelain", "--", ".", *own)
    return GitState(commit=commit, dirty=bool(changed))


@cache
def code_digest() -> str:
    """One name for the code that fits, as its files were when this process first asked."""
    own = Path(__file__).parent
    files = [it for folder in FITTING for it in sorted((own / folder).glob("*.py"))]
    said = [f"{it.relative_to(own).as_posix()} {digest_of(it)}" for it in files]
    return digest("\n".join(said).encode())


def library_versions() -> dict[str, str]:
    """Library → version, of those that can change a result."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def repository_root() -> Path:
    """The main working tree: DVC runs experiments in copies, and names the origin in DVC_ROOT."""
    named = os.environ.get("DVC_ROOT") or _git("rev-parse", "--show-toplevel")
    return Path(named or Path.cwd()).absolute()


def _git(*arguments: str) -> str:
    """What git prints; nothing where git or a repository is missing."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
