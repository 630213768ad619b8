"""Sign a model file: whoever has the public key can see that no byte of it was changed since."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infer.engine import read_manifest
from infer.errors import UnknownChoiceError
from infer.signature import entry_of, fingerprint, unsigned
from infer.writers.atomic import write_bytes


def sign(model: Path, key: Path) -> str:
    """Put a signature at the end of a model file, in place of any there; the key's fingerprint.

    Raises:
        BadModelError: it is no model of ours.
        UnknownChoiceError: the key is none.
    """
    read_manifest(model)
    private = _private_key(key)
    content = unsigned(model.read_bytes())
    write_bytes(model, content + entry_of(private.sign(content)))
    return fingerprint(private.public_key())


def _private_key(path: Path) -> Ed25519PrivateKey:
    hint = "openssl genpkey -algorithm ed25519 -out key.pem makes one"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UnknownChoiceError(
            f"the key {path} cannot be used: {error.strerror}", hint=hint
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnknownChoiceError(
            f"the key {path} cannot be used: it is not a private key in PEM, or has a password",
            hint=hint,
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnknownChoiceError(
            f"the key {path} cannot be used: it is not an Ed25519 key", hint=hint
        )
    return key
