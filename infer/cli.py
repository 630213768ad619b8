"""`uad-infer`: parse, one call, print, exit code.

0 all scored · 1 finished with failed scans, merged with parts missing, or monitored with runs left
out · 2 wrong usage or model, or the disk is full · 3 stopped by --max-failures · 70 a bug of ours,
with its traceback · 129 interrupted (SIGHUP) · 130 (SIGINT) · 143 (SIGTERM)
"""

import contextlib
import inspect
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

import infer
from infer.errors import UadError, UnknownChoiceError
from infer.printable import printable

if TYPE_CHECKING:
    from infer.options import Options
    from infer.part import Part
    from infer.readers.choice import Choice
    from infer.storage.address import Place

Value = TypeVar("Value")

FAILED_SCANS = 1
INCOMPLETE = 1
TOO_MANY_FAILURES = 3
BUG = 70  # EX_SOFTWARE of sysexits.h: no number that says how a run went
INTERRUPTED = (
    "stopping: scans in flight are finished and the reports written; "
    "interrupt again to stop at once\n"
)


# What the uses of the command that score nothing take; all else they would leave unheeded.
TAKEN_BY = {
    "describe": {"describe", "require_signature", "quiet"},
    "self_test": {
        *("self_test", "model", "device", "precision"),
        *("require_signature", "tensorrt_cache", "quiet"),
    },
    "monitor": {"monitor", "folders", "out", "as_json", "quiet"},
    "merge": {"merge", "folders", "out", "quiet"},
}


class Precision(StrEnum):
    """In which numbers to compute; the words of `infer.precision`."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class ExecutorName(StrEnum):
    """What spreads scans over processors."""

    LOCAL = "local"
    RAY = "ray"


class Overlays(StrEnum):
    """Which scans get a picture."""

    ANOMALOUS = "anomalous"
    ALL = "all"
    NONE = "none"


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"uad-infer {infer.__version__}")
        raise typer.Exit
    return wanted


def uad_infer(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of scans (DICOM, NIfTI, PNG, JPEG, TIFF, BMP, NPY) here or in a store "
            "(s3://…), one scan, or a .txt that lists paths.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model file (.onnx), s3://…, or models:/name@alias in MLflow."),
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder for report.html, report.csv, masks/, …; or s3://…")
    ] = "uad-out",
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda[:N]|tensorrt|openvino",
            help="What to compute on; auto, CUDA or else the CPU, says what it chose.",
        ),
    ] = "auto",
    precision: Annotated[
        Precision | None,
        typer.Option(help="The model's own; less, by openvino or tensorrt, changes scores."),
    ] = None,
    tensorrt_cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where --device tensorrt keeps what it builds."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Slices or volumes that go through the model together."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many scans are worked on at a time; one a core.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score above which a scan is anomalous; the model's own.")
    ] = None,
    map_threshold: Annotated[
        float | None, typer.Option(help="Map value above which a voxel is; the model's own.")
    ] = None,
    overlays: Annotated[
        Overlays, typer.Option(help="Which scans get a picture.")
    ] = Overlays.ANOMALOUS,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write anomaly maps too, in float32.")
    ] = False,
    dicom_seg: Annotated[
        bool,
        typer.Option("--dicom-seg", help="Write DICOM Segmentations too, of DICOM series."),
    ] = False,
    keep_identifiers: Annotated[
        bool,
        typer.Option("--keep-identifiers", help="Leave the patient's identity in them."),
    ] = False,
    volume: Annotated[
        int, typer.Option(min=0, help="Which volume of a 4-D scan is scored, from 0.")
    ] = 0,
    max_voxels: Annotated[
        int, typer.Option(min=1, help="Refuse larger scans by their headers: bounds the memory.")
    ] = 2**29,
    list_scans: Annotated[
        bool,
        typer.Option("--list", help="Say what would be scored and what not, by headers; no more."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --list or --monitor: for machines.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start afresh instead of going on.")
    ] = False,
    max_failures: Annotated[
        int | None, typer.Option(min=0, help="Stop the run when more scans than this have failed.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N|auto[/N]",
            help="Score the I-th of N parts of FOLDER only; auto: as the job array's task says.",
        ),
    ] = None,
    executor: Annotated[
        ExecutorName,
        typer.Option(help="Score on this machine, or on those of a Ray cluster."),
    ] = ExecutorName.LOCAL,
    ray_address: Annotated[
        str | None,
        typer.Option(help="Where the cluster's head is, host:port; else this machine alone."),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(min=0, help="How often a scan whose worker died is tried again; ray only."),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Join the reports of parts: --merge DIR DIR … --out OUT."),
    ] = False,
    monitor: Annotated[
        bool,
        typer.Option("--monitor", help="Show runs over time beside the normals: --monitor DIR …"),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    describe: Annotated[
        str | None, typer.Option(metavar="FILE", help="Print what a model file is, and exit.")
    ] = None,
    require_signature: Annotated[
        Path | None,
        typer.Option(metavar="PUBKEY", help="Refuse a model that this key's owner did not sign."),
    ] = None,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Score a built-in phantom: does --model work here?"),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Write an anomaly mask and a report row for each scan under FOLDER.

    A run that was stopped goes on where it was when it is started again.
    """
    usual = inspect.signature(uad_infer).parameters
    asked = {
        name for name, value in locals().items() if name in usual and value != usual[name].default
    }
    # Heavy imports (numpy, OpenCV, ONNX Runtime) come after the options: `--help` is instant.
    with user_errors():
        from infer.model_source import located

        refuse_unheeded(asked)
        if describe is not None:
            from infer.describe import describe_model

            file = located(describe, tell_by_the_way)
            said = describe_model(file.path, public_key=require_signature)
            typer.echo("\n".join(map(printable, said.split("\n"))))
            return
        if self_test:
            from infer.self_test import check_model

            file = located(given(model, "--model"), tell_by_the_way)
            typer.echo(
                check_model(
                    file.path,
                    device=device,
                    precision=precision.value if precision else None,
                    public_key=require_signature,
                    tensorrt_cache=tensorrt_cache,
                )
            )
            return
        from infer.storage.address import place_of

        places, target = list(map(place_of, folders or [])), place_of(out)
        if monitor:
            raise typer.Exit(run_monitor(places, target, as_json=as_json, quiet=quiet))
        if merge:
            raise typer.Exit(run_merge(places, target, quiet=quiet))
        share = part_asked_for(part) if part else None
        if list_scans:
            from infer.readers.choice import Choice

            folder = only(places)
            choice = Choice(volume=volume, max_voxels=max_voxels, plane="axial")
            raise typer.Exit(run_list(folder, target, choice, share, as_json=as_json))
        if as_json:
            raise UnknownChoiceError(
                "--json goes with --list or --monitor", hint="the record is run.json"
            )
        from infer.options import Options

        options = Options(
            device=device,
            precision=precision.value if precision else None,
            batch_size=batch_size,
            workers=workers,
            threshold=threshold,
            map_threshold=map_threshold,
            overlays=overlays.value,
            maps=maps,
            dicom_seg=dicom_seg,
            keep_identifiers=keep_identifiers,
            volume=volume,
            max_voxels=max_voxels,
            overwrite=overwrite,
            max_failures=max_failures,
            part=share,
            executor=executor.value,
            ray_address=ray_address,
            retries=retries,
            require_signature=require_signature,
            tensorrt_cache=tensorrt_cache,
        )
        folder = only(places)
        code = run(folder, given(model, "--model"), target, options, quiet=quiet)
    raise typer.Exit(code)


def run(folder: "Place", model: str, out: "Place", options: "Options", *, quiet: bool) -> int:
    """Score a folder, say how it went; the exit code."""
    from infer.batch import score_folder
    from infer.interruption import watching_for_interruption
    from infer.progress import open_progress

    with watching_for_interruption(nothing if quiet else tell_of_interruption) as interruption:
        summary = score_folder(
            folder,
            model,
            out,
            options,
            progress=open_progress(quiet=quiet),
            interruption=interruption,
        )
    if not quiet:
        tell_result(summary.in_words(out))
    if interruption.requested:
        return interruption.exit_code
    if summary.outcome == "stopped":
        return TOO_MANY_FAILURES
    return FAILED_SCANS if summary.counts.failed else 0


def tell_of_interruption() -> None:
    """Say that the request was heard: what is in flight may take a while."""
    line = "\n" + INTERRUPTED if sys.stderr.isatty() else INTERRUPTED  # below the bar
    # Past Python's buffers: a signal may have come while they were being written.
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), line.encode())


def tell_result(words: str) -> None:
    """Say how a run went, if anybody listens: whoever does not changes nothing of it."""
    try:
        typer.echo(words)
    except OSError:
        # What is left in the stream would be tried again at our end, and be our exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, sys.stdout.fileno())


def tell_by_the_way(words: str) -> None:
    """Say what is neither a result nor an error."""
    typer.echo(printable(words), err=True)


def nothing() -> None:
    """Say nothing."""


def run_list(
    folder: "Place", out: "Place", choice: "Choice", part: "Part | None", *, as_json: bool
) -> int:
    """Say what would be scored; the exit code that scoring it would have, as far as is known."""
    from infer import listing

    scans, left_out = listing.list_scans(folder, out, choice, part=part)
    typer.echo(listing.as_json(scans) if as_json else listing.as_table(scans))
    if left_out:
        typer.echo(left_out, err=True)
    return FAILED_SCANS if any(scan.claim is None for scan in scans) else 0


def run_merge(folders: Sequence["Place"], out: "Place", *, quiet: bool) -> int:
    """Join the reports of parts, say what is missing; the exit code."""
    from infer.merge import merge_reports

    target = here(out, "--merge")
    merged = merge_reports([here(folder, "--merge") for folder in folders], target)
    if not quiet:
        typer.echo(merged.in_words(target))
    for line in merged.gaps:
        typer.echo(f"missing: {printable(line)}", err=True)
    if merged.gaps:
        return INCOMPLETE
    return FAILED_SCANS if merged.counts["failed"] else 0


def run_monitor(folders: Sequence["Place"], out: "Place", *, as_json: bool, quiet: bool) -> int:
    """Show how runs lie beside their models' normals; the exit code."""
    from infer import monitored_table
    from infer.monitored_page import write_monitored
    from infer.monitored_runs import read_runs

    monitored = read_runs([here(folder, "--monitor") for folder in folders])
    if as_json:
        typer.echo(monitored_table.as_json(monitored))
    else:
        path = write_monitored(here(out, "--monitor"), monitored)
        if not quiet:
            typer.echo(monitored_table.as_table(monitored, terminal=sys.stdout.isatty()))
            typer.echo(f"  {printable(str(path))}")
    for line in monitored_table.left_out_lines(monitored.left_out):
        typer.echo(line, err=True)
    return INCOMPLETE if monitored.left_out else 0


def refuse_unheeded(asked: set[str]) -> None:
    """See that nothing was asked for that this use of the command does not do.

    Raises:
        UnknownChoiceError: something was.
    """
    for use, taken in TAKEN_BY.items():
        if use in asked and (left := sorted(asked - taken)):
            option, own = map(option_of, (left[0], use))
            raise UnknownChoiceError(
                f"{option} does nothing beside {own}", hint=f"leave {option} out"
            )


def option_of(parameter: str) -> str:
    """What users type for a parameter of the command."""
    names = {"folders": "FOLDER", "list_scans": "--list", "as_json": "--json"}
    return names.get(parameter, "--" + parameter.replace("_", "-"))


def part_asked_for(text: str) -> "Part":
    """What `--part` means here.

    Raises:
        UnknownChoiceError: it is no part, or nothing says which.
    """
    from infer.job_array import AUTO, part_from
    from infer.part import part_of

    return part_from(text, os.environ) if text.startswith(AUTO) else part_of(text)


def only(folders: Sequence["Place"]) -> "Place":
    """The one folder that is to be scored.

    Raises:
        UnknownChoiceError: there are several.
    """
    if len(folders) > 1:
        raise UnknownChoiceError(
            f"one FOLDER is scored at a time, found {len(folders)}",
            hint="name the folder above them; or, to join their reports, add --merge",
        )
    return folders[0] if folders else given(None, "FOLDER")


def here(place: "Place", what: str) -> Path:
    """A path of this machine.

    Raises:
        UnknownChoiceError: it is in a store.
    """
    if not isinstance(place, Path):
        raise UnknownChoiceError(
            f"{what} wants folders of this machine, {place} is in a store",
            hint="copy it here first",
        )
    return place


def given(value: Value | None, name: str) -> Value:
    """The value of an argument that this use of the command needs.

    Raises:
        UnknownChoiceError: it is missing.
    """
    if value is None:
        raise UnknownChoiceError(
            f"{name} is missing", hint="uad-infer FOLDER --model FILE; uad-infer --help says more"
        )
    return value


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Say what went wrong and what to do, without a traceback; bugs keep theirs."""
    try:
        yield
    except UadError as error:
        typer.echo(f"error: {printable(str(error))}", err=True)
        if error.hint:
            typer.echo(f"hint:  {printable(error.hint)}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(getattr(error, "exit_code", 128 + signal.SIGINT)) from error


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(uad_infer)


def main() -> None:
    """The console script."""
    for missing in (0, 1, 2):  # a scheduler may close them: what we open would be taken for one
        try:
            os.fstat(missing)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # of one that was closed
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - until our end
    # NumPy's matrix products would call up threads of their own beside our workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of a terminal that knows few letters
    try:
        app()
    except SystemExit as done:
        if isinstance(done.code, int) and done.code > 128:
            # Given up at once, threads still score: a Python that shuts down beneath them aborts.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(done.code)
        raise
    except Exception:
        traceback.print_exc()
        raise SystemExit(BUG) from None


if __name__ == "__main__":
    main()
