"""P3: value and gradient of the log-likelihood of a sample, from its rows and from its sufficient statistics."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted, with_goals
from gdiff import SufficientStatistics, multivariate_normal

SIZES = [("n", n, 20) for n in (1000, 10_000, 100_000)] + [("d", 100_000, d) for d in (5, 10, 20, 40)]
# (from, n, d): goal against autodiff, times the limit, predicted
GOALS = {("rows", 100_000, 20): (12, None, 10), ("statistics", 100_000, 20): (2000, None, 2000)}


def _sum(logpdf: Callable) -> Callable:
    return jax.value_and_grad(lambda mean, cov, data: jnp.sum(logpdf(data, mean, cov)), (0, 1))


def _ours(mean: Any, cov: Any, data: Any) -> Any:
    return jax.value_and_grad(multivariate_normal.log_likelihood, (1, 2))(data, mean, cov)


def cases(sizes: list[tuple[str, int, int]] = SIZES, last: tuple[str, int, int] = ("n", 100_000, 20)) -> Iterator[Case]:
    """From rows: n x d numbers to read, n d^2 products. From statistics: nothing grows with n."""
    for source, (axis, n, d) in [("rows", size) for size in sizes] + [("statistics", last)]:
        rng = np.random.default_rng(d)
        mean, cov = rng.normal(size=d), reference.covariances(rng, d=d)
        data = rng.normal(size=(n, d))
        given = data if source == "rows" else jax.jit(SufficientStatistics.of)(data)
        asked = (source, n, d) in GOALS and axis == "n"
        logpdfs = peers.others() if asked and source == "rows" else {}
        sides = {
            OURS: jitted(_ours, mean, cov, given),
            PEER: jitted(_sum(peers.autodiff), mean, cov, data),
            **({"copy": jitted(jnp.negative, data, limit=True)} if source == "rows" else {}),
            **{name: f and jitted(_sum(f), mean, cov, data) for name, f in logpdfs.items()},
        }
        case = Case(
            "P3",
            f"n = {n:,}, d = {d}, from {source}",
            sides,
            reference.log_likelihood(data, mean, cov),
            reference.bound(cov),
            series=axis if source == "rows" else None,
            size={"n": n, "d": d}[axis],
            theory={"n": 1, "d": 2}[axis],
        )
        yield with_goals(case, GOALS, (source, n, d) if asked else None)
