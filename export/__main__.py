"""`python -m export …`: what is done with a model once it is exported.

0 done · 1 done, and what was found is not as it should be (see the command) · 2 refused, and why
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from infer.cli import user_errors
from infer.printable import printable

NOT_AS_IT_SHOULD_BE = 1

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.onnx).")]

# Heavy imports (torch, MLflow) come after the options: `--help` is instant.


def say(text: str) -> None:
    """Print what may hold names of files."""
    typer.echo("\n".join(map(printable, text.split("\n"))))


@app.callback()
def commands() -> None:
    """What is done with a model once it is exported."""


@app.command()
def recalibrate(
    model: Model,
    normals: Annotated[Path, typer.Option(help="Folder of the site's own normal scans.")],
    false_positive_rate: Annotated[
        float, typer.Option(help="Share of normal scans that may be called anomalous.")
    ],
    map_false_positive_rate: Annotated[
        float,
        typer.Option(
            help="Share of their pixels that may lie above the map's threshold; one of the "
            "network's own odds stays as it is."
        ),
    ] = 0.01,
    out: Annotated[
        Path | None, typer.Option(help="The new file; MODEL-recalibrated.onnx beside it.")
    ] = None,
) -> None:
    """Write a new model file with thresholds from a site's own normal scans."""
    with user_errors():
        from export.recalibration import Rates, recalibrate

        rates = Rates(scans=false_positive_rate, pixels=map_false_positive_rate)
        target = out or model.with_name(f"{model.stem}-recalibrated{model.suffix}")
        say(recalibrate(model, normals, rates=rates, out=target).in_words())


@app.command()
def sign(
    model: Model,
    key: Annotated[Path, typer.Option(help="An Ed25519 private key in PEM, without password.")],
) -> None:
    """Sign a model file in place; `uad-infer --require-signature` asks for it."""
    with user_errors():
        from export.signing import sign

        say(f"{model}: signed, the public key's fingerprint is {sign(model, key)}")


@app.command()
def card(
    model: Model,
    out: Annotated[
        Path | None, typer.Option(help="A .md or .html file; MODEL.md beside the model.")
    ] = None,
) -> None:
    """Write a model card: use and limits, numbers, baselines, thresholds, origin."""
    with user_errors():
        from export.card import write_card

        say(f"{write_card(model, out or model.with_suffix('.md'))}")


@app.command()
def promote(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="E.g. fanogan.")],
    study: Annotated[str, typer.Option(help="E.g. head_ct; its test scans must be here.")],
    alias: Annotated[str, typer.Option(help="What the version is called then.")] = "champion",
    version: Annotated[str | None, typer.Option(help="The candidate; the one in models/.")] = None,
    force: Annotated[
        bool, typer.Option(help="Though it is worse; the version's tags say so.")
    ] = False,
) -> None:
    """Give a registered version an alias; exit code 1 if it is worse than who holds it."""
    with user_errors():
        from export.promotion import promote

        found = promote(study, method, alias=alias, version=version, force=force)
        say(found.in_words())
    if not found.promoted:
        raise typer.Exit(NOT_AS_IT_SHOULD_BE)


@app.command()
def trace(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A mask, report.csv, a folder of results or a model."),
    ],
) -> None:
    """Say what made a result or a model, link by link; exit code 1 if a link is broken."""
    with user_errors():
        from export.trace import in_words, trace

        links = trace(path)
        say(in_words(links))
    if not all(link.holds for link in links):
        raise typer.Exit(NOT_AS_IT_SHOULD_BE)


if __name__ == "__main__":
    sys.exit(app())
