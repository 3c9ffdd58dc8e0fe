"""P6: how long value and gradient take to trace and compile, from cleared caches."""

from collections.abc import Iterator

import jax
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, compiling_side
from benchmarks.large import value_and_gradient
from gdiff import multivariate_normal

GOAL = 1 / 1.5  # at most 1.5 times autodiff's
PREDICTED = {3: 0.7, 20: 0.7, 200: 0.5, 1000: 0.3}


def cases(sizes: tuple[int, ...] = (3, 20, 200, 1000)) -> Iterator[Case]:
    """Each d."""
    for d in sizes:
        rng = np.random.default_rng(d)
        x, mean = rng.normal(size=(2, d))
        cov = reference.covariances(rng, d=d)
        arguments = jax.device_put((x, mean, cov))
        yield Case(
            "P6",
            f"compile time, d = {d}",
            {
                OURS: compiling_side(value_and_gradient(multivariate_normal.logpdf), *arguments),
                PEER: compiling_side(value_and_gradient(peers.autodiff), *arguments),
            },
            reference.log_density(x, mean, cov),
            reference.bound(cov),
            goal=GOAL,
            predicted=PREDICTED.get(d),
            series="d",
            size=d,
            seconds=6,
        )
