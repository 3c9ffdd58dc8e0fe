"""P7: one small Gaussian, one observation: the cost of a call."""

from collections.abc import Iterator

import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted
from benchmarks.large import value_and_gradient
from gdiff import multivariate_normal

PREDICTED = {2: 1.0, 5: 0.9, 20: 1.2}


def cases(sizes: tuple[int, ...] = (2, 5, 20)) -> Iterator[Case]:
    """Each d, jitted."""
    for d in sizes:
        rng = np.random.default_rng(d)
        x, mean = rng.normal(size=(2, d))
        cov = reference.covariances(rng, d=d)
        others = {name: f and jitted(value_and_gradient(f), x, mean, cov) for name, f in peers.others().items()}
        yield Case(
            "P7",
            f"one call, d = {d}, n = 1",
            {
                OURS: jitted(value_and_gradient(multivariate_normal.logpdf), x, mean, cov),
                PEER: jitted(value_and_gradient(peers.autodiff), x, mean, cov),
                **others,
            },
            reference.log_density(x, mean, cov),
            reference.bound(cov),
            goal=1,
            predicted=PREDICTED.get(d),
            series="d",
            size=d,
            seconds=2,
        )
