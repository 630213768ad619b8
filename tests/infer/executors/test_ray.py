"""A Ray cluster of two nodes on this machine: what one process finds, whoever dies meanwhile."""

import json
import os
import signal
import socket
import time

import pytest

from infer.batch import score_folder
from infer.errors import BadOutputError, UadError, UnknownChoiceError
from infer.executors.executor import Executor
from infer.interruption import Interruption
from infer.progress import Silence
from tests.infer.run_options import options
from tests.infer.test_batch import report, results
from tests.infer.tiny_model import write_tiny_scans

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from infer.executors import ray as executors  # noqa: E402
from infer.executors.room import Room  # noqa: E402

NODES = 2


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    os.environ.update(executors.QUIET)
    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            # A node that was killed is noticed within seconds.
            "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 3},
        },
    )
    for _ in range(NODES):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.fixture
def connected(cluster):
    with executors.connected(cluster.address):
        yield cluster


def executor(workers=2, *, retries=1):
    return executors.RayExecutor(
        Room(workers, cores=1, gpus=0, at_a_time=1),
        most=workers,
        retries=retries,
        instead=lambda member, reason: (member, reason),
    )


# What follows is opened and called in processes of the cluster, which find it by its name.


def open_square():
    return lambda piece: [(member**2, os.getpid()) for member in piece]


def open_slow():
    def slow(piece):
        time.sleep(0.1)
        return [(member, os.getpid()) for member in piece]

    return slow


def open_mortal():
    def die_at_three(piece):
        if 3 in piece:
            os.kill(os.getpid(), signal.SIGKILL)
        return [(member, "") for member in piece]

    return die_at_three


def open_refusing():
    def refuse(piece):
        raise BadOutputError("the disk is full", hint="free some space")

    return refuse


def open_nothing():
    os._exit(7)


def flat(results):
    return [result for some in results for result in some]


def test_it_keeps_the_protocol():
    assert isinstance(executor(), Executor)


def test_nobody_is_told_that_ray_is_used(connected):
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()


def test_every_piece_of_work_is_done_once_on_both_nodes(connected):
    spread, taken, ahead = executor(), [], []

    def work():
        for at in range(40):
            taken.append(at)
            yield [at]

    found = []
    for some in spread.map(open_slow, work()):
        found += some
        ahead.append(len(taken) - len(found))
    assert max(ahead) <= NODES * (1 + executors.QUEUED)  # work is taken as it is needed
    assert sorted(member for member, _ in found) == list(range(40))
    assert len({pid for _, pid in found}) == NODES
    tallies = spread.tallies.values()
    assert [tally.workers for tally in tallies] == [1] * NODES
    assert sum(tally.scans for tally in tallies) == 40


def test_the_member_that_kills_is_found_and_its_neighbours_are_done(connected, capfd):
    spread = executor(retries=1)
    found = dict(flat(spread.map(open_mortal, [[1, 2, 3, 4], [5]])))
    assert capfd.readouterr().out == ""  # Ray has a page on each
    assert found.pop(3) == "its worker was lost twice, at last since its process ended"
    assert found == {1: "", 2: "", 4: "", 5: ""}
    assert sum(tally.lost for tally in spread.tallies.values()) == 2


def test_an_error_of_a_worker_is_raised_where_results_are_read(connected):
    with pytest.raises(BadOutputError, match="the disk is full") as raised:
        list(executor().map(open_refusing, [[1], [2]]))
    assert raised.value.hint == "free some space"


def test_workers_that_die_while_they_are_started_end_the_work(connected, monkeypatch):
    monkeypatch.setattr(executors, "MOST_FAILED_STARTS", 2)
    with pytest.raises(UadError, match="workers cannot be started on the cluster"):
        list(executor(1).map(open_nothing, [[1]]))


def run(scans, model, out, *, progress=None, **changed):
    return score_folder(
        scans,
        model,
        out,
        options(**changed),
        progress=progress or Silence(),
        interruption=Interruption(),
    )


def test_the_cluster_finds_what_this_machine_finds(cluster, scans, tiny_model, tmp_path):
    (scans / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    run(scans, tiny_model, tmp_path / "here", overlays="all", maps=True, batch_size=2)
    done = run(
        *(scans, tiny_model, tmp_path / "there"),
        overlays="all",
        maps=True,
        batch_size=2,
        workers=None,
        executor="ray",
        ray_address=cluster.address,
    )
    assert results(tmp_path / "here") == results(tmp_path / "there")
    assert [path.name for path in sorted((tmp_path / "there/maps").iterdir())] == [
        path.name for path in sorted((tmp_path / "here/maps").iterdir())
    ]
    here, there = (json.loads((tmp_path / it / "run.json").read_text()) for it in ("here", "there"))
    assert there["monitoring"] == here["monitoring"]
    told = there["machines"]
    # One may have done all before the other was ready.
    assert {machine["workers"] for machine in told} == {1}
    assert sum(machine["scans"] for machine in told) == 8
    assert done.in_words(tmp_path).count("scans by 1 workers") == len(told)


def test_what_one_run_has_done_a_cluster_does_not_do_again(cluster, scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    again = run(*(scans, tiny_model, tmp_path / "out"), executor="ray", ray_address=cluster.address)
    assert (again.counts.resumed, again.machines) == (7, [])


def test_scans_that_the_cluster_does_not_see_are_no_failed_rows(connected, tiny_model, tmp_path):
    from infer.sending import SentWorker, sent

    assert {"folder", "graph"} <= set(SentWorker.__slots__)
    with pytest.raises(BadOutputError, match="does not see") as refused:
        list(executor().map(_sent_elsewhere(sent, tiny_model, tmp_path), [[1]]))
    assert "every machine" in refused.value.hint


def _sent_elsewhere(sent, model, out):
    from infer.engine import open_engine
    from infer.options import choice_of
    from infer.worker import Worker

    engine = open_engine(model, device="cpu", threads=1)
    worker = Worker(
        engine=engine,
        manifest=engine.manifest,
        out=out,
        key="",
        folder="",
        overlays="none",
        maps=False,
        keep_identifiers=False,
        choice=choice_of(options(), "axial"),
        batch_size=1,
    )
    return sent(worker, out / "not-there")


def test_a_node_that_is_killed_half_way_costs_nothing(cluster, tiny_model, tmp_path):
    scans = write_tiny_scans(tmp_path / "scans", pictures=60)
    run(scans, tiny_model, tmp_path / "here", batch_size=1, overlays="all")
    doomed = cluster.add_node(num_cpus=1)

    class KillsHalfWay(Silence):
        killed = False

        def advance(self, rows, machines=()):
            if self.killed:
                return
            if len([it for it in machines if it.scans]) == NODES + 1:
                self.killed = True
                cluster.remove_node(doomed, allow_graceful=False)
            else:
                time.sleep(1)  # a worker that opens late still finds work

    killing = KillsHalfWay()
    done = run(
        *(scans, tiny_model, tmp_path / "there"),
        progress=killing,
        batch_size=1,
        overlays="all",
        workers=None,
        executor="ray",
        ray_address=cluster.address,
    )
    assert killing.killed
    assert results(tmp_path / "here") == results(tmp_path / "there")
    assert done.counts.failed == 0
    assert len(report(tmp_path / "there")) == 61
    assert sum(machine.lost for machine in done.machines) == 1


def test_where_there_is_no_cluster_it_is_said():
    refused = pytest.raises(UnknownChoiceError, match="there is no Ray cluster at nowhere")
    with refused, executors.connected("nowhere"):
        pass


def test_an_address_where_nothing_listens_is_refused_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # ours until here, and nobody's from then on
    started = time.monotonic()
    refused = pytest.raises(
        UnknownChoiceError, match=f"there is no Ray cluster at 127.0.0.1:{port}"
    )
    with refused, executors.connected(f"127.0.0.1:{port}"):
        pass
    assert time.monotonic() - started < 30  # Ray by itself asks for minutes
