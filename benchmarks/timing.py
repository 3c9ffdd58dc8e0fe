"""Interleaved timing, the one idea of these benchmarks: a ratio of two things measured in turn, round after round.

A single absolute time means nothing on a noisy machine. Every round times each side once, in a random order; a ratio is
taken within a round, and the median and quartiles over rounds are what is told. Where a side is long, the cores come to
rest before each: OpenBLAS keeps its threads spinning for 30 to 120 ms, which is no affair of the side that comes next.
Nor is it that cores are slow when they have rested, so a short side is run for a while before it is timed.
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, process_time, sleep
from typing import Any, NamedTuple

import jax
import numpy as np

SHORTEST = 2e-3  # seconds that one measurement lasts at least: short calls are repeated
REST = 20e-3  # seconds in which nothing runs before a side is timed, where one of them is longer than SHORTEST
IDLE = 0.05  # of one core: what the process still uses while nothing runs
LONGEST_REST = 1.0  # seconds after which a side is timed even so
WARM = 10e-3  # seconds for which a side is run untimed after a rest: a copy of 14 MB takes 1.7 ms at first, then 1.1
LONG = 50e-3  # seconds from which a call is not run once untimed before it is timed


class Quartiles(NamedTuple):
    """The median and the quartiles of a sample."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, sample: Sequence[float] | np.ndarray) -> "Quartiles":
        """Of numbers in any order."""
        lower, median, upper = np.percentile(np.asarray(sample, float), [25, 50, 75])
        return cls(float(median), float(lower), float(upper))


def once(call: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds that one call takes until its results are there, over `repeats` calls in a row."""
    start = perf_counter()
    for _ in range(repeats):
        jax.block_until_ready(call())
    return (perf_counter() - start) / repeats


def rest() -> None:
    """Sleep until no thread of this process is at work, the ones that only wait for more of it included."""
    end = perf_counter() + LONGEST_REST
    while perf_counter() < end:
        used, start = process_time(), perf_counter()
        sleep(REST)
        if process_time() - used < IDLE * (perf_counter() - start):
            return


def warm_up(call: Callable[[], Any], seconds: float) -> None:
    """Call once at least, and until so many seconds have gone by."""
    end = perf_counter() + seconds
    once(call)
    while perf_counter() < end:
        once(call)


def interleaved(
    calls: Mapping[str, Callable[[], Any]], seconds: float = 3.0, rounds: tuple[int, int] = (5, 60), seed: int = 0
) -> dict[str, np.ndarray]:
    """Seconds a call, (rounds,) for each side; as many rounds as fit into `seconds`, within the limits."""
    repeats, cost = {}, {}
    for name, call in calls.items():
        warm_up(call, WARM)  # compiles, fills caches
        first = once(call)
        repeats[name] = max(1, math.ceil(SHORTEST / first))
        cost[name] = first
    rested = max(cost.values()) > SHORTEST
    total = sum(REST * rested + repeats[name] * cost[name] for name in calls)
    count = int(np.clip(seconds / total, *rounds))
    rng = np.random.default_rng(seed)
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for _ in range(count):
            for name in rng.permutation(names):
                if rested:
                    rest()
                if cost[name] < LONG:  # another side has just had the caches, and the cores have rested
                    warm_up(calls[name], WARM if rested else 0)
                times[name].append(once(calls[name], repeats[name]))
    finally:
        gc.enable()
    return {name: np.array(t) for name, t in times.items()}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> Quartiles:
    """How many times longer one side takes than another, taken round by round."""
    return Quartiles.of(numerator / denominator)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log cost against log size by least squares: cost = c size^slope."""
    if len(set(sizes)) < 2:
        raise ValueError(f"got sizes {list(sizes)}, wanted two different ones at least.")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
