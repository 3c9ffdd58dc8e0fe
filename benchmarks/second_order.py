"""P5: jax.hessian of gdiff's log-likelihood, for those who keep to autodiff's interface."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted, with_goals
from gdiff import multivariate_normal

# (d, n): goal against autodiff, times the limit, predicted
GOALS = {(20, 1000): (10, None, 2)}


def _ours(data: Any, mean: Any, cov: Any) -> Any:
    return jax.hessian(multivariate_normal.log_likelihood, (1, 2))(data, mean, cov)


def _theirs(data: Any, mean: Any, cov: Any) -> Any:
    return jax.hessian(lambda mean, cov: jnp.sum(peers.autodiff(data, mean, cov)), (0, 1))(mean, cov)


def free_entries(data: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> Any:
    """The four blocks in (mean, Sigma), N H N: from the Hessian in vech, spread over both triangles by halves."""
    d, h = len(mean), reference.hessian(data, mean, cov)
    dup = reference.duplication(d)
    spread = dup / dup.sum(axis=0)  # D⁺'
    cross = (h[:d, d:] @ spread.T).reshape(d, d, d)
    covs = (spread @ h[d:, d:] @ spread.T).reshape(d, d, d, d)
    return ((h[:d, :d], cross), (np.moveaxis(cross, 0, -1), covs))


def cases(sizes: tuple[tuple[int, int], ...] = ((5, 1000), (10, 1000), (20, 1000))) -> Iterator[Case]:
    """Each (d, n)."""
    for d, n in sizes:
        rng = np.random.default_rng(d)
        data, mean, cov = rng.normal(size=(n, d)), rng.normal(size=d), reference.covariances(rng, d=d)
        case = Case(
            "P5",
            f"jax.hessian, d = {d}, n = {n:,}",
            {OURS: jitted(_ours, data, mean, cov), PEER: jitted(_theirs, data, mean, cov)},
            free_entries(data, mean, cov),
            d * reference.bound(cov),
            series="d",
            size=d,
            seconds=5,
        )
        yield with_goals(case, GOALS, (d, n))
