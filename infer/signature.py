"""A signature inside a model file: its last bytes, over all bytes before them.

It is one more entry of the ONNX file's metadata, in the protobuf encoding
(https://protobuf.dev/programming-guides/encoding), of fixed length and appended to the file. A
protocol buffer may be continued by appending, so every reader of ONNX still takes the file, and
nothing of it needs to be understood to see what was signed.
"""

import hashlib
from pathlib import Path
from typing import Any

from infer.errors import BadModelError, MissingExtraError, UnknownChoiceError

KEY = b"uad.signature"
SIGNATURE_BYTES = 64  # of Ed25519 (RFC 8032)


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def entry_of(signature: bytes) -> bytes:
    """The bytes to append: `metadata_props` (14 in onnx.proto), its key (1) and value (2)."""
    return _field(14, _field(1, KEY) + _field(2, signature.hex().encode()))


ENTRY_BYTES = len(entry_of(bytes(SIGNATURE_BYTES)))


def signature_of(content: bytes) -> bytes | None:
    """The signature at the end of a model file; None: there is none."""
    tail = content[-ENTRY_BYTES:]
    try:
        signature = bytes.fromhex(tail[-2 * SIGNATURE_BYTES :].decode("ascii"))
    except ValueError:
        return None
    # Encoded again: of several spellings of the same signature only one is its entry.
    return signature if tail == entry_of(signature) else None


def unsigned(content: bytes) -> bytes:
    """A model file as it was before it was signed."""
    return content if signature_of(content) is None else content[:-ENTRY_BYTES]


def require_signature(content: bytes, public_key: Path, *, where: str) -> str:
    """See that a model file was signed with this key's other half; the key's fingerprint.

    Raises:
        BadModelError: it was not, or was changed since.
        UnknownChoiceError: the key is none.
        MissingExtraError: `cryptography` is not installed.
    """
    key = _public_key(public_key)
    signature = signature_of(content)
    if signature is None:
        raise BadModelError(
            f"{where} is not signed, or its end was changed",
            hint="ask its maker for the signed file; python -m export sign FILE --key makes one",
        )
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content[:-ENTRY_BYTES])
    except InvalidSignature as error:
        raise BadModelError(
            f"{where} was changed after it was signed, or it was signed with another key",
            hint="do not use it: get it again from its maker, or ask for the right public key",
        ) from error
    return fingerprint(key)


def fingerprint(key: Any) -> str:
    """One word for a public key: SHA-256 of its 32 bytes."""
    return f"ed25519:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def _public_key(path: Path) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise MissingExtraError(
            "--require-signature needs cryptography, which is not installed",
            hint="pip install 'uad[sign]'",
        ) from error
    hint = "openssl pkey -in key.pem -pubout -out public.pem writes the public half of a key"
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a public key in PEM"
        raise UnknownChoiceError(f"the key {path} cannot be used: {reason}", hint=hint) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnknownChoiceError(
            f"the key {path} cannot be used: it is not an Ed25519 key",
            hint="openssl genpkey -algorithm ed25519 -out key.pem makes one",
        )
    return key
