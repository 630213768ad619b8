"""Which files hold scans of the people they were fitted to, so that who hands one on knows."""

from infer.manifest import Manifest
from train.recipes import find, is_known


def methods_of(manifest: Manifest) -> tuple[str, ...]:
    """What a file is of: its method, or the members of an ensemble."""
    return tuple(manifest.provenance.members) or (manifest.method,)


def remembers(manifest: Manifest) -> bool:
    """Whether healthy scans can be redrawn from a file, as far as its methods are known here."""
    return any(is_known(it) and find(it).remembers for it in methods_of(manifest))
