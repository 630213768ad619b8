"""How a cluster is divided: never more than a machine holds, and as little idle as may be."""

from hypothesis import given
from hypothesis import strategies as st

from infer.executors.room import Machine, room_on_cores, room_on_gpus, workers_of

CLUSTERS = st.lists(st.builds(Machine, st.integers(0, 70), st.integers(0, 8)), max_size=6)
MOST = st.integers(1, 500)


@given(CLUSTERS, MOST)
def test_workers_are_as_many_as_asked_for_or_one_for_each_core(machines, most):
    room = room_on_cores(machines, most=most)
    assert room.workers == min(most, sum(machine.cores for machine in machines))


@given(CLUSTERS, MOST)
def test_they_fit_and_with_one_more_core_each_they_would_not(machines, most):
    room = room_on_cores(machines, most=most)
    if room.workers:
        assert workers_of(machines, cores=room.cores, gpus=0) >= room.workers
        assert workers_of(machines, cores=room.cores + 1, gpus=0) < most


@given(CLUSTERS, MOST)
def test_each_gpu_of_a_machine_with_cores_for_it_has_a_worker(machines, most):
    room = room_on_gpus(machines, most=most)
    with_cores = [min(machine.gpus, machine.cores) for machine in machines]
    assert room.workers == min(most, sum(with_cores))
    assert room.at_a_time >= 1
