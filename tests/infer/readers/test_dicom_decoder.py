"""The process that decodes: it may die, the run goes on."""

import signal
import sys
import threading

import numpy as np
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless

from infer.readers import dicom_decoder
from infer.readers.dicom_decoder import DESCRIPTION, Decoder, DecoderError
from tests.infer.dicom_files import series


@pytest.fixture
def decoder():
    decoder = Decoder()
    yield decoder
    decoder.stop()


@pytest.fixture
def frame(tmp_path):
    """An encoded frame, what is known of it, and its pixels."""
    y, x = np.indices((64, 48))
    pixels = 10 * y + x
    [dataset] = series(tmp_path, pixels[np.newaxis], syntax=JPEG2000Lossless)
    encoded = next(generate_frames(dataset.PixelData, number_of_frames=1))
    return encoded, {name: dataset.get(name) for name in DESCRIPTION}, pixels


def decoded(decoder, frame):
    encoded, known, _ = frame
    return decoder.decode(encoded, known, syntax=JPEG2000Lossless, library="pylibjpeg")


def test_one_process_decodes_frame_after_frame(decoder, frame):
    for _ in range(3):
        np.testing.assert_array_equal(decoded(decoder, frame), frame[2])


def test_what_lies_in_the_folder_one_stands_in_is_not_run(decoder, frame, tmp_path, monkeypatch):
    place = tmp_path / "elsewhere"
    place.mkdir()
    for name in ("pydicom", "json"):
        (place / f"{name}.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(place)
    np.testing.assert_array_equal(decoded(decoder, frame), frame[2])


def test_a_damaged_frame_is_an_error_and_the_next_is_decoded(decoder, frame):
    with pytest.raises(DecoderError, match="RuntimeError"):
        decoder.decode(b"hello", frame[1], syntax=JPEG2000Lossless, library="pylibjpeg")
    np.testing.assert_array_equal(decoded(decoder, frame), frame[2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_every_process_lets_it_finish(decoder, frame, number):
    decoded(decoder, frame)
    first = decoder._process
    first.send_signal(number)
    np.testing.assert_array_equal(decoded(decoder, frame), frame[2])
    assert decoder._process is first


def test_a_process_that_died_is_replaced(decoder, frame):
    decoded(decoder, frame)
    decoder._process.kill()
    decoder._process.wait()
    np.testing.assert_array_equal(decoded(decoder, frame), frame[2])


def test_a_process_that_dies_on_a_frame_is_an_error_and_the_next_is_decoded(
    decoder, frame, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(dicom_decoder, "_send", lambda *_: decoder._process.kill())
        with pytest.raises(DecoderError, match="crashed or hung"):
            decoded(decoder, frame)
    np.testing.assert_array_equal(decoded(decoder, frame), frame[2])


def test_a_decoder_that_hangs_is_ended(decoder, frame, monkeypatch):
    hanging = (
        "import sys, time; from infer.readers import dicom_decoder as it\n"
        "it.SECONDS = 1; it._decoded = lambda *_: time.sleep(60)\n"
        "it.serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    monkeypatch.setattr(dicom_decoder, "COMMAND", [sys.executable, "-c", hanging])
    with pytest.raises(DecoderError, match="crashed or hung"):
        decoded(decoder, frame)


def test_the_process_ends_with_its_thread(frame):
    seen = []

    def work():
        decoder = dicom_decoder.decoder()
        decoded(decoder, frame)
        seen.append(decoder._process)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0].poll() is not None
