"""How fast engines are beside each other: in turns, so that what else the machine does hits all."""

import time
from collections.abc import Mapping
from statistics import median

from infer.engine_batches import Engine
from infer.shapes import Images

ROUNDS = 25


def seconds_per_image(
    engines: Mapping[str, Engine], images: Images, *, rounds: int = ROUNDS
) -> dict[str, float]:
    """The median over the rounds, of one batch of these images."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.run(images)  # the first time, memory is laid out
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.run(images)
            taken[name].append(time.perf_counter() - start)
    return {name: median(times) / len(images) for name, times in taken.items()}
