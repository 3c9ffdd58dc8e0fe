"""P4: the full Hessian in (mean, vech Sigma): one matrix, each entry written once, and what memory that takes."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted, with_goals
from gdiff import closed_form, symmetric

LARGE = 50  # from here on jax.hessian takes seconds and is left out
PEAK = 100  # the dimension at which peak memory is read: an output of 212 MB
# (d, n): goal against autodiff, times the limit, predicted
GOALS = {(20, 1): (15, None, 15), (20, 1000): (900, None, 700), (50, 1): (None, 2, None)}


def ours(data: Any, mean: Any, cov: Any) -> Any:
    return closed_form.hessian(data, mean, cov).matrix()


def by_autodiff(logpdf: Callable) -> Callable:
    """jax.hessian in the joint vector (mean, vech Sigma)."""

    def hessian(data: Any, mean: Any, cov: Any) -> Any:
        d = len(mean)

        def value(theta: Any) -> Any:
            return jnp.sum(logpdf(data, theta[:d], symmetric.unvech(theta[d:])))

        return jax.hessian(value)(jnp.concatenate([mean, symmetric.vech(cov)]))

    return hessian


def inputs(d: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(d)
    return rng.normal(size=(n, d)), rng.normal(size=d), reference.covariances(rng, d=d)


def cases(
    sizes: tuple[tuple[int, int], ...] = ((5, 1), (10, 1), (20, 1), (20, 1000), (35, 1), (50, 1)),
) -> Iterator[Case]:
    """Each (d, n). The limits write the output, and copy one of its size: k^2 numbers, so d^4."""
    for d, n in sizes:
        arguments = inputs(d, n)
        size = d + symmetric.vech_size(d)
        case = Case(
            "P4",
            f"Hessian, d = {d}, n = {n:,}",
            {
                OURS: jitted(ours, *arguments),
                **({PEER: jitted(by_autodiff(peers.autodiff), *arguments)} if d < LARGE else {}),
                "fill": jitted(lambda x, size=size: jnp.full((size, size), x), 1.5, limit=True),
                "copy": jitted(jnp.negative, np.ones((size, size)), limit=True),
            },
            reference.hessian(*arguments),
            d * reference.bound(arguments[2]),
            memory_goal=3 if d == LARGE else None,
            series="d" if n == 1 else None,
            size=d,
            theory=4,
            notes={"peak memory over output": peak_memory()} if d == LARGE else {},
        )
        yield with_goals(case, GOALS, (d, n))


def peak_memory(d: int = PEAK) -> float | None:
    """The growth of a process's peak memory during `hessian(...).matrix()`, over the output: None if it cannot tell."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.hessian", str(d)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _grown(d: int) -> float | None:
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return None

    def peak() -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    jax.config.update("jax_enable_x64", True)
    arguments = jax.device_put(inputs(d, 1))
    output = 8 * (d + symmetric.vech_size(d)) ** 2
    compiled = jax.jit(ours).lower(*arguments).compile()
    jax.block_until_ready(jax.jit(ours)(*inputs(3, 1)))
    clear.write_text("5")  # from here on, the peak is counted anew
    before = peak()
    jax.block_until_ready(compiled(*arguments))
    return math.ceil(100 * (peak() - before) / output) / 100


if __name__ == "__main__":
    print(json.dumps(_grown(int(sys.argv[1]))))
