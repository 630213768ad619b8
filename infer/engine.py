"""A session behind one method, opened only on files that keep our contract.

The session is ONNX Runtime's; or, once that has seen the file, OpenVINO's.
"""

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from infer.contract import EXPORT_HINT, SCORE_PREFIX, check_contract, check_outputs
from infer.digest import digest
from infer.engine_batches import EngineOutputs
from infer.engine_cache import cache_of, check_cache
from infer.errors import BadModelError, UnknownChoiceError
from infer.manifest import METADATA_KEY, Manifest, from_json
from infer.openvino_session import OpenVinoSession
from infer.precision import Precision
from infer.providers import INSTALL_HINT, Device, choose_device, computing
from infer.shapes import Images
from infer.signature import require_signature, unsigned

EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
ON_CPU = Device(asked="cpu", got="cpu", reason="asked for")
NO_FOLDER = str(Path(os.devnull, "none"))  # below a file: it cannot exist
LARGEST_BYTES = 2**31  # of a protocol buffer, which an ONNX file is


class OpenedFile(NamedTuple):
    """Which file an engine was opened from, and for how many threads."""

    path: Path
    sha256: str
    threads: int
    signed_by: str | None = None  # fingerprint of the key, where a signature was required
    unsigned_sha256: str | None = None  # of the file as it was before it was signed
    tensorrt_cache: Path | None = None  # where engines are kept, of all models


class OnnxEngine:
    """Runs an exported graph. Threads may share it: each `run` works in its caller's thread.

    Sent to another process, it is opened there again, from the same file.
    """

    def __init__(
        self, session: Any, manifest: Manifest, device: Device, opened: OpenedFile
    ) -> None:
        self.manifest = manifest
        self.device = device
        self._opened = opened
        self._session = session
        self._outputs = [output.name for output in session.get_outputs()]

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (self._opened, self.device)

    @property
    def opened(self) -> OpenedFile:
        """What it was opened from."""
        return self._opened

    @property
    def sha256(self) -> str:
        """The digest of the model file."""
        return self._opened.sha256

    @property
    def unsigned_sha256(self) -> str | None:
        """The digest of the file as it was before it was signed; None: it is not."""
        return self._opened.unsigned_sha256

    @property
    def signed_by(self) -> str | None:
        """The fingerprint of the key that the file was required to be signed with."""
        return self._opened.signed_by

    @property
    def provider(self) -> str:
        """What the graph runs on: a provider of ONNX Runtime, or OpenVINO."""
        return str(self._session.get_providers()[0])

    @property
    def score_parts(self) -> list[str]:
        """Names of the further scores that the graph gives."""
        return [
            name.removeprefix(SCORE_PREFIX)
            for name in self._outputs
            if name.startswith(SCORE_PREFIX)
        ]

    def run(self, images: Images) -> EngineOutputs:
        """What the graph says of a batch of images.

        Raises:
            BadModelError: it fails, or says something else than it should.
        """
        try:
            arrays = self._session.run(self._outputs, {"image": images})
        except MemoryError:
            raise
        except Exception as error:  # pybind11 classes of its own, one per status code
            raise BadModelError(f"the model failed on it: {_shortened(error)}") from error
        outputs = dict(zip(self._outputs, arrays, strict=True))
        check_outputs(outputs, images)
        return EngineOutputs(
            anomaly_map=outputs["anomaly_map"],
            score=outputs["score"],
            reconstruction=outputs.get("reconstruction"),
            score_parts={
                name.removeprefix(SCORE_PREFIX): scores
                for name, scores in outputs.items()
                if name.startswith(SCORE_PREFIX)
            },
        )


def open_engine(
    path: Path,
    *,
    device: str,
    threads: int,
    workers: int = 1,
    precision: Precision | None = None,
    public_key: Path | None = None,
    tensorrt_cache: Path | None = None,
) -> OnnxEngine:
    """Open a model file on a device; with a public key, only if its other half signed the file.

    `threads` is what one batch may use of a CPU, `workers` how many of our own threads will run
    batches at a time. `precision`: None is the file's own. `tensorrt_cache`: a folder in which
    TensorRT keeps what it builds.

    Raises:
        BadModelError: the file is no model of ours.
        UnknownChoiceError: the device or precision is unknown or cannot be had.
        BadOutputError: the cache cannot be written.
        MissingExtraError: the device needs a package that is not installed.
    """
    graph = read_graph(path)
    # Before anything looks into it: these very bytes are what runs.
    signed_by = require_signature(graph, public_key, where=path.name) if public_key else None
    return open_graph(
        graph,
        path,
        device=device,
        threads=threads,
        workers=workers,
        precision=precision,
        signed_by=signed_by,
        tensorrt_cache=tensorrt_cache,
    )


def open_graph(
    graph: bytes,
    path: Path,
    *,
    device: str,
    threads: int,
    workers: int = 1,
    precision: Precision | None = None,
    signed_by: str | None = None,
    tensorrt_cache: Path | None = None,
) -> OnnxEngine:
    """The same for what a model file holds; `path` is where it came from.

    `signed_by`: whose signature of it was required, and seen.
    """
    check_cache(tensorrt_cache, device=device)
    chosen = choose_device(device, precision)
    # Wherever it will run: what the file says of itself decides how.
    session = _session(graph, ON_CPU, threads=threads, where=path.name)
    manifest = _manifest_in(_metadata(session, where=path.name), where=path.name)
    check_contract(session.get_inputs(), session.get_outputs(), manifest, where=path.name)
    chosen = computing(chosen, precision, manifest.variant)
    bare = unsigned(graph)
    opened = OpenedFile(
        path,
        digest(graph),
        threads,
        signed_by,
        unsigned_sha256=None if bare is graph else digest(bare),
        tensorrt_cache=tensorrt_cache,
    )
    if chosen.got == "openvino":
        session = OpenVinoSession(
            graph,
            session.get_outputs(),
            # A variant holds its own conversions: whatever is not among them is left in fp32.
            precision="fp32" if manifest.variant else chosen.precision,
            threads=threads,
            workers=workers,
            where=path.name,
        )
    elif not chosen.is_cpu:
        if tensorrt_cache is not None:
            chosen = replace(chosen, engine_cache=cache_of(tensorrt_cache, sha256=opened.sha256))
        session, chosen = _open_on(graph, chosen, threads=threads, where=path.name)
    return OnnxEngine(session, manifest, chosen, opened)


def _open_again(opened: OpenedFile, device: Device) -> OnnxEngine:
    """The same engine in another process, for one worker.

    Raises:
        BadModelError: the file has changed since.
    """
    return open_same(read_graph(opened.path), opened, device)


def open_same(graph: bytes, opened: OpenedFile, device: Device) -> OnnxEngine:
    """An engine like the one that was opened from this, for one worker.

    Raises:
        BadModelError: this is not what it was opened from.
    """
    # Before anything looks into it: a signature may have been required of what was opened first.
    if digest(graph) != opened.sha256:
        raise BadModelError(
            f"{opened.path.name} has changed since the run began", hint="start the run again"
        )
    return open_graph(
        graph,
        opened.path,
        device=device.got if device.asked == "auto" else device.asked,
        threads=opened.threads,
        precision=device.precision,
        signed_by=opened.signed_by,
        tensorrt_cache=opened.tensorrt_cache,
    )


def read_manifest(path: Path, *, public_key: Path | None = None) -> Manifest:
    """What a model file says of itself.

    Raises:
        BadModelError: the file is no model of ours.
    """
    return open_engine(path, device="cpu", threads=1, public_key=public_key).manifest


def read_graph(path: Path) -> bytes:
    """What a model file holds.

    Raises:
        BadModelError: it cannot be read.
    """
    hint = "--model wants an .onnx file"
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would block us for ever
            raise BadModelError(f"{path} cannot be read: it is not a file", hint=hint)
        if found.st_size > LARGEST_BYTES:
            raise BadModelError(
                f"{path} is larger than 2 GiB: no ONNX file that holds its weights is", hint=hint
            )
        return path.read_bytes()
    except OSError as error:
        raise BadModelError(f"{path} cannot be read: {error.strerror}", hint=hint) from error


def _open_on(graph: bytes, device: Device, *, threads: int, where: str) -> tuple[Any, Device]:
    """A session on the device, or on the CPU where `auto` allows it, and what it runs on."""
    session = _session(graph, device, threads=threads, where=where)
    if session.get_providers()[0] == device.provider:
        return session, device
    if device.asked != "auto":
        libraries = "TensorRT" if device.got == "tensorrt" else "CUDA"
        raise UnknownChoiceError(
            f"device {device.asked} cannot be used: there is a GPU, but ONNX Runtime could not "
            f"load its {libraries} libraries and offers {session.get_providers()[0]}",
            hint=INSTALL_HINT,
        )
    reason = "there is a GPU, but ONNX Runtime could not load its CUDA libraries"
    fallback = replace(device, got="cpu", reason=reason)
    return _session(graph, fallback, threads=threads, where=where), fallback


def _session(graph: bytes, device: Device, *, threads: int, where: str) -> Any:
    import onnxruntime  # 0.1 s: not for `--help`

    # Level 4 (fatal): we check ourselves and say it in words, C++ lines help no user.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # From bytes, so that what was hashed is what runs. Weights in a second file (external data)
    # would be looked for in the current folder, and silently used: here are none.
    options.add_session_config_entry(EXTERNAL_FOLDER, NO_FOLDER)
    try:
        # On a CPU there is nothing to fall back on: it would print lines and try the same again.
        on_gpu = device.got in ("cuda", "tensorrt")
        return onnxruntime.InferenceSession(
            graph, options, providers=device.providers, enable_fallback=int(on_gpu)
        )
    except Exception as error:  # pybind11 classes of its own, one per status code
        raise BadModelError(f"{where}: {_why(str(error))}", hint=EXPORT_HINT) from error


def _why(message: str) -> str:
    """ONNX Runtime's reason in words a user can act on."""
    lowered = message.lower()
    if "external" in lowered:
        return "its weights are in a second file (external data), they must be inside the model"
    if "protobuf" in lowered:
        return "this is not an ONNX file, or it is damaged"
    return f"ONNX Runtime cannot open it ({_shortened(message)})"


def _shortened(message: object) -> str:
    """What ONNX Runtime says in one line; a damaged file's own words in it may hold anything."""
    words = " ".join(str(message).split())[:300]
    return "".join(it if it.isprintable() else "?" for it in words)


def _metadata(session: Any, *, where: str) -> dict[str, str]:
    try:
        found: dict[str, str] = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise BadModelError(
            f"{where}: this is not an ONNX file, or it is damaged", hint=EXPORT_HINT
        ) from error
    return found


def _manifest_in(metadata: dict[str, str], *, where: str) -> Manifest:
    if METADATA_KEY not in metadata:
        raise BadModelError(
            f"{where} is an ONNX file without our manifest: nothing says how to prepare scans "
            "for it",
            hint=EXPORT_HINT,
        )
    return from_json(metadata[METADATA_KEY], where=where)
