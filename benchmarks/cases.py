"""A case: one workload at one size, its sides, what they must compute, and what is hoped for."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import jax
import numpy as np

from benchmarks.timing import Quartiles, interleaved, ratio

OURS, PEER = "gdiff", "autodiff"
TOLD = (
    *("id", "workload", "dtype", "peer", "bound", "predicted"),
    *("goal", "limit_goal", "memory_goal", "series", "size", "theory"),
)


class WrongError(AssertionError):
    """A side computes something else than the reference, so that its time means nothing."""


@dataclass(frozen=True)
class Side:
    """One way to do the work: `call` is timed, `result` (by default `call`) is held against the reference.

    A side with `limit` does what no way can do without, such as moving the bytes, and is held against nothing.
    """

    call: Callable[[], Any]
    result: Callable[[], Any] | None = None
    limit: bool = False
    compile_seconds: float | None = None
    output_bytes: int | None = None
    temporary_bytes: int | None = None


def jitted(function: Callable, *arguments: Any, limit: bool = False) -> Side:
    """A jitted function of arrays that already are on the device."""
    placed = jax.device_put(arguments)
    compiled, seconds = compiling(function, *placed)
    memory = compiled.memory_analysis()
    sizes = (memory.output_size_in_bytes, memory.temp_size_in_bytes) if memory else (None, None)
    call = partial(jax.jit(function), *placed)
    return Side(call, None, limit, seconds, *sizes)


def compiling(function: Callable, *arguments: Any) -> tuple[Any, float]:
    """The compiled function, and the seconds that tracing and compiling took from the start."""
    jax.clear_caches()
    start = perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    return compiled, perf_counter() - start


def compiling_side(function: Callable, *arguments: Any) -> Side:
    """A side whose time is that of tracing and compiling."""
    return Side(partial(compiling, function, *arguments), partial(jax.jit(function), *arguments))


def plain(function: Callable, *arguments: Any, limit: bool = False) -> Side:
    """A function as it is: eager, or not JAX's."""
    return Side(partial(function, *arguments), None, limit)


@dataclass(frozen=True)
class Case:
    """One workload at one size.

    `sides` by name; None is a peer that is not installed. `goal` is how many times faster than the peer, `limit_goal`
    how many times the first limit at most, `memory_goal` how many times the output at most; `predicted` is the ratio to
    the peer that was written down before measuring. Cases of one `series` differ in `size` alone, and cost grows with
    its power `theory`.
    """

    id: str
    workload: str
    sides: Mapping[str, Side | None]
    expected: Any
    bound: float
    goal: float | None = None
    limit_goal: float | None = None
    memory_goal: float | None = None
    predicted: float | None = None
    peer: str = PEER
    series: str | None = None
    size: int | None = None
    theory: float | None = None
    dtype: str = "float64"
    seconds: float = 3.0
    notes: Mapping[str, Any] = field(default_factory=dict)


def error(got: Any, want: Any) -> float:
    """The largest error of any array, relative to its largest entry; infinite where shapes differ or NaN appears."""
    got, want = jax.tree.leaves(got), jax.tree.leaves(want)
    if len(got) != len(want):
        return np.inf
    worst = 0.0
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        if g.shape != w.shape or not np.isfinite(g).all():
            return np.inf
        if w.size:
            worst = max(worst, float(np.max(np.abs(g - w)) / (np.max(np.abs(w)) or 1)))
    return worst


def check(case: Case) -> dict[str, float]:
    """The error of each side; WrongError if one is above the bound."""
    errors = {}
    for name, side in case.sides.items():
        if side is None or side.limit:
            continue
        errors[name] = error((side.result or side.call)(), case.expected)
        if not errors[name] <= case.bound:
            raise WrongError(
                f"{case.id}, {case.workload}: {name} is off by {errors[name]:.2g}, allowed {case.bound:.2g}."
            )
    return errors


def _measured(side: Side, sample: np.ndarray, error: float | None) -> dict[str, Any]:
    kept = ("compile_seconds", "output_bytes", "temporary_bytes")
    stated = {name: getattr(side, name) for name in kept if getattr(side, name) is not None}
    return {"seconds": Quartiles.of(sample)._asdict(), "rounds": len(sample), "error": error, **stated}


def measure(case: Case, seed: int = 0) -> dict[str, Any]:
    """Assert that the sides are right, time them, and tell: the record that goes into the JSON."""
    errors = check(case)
    present = {name: side for name, side in case.sides.items() if side is not None}
    samples = interleaved({name: side.call for name, side in present.items()}, case.seconds, seed=seed)
    others = [name for name in present if name != OURS]
    speedup = {name: ratio(samples[name], samples[OURS]) for name in others if not present[name].limit}
    over_limit = {name: ratio(samples[OURS], samples[name]) for name in others if present[name].limit}
    nearest = next(iter(over_limit.values()), None)
    ours = present[OURS]
    memory = None
    if ours.output_bytes and ours.temporary_bytes is not None:
        memory = (ours.output_bytes + ours.temporary_bytes) / ours.output_bytes
    wishes = [
        (case.goal, lambda goal: speedup[case.peer].median >= goal),
        (case.limit_goal, lambda goal: nearest is not None and nearest.median <= goal),
        (case.memory_goal, lambda goal: memory is not None and memory <= goal),
    ]
    met = [test(goal) for goal, test in wishes if goal is not None]
    return {name: getattr(case, name) for name in TOLD} | {
        "sides": {name: _measured(side, samples[name], errors.get(name)) for name, side in present.items()},
        "absent": [name for name, side in case.sides.items() if side is None],
        "speedup": {name: q._asdict() for name, q in speedup.items()},
        "over_limit": {name: q._asdict() for name, q in over_limit.items()},
        "memory_over_output": memory,
        "reached": all(met) if met else None,
        "notes": dict(case.notes),
    }


def with_goals(case: Case, goals: Mapping[Any, Sequence[float | None]], key: Any) -> Case:
    """The case with the (goal, limit goal, prediction) that stand under its key, if any do."""
    goal, limit_goal, predicted = goals.get(key, (None, None, None))
    return dataclasses.replace(case, goal=goal, limit_goal=limit_goal, predicted=predicted)
