"""A worker is opened by a process that does not find its module by itself."""

import pickle
import subprocess
import sys
from functools import partial

from infer.executors.elsewhere import opened_with

MODULE = """
def opened(number):
    return lambda given: given * number
"""


def python(script):
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_module_of_the_sender_is_found_in_another_process(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    opening = opened_with([str(tmp_path)], partial(only_here.opened, 7))
    sent = tmp_path / "sent"
    sent.write_bytes(pickle.dumps(opening))
    script = f"import pickle; print(pickle.load(open({str(sent)!r}, 'rb'))()(6))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "42", done.stderr
    bare = f"import pickle; pickle.loads({pickle.dumps(partial(only_here.opened, 7))!r})"
    refused = subprocess.run(
        [sys.executable, "-c", bare], capture_output=True, text=True, check=False
    )
    assert "No module named 'only_here'" in refused.stderr
