"""`uad-infer`: parse, one call, print, exit code.

0 all scored · 1 finished with failed scans · 2 wrong usage or model · 130 interrupted
"""

import contextlib
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import infer
from infer.errors import UadError, UnknownChoiceError

if TYPE_CHECKING:
    from infer.batch import Options

FAILED_SCANS = 1
INTERRUPTED = 130


class Device(StrEnum):
    """What to compute on."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


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
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of scans: PNG, JPEG and TIFF images, NIfTI volumes."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model file (.onnx).")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.csv, masks/, …")] = Path(
        "uad-out"
    ),
    device: Annotated[
        Device, typer.Option(help="What to compute on; auto says what it chose.")
    ] = Device.AUTO,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Slices that go through the model together.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read, score and write; all cores.")
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start afresh instead of going on.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    describe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Print what a model file is, and exit.")
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
    # Heavy imports (numpy, OpenCV, ONNX Runtime) come after the options: `--help` is instant.
    with user_errors():
        if describe is not None:
            from infer.describe import describe_model

            typer.echo(describe_model(describe))
            return
        if self_test:
            from infer.self_test import check_model

            typer.echo(check_model(given(model, "--model"), device=device.value))
            return
        from infer.batch import Options

        options = Options(
            device=device.value,
            batch_size=batch_size,
            workers=workers,
            threshold=threshold,
            map_threshold=map_threshold,
            overlays=overlays.value,
            maps=maps,
            overwrite=overwrite,
        )
        code = run(given(folder, "FOLDER"), given(model, "--model"), out, options, quiet=quiet)
    raise typer.Exit(code)


def run(folder: Path, model: Path, out: Path, options: "Options", *, quiet: bool) -> int:
    """Score a folder, say how it went; the exit code."""
    from infer.batch import score_folder
    from infer.interruption import watching_for_interruption
    from infer.progress import open_progress

    with watching_for_interruption() as interruption:
        summary = score_folder(
            folder,
            model,
            out,
            options,
            progress=open_progress(quiet=quiet),
            interruption=interruption,
        )
    if not quiet:
        typer.echo(summary.in_words(out))
    if interruption.requested:
        return INTERRUPTED
    return FAILED_SCANS if summary.counts.failed else 0


def given(value: Path | None, name: str) -> Path:
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
        typer.echo(f"error: {error}", err=True)
        if error.hint:
            typer.echo(f"hint:  {error.hint}", err=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(uad_infer)


def main() -> None:
    """The console script."""
    # NumPy's matrix products would call up threads of their own beside our workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()


if __name__ == "__main__":
    main()
