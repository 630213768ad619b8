"""A signed model file: every changed byte is refused, and every reader still takes it."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.signing import sign
from infer import load
from infer.cli import app as uad_infer
from infer.engine import read_manifest
from infer.errors import BadModelError, UnknownChoiceError
from infer.signature import ENTRY_BYTES, require_signature, signature_of, unsigned
from tests.export.signing_keys import write_keys
from tests.infer.tiny_model import MANIFEST, write_tiny_model


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def model(tmp_path_factory, keys):
    path = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    sign(path, keys[0])
    return path


def test_a_changed_bit_anywhere_in_the_file_is_refused(model, keys):
    content = model.read_bytes()
    require_signature(content, keys[1], where="it")
    draw = np.random.default_rng(0)
    tail = range(len(content) - ENTRY_BYTES, len(content))
    places = sorted({*range(0, len(content), 7), *tail})
    for at in places:
        changed = bytearray(content)
        changed[at] ^= 1 << int(draw.integers(8))
        with pytest.raises(BadModelError):
            require_signature(bytes(changed), keys[1], where="it")


def test_the_case_of_the_signatures_digits_is_part_of_it(model, keys):
    content = model.read_bytes()
    upper = content[:-128] + content[-128:].upper()
    assert upper != content
    with pytest.raises(BadModelError):
        require_signature(upper, keys[1], where="it")


@pytest.mark.parametrize("change", [lambda it: it + b"\0", lambda it: it[:-1], lambda it: it[1:]])
def test_bytes_added_or_missing_are_refused(model, keys, change):
    with pytest.raises(BadModelError):
        require_signature(change(model.read_bytes()), keys[1], where="it")


def test_other_readers_take_the_signed_file_and_find_the_same_model(model, tmp_path):
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(unsigned(model.read_bytes()))
    onnx.checker.check_model(onnx.load(model))
    assert onnx.load(model).graph == onnx.load(plain).graph
    assert read_manifest(model) == read_manifest(plain)
    assert [it.key for it in onnx.load(model).metadata_props][-1] == "uad.signature"


def test_signing_again_replaces_the_signature(model, keys, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    other, public = write_keys(tmp_path)
    sign(copy, other)
    assert len(copy.read_bytes()) == len(model.read_bytes())
    require_signature(copy.read_bytes(), public, where="it")
    with pytest.raises(BadModelError, match="another key"):
        require_signature(copy.read_bytes(), keys[1], where="it")


def test_an_unsigned_model_is_refused(keys, tmp_path):
    plain = write_tiny_model(tmp_path / "plain.onnx", MANIFEST)
    assert signature_of(plain.read_bytes()) is None
    with pytest.raises(BadModelError, match="not signed"):
        read_manifest(plain, public_key=keys[1])


def test_what_is_no_key_is_refused(model, keys, tmp_path):
    with pytest.raises(UnknownChoiceError, match="public key"):
        read_manifest(model, public_key=keys[0])
    with pytest.raises(UnknownChoiceError, match="private key"):
        sign(model, keys[1])
    with pytest.raises(UnknownChoiceError, match="No such file"):
        sign(model, tmp_path / "none.pem")


def test_the_commands_sign_and_ask_for_it(keys, tmp_path):
    model = write_tiny_model(tmp_path / "tiny.onnx")
    asked = ["--describe", str(model), "--require-signature", str(keys[1])]
    assert CliRunner().invoke(uad_infer, asked).exit_code == 2
    signed = CliRunner().invoke(app, ["sign", str(model), "--key", str(keys[0])])
    assert signed.exit_code == 0, signed.output
    assert CliRunner().invoke(uad_infer, asked).exit_code == 0
    test = ["--self-test", "--model", str(model), "--device", "cpu"]
    assert CliRunner().invoke(uad_infer, [*test, *asked[2:]]).exit_code == 0


def test_a_program_can_ask_for_a_signature_too(model, keys, tmp_path):
    opened = load(model, device="cpu", require_signature=keys[1])
    assert opened.manifest == read_manifest(model)
    plain = write_tiny_model(tmp_path / "plain.onnx", MANIFEST)
    with pytest.raises(BadModelError, match="not signed"):
        load(plain, device="cpu", require_signature=keys[1])


def test_without_cryptography_the_hint_says_what_to_install(model, keys):
    script = "import sys; sys.modules['cryptography'] = None; from infer.cli import main; main()"
    asked = ["--describe", str(model), "--require-signature", str(keys[1])]
    done = subprocess.run(
        [sys.executable, "-c", script, *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'uad[sign]'" in done.stderr
