"""How many workers a cluster has room for, and how large each may be."""

from collections.abc import Sequence
from typing import NamedTuple


class Machine(NamedTuple):
    """What one machine of a cluster offers."""

    cores: int
    gpus: int


class Room(NamedTuple):
    """How a cluster is divided among workers."""

    workers: int
    cores: int  # of each
    gpus: int  # of each: 0 or 1
    at_a_time: int  # pieces that one works on: threads keep a GPU busy, a core has enough with one


def room_on_cores(machines: Sequence[Machine], *, most: int) -> Room:
    """At most so many workers, on as many cores as there are then for each.

    A worker lies on one machine, and all are alike.

    >>> room_on_cores([Machine(8, 0), Machine(3, 0)], most=4)
    Room(workers=4, cores=2, gpus=0, at_a_time=1)
    """
    largest = max((machine.cores for machine in machines), default=0)
    for cores in range(largest, 0, -1):
        workers = workers_of(machines, cores=cores, gpus=0)
        if workers >= most or cores == 1:
            return Room(min(workers, most), cores, gpus=0, at_a_time=1)
    return Room(0, 0, gpus=0, at_a_time=1)


def room_on_gpus(machines: Sequence[Machine], *, most: int) -> Room:
    """One worker for each GPU, with its share of the cores.

    >>> room_on_gpus([Machine(16, 2), Machine(8, 0)], most=100)
    Room(workers=2, cores=8, gpus=1, at_a_time=8)
    """
    with_gpus = [machine for machine in machines if machine.gpus]
    shares = [max(1, machine.cores // machine.gpus) for machine in with_gpus]
    cores = min(shares, default=0)
    workers = workers_of(with_gpus, cores=cores, gpus=1) if cores else 0
    return Room(min(workers, most), cores, gpus=1, at_a_time=max(1, cores))


def workers_of(machines: Sequence[Machine], *, cores: int, gpus: int) -> int:
    """How many workers of this size there is room for."""
    return sum(
        min(machine.cores // cores, machine.gpus // gpus if gpus else machine.cores)
        for machine in machines
    )
