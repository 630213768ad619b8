"""A study that is a copy of another and still goes by its name.

DVC runs the file that `params_file` names, whichever it was read in: of a copy in which that was
left as it was, it would run the other study. A copy with the other's `study` would replace what
that has made.
"""

from pathlib import Path

from train.params import BadParamsError, Params, load

BESIDE = "studies/*/params.yaml"


def refuse_copies(params: Params) -> None:
    """Look at the studies of the repository that one stands in.

    Raises:
        BadParamsError: it names another's file as its own, another names its file, or is called as
            it is.
    """
    studies = {path: it for path in sorted(Path().glob(BESIDE)) if (it := _study_at(path))}
    own = Path(params.path).resolve()
    for path, it in studies.items():
        named = Path(str(it.values["params_file"]))
        is_ours = own in (path.resolve(), named.resolve())
        if is_ours and named.resolve() != path.resolve():
            raise BadParamsError(
                f"{path}: params_file is {named}, which DVC would run in its stead",
                hint=f"write params_file: {path.as_posix()}",
            )
    for path, it in studies.items():
        if it.study == params.study and path.resolve() != own:
            raise BadParamsError(
                f"{path} and {params.path} are both called {params.study}: each would replace what "
                "the other has made",
                hint="give one of them another name: study",
            )


def _study_at(path: Path) -> Params | None:
    try:
        return load(path)
    except BadParamsError:  # which is told once that study is run
        return None
