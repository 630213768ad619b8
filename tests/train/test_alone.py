"""What one process writes, no other writes at the same time."""

import subprocess
import sys

import pytest

from infer.errors import UadError
from train.alone import alone_at

HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from train.alone import alone_at\n"
    "with alone_at(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(600)"
)


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_went(tmp_path):
    path = tmp_path / "models" / "cae.resume"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        refusal = pytest.raises(UadError, match=r"another process is writing .*cae\.resume")
        with refusal, alone_at(path):
            pytest.fail("both hold it")
        holder.kill()
    with alone_at(path):
        assert not path.exists()


def test_where_no_lock_can_be_put_is_said(tmp_path):
    (tmp_path / "models").touch()
    refusal = pytest.raises(UadError, match=r"cae\.resume cannot be locked")
    with refusal, alone_at(tmp_path / "models" / "cae.resume"):
        pytest.fail("nothing holds it")
