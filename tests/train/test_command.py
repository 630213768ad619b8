import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infer.errors import UadError
from train.command import run_stage

PARAMS = str(Path(__file__).parents[2] / "params.yaml")


def stage(params, method, seed="0"):
    if method == "none":
        raise UadError("there is none", hint="name one")
    print(params.study, method, seed)


@pytest.mark.parametrize("arguments", [[], [PARAMS], [PARAMS, "cae", "1", "more"]])
def test_missing_and_superfluous_arguments_are_told_in_a_sentence(arguments, capsys):
    assert run_stage(stage, arguments) == UadError.exit_code
    said = capsys.readouterr().err
    assert "this stage takes PARAMS METHOD" in said
    assert (arguments[-1] if arguments else "nothing") in said


def test_arguments_go_to_the_stage(capsys):
    assert run_stage(stage, [PARAMS, "cae"]) == 0
    assert run_stage(stage, [PARAMS, "cae", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == ["phantom cae 0", "phantom cae 1"]


def test_an_interrupted_stage_ends_of_the_signal_with_a_sentence_and_no_traceback(tmp_path):
    """Of the signal, so that a shell's loop over methods ends with it."""
    own = (
        "import signal, sys\n"
        # As in a terminal: what a script starts in the background is deaf to it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from train.command import run_stage\n"
        "def stage(params):\n    signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(run_stage(stage, sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", own, PARAMS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == "interrupted: the same command goes on, or begins again\n"


def test_what_the_user_can_mend_is_said_without_a_traceback(capsys):
    assert run_stage(stage, [PARAMS, "none"]) == UadError.exit_code
    assert capsys.readouterr().err == "error: there is none\nhint:  name one\n"
