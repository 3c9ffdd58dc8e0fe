"""P1: value and gradient of 100,000 small Gaussians at once, each with its own mean and covariance."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted, with_goals
from gdiff import multivariate_normal

COUNT = 100_000
# (dtype, d): goal against autodiff, times the limit, predicted
GOALS = {
    ("float64", 2): (40, None, 40),
    ("float64", 3): (25, None, 21),
    ("float64", 4): (15, None, 15),
    ("float64", 8): (4, None, 2),
    ("float32", 2): (40, None, 60),
    ("float32", 3): (25, None, 35),
    ("float32", 4): (15, None, 25),
    ("float32", 8): (4, None, 3),
}


def value_and_gradient(logpdf: Callable) -> Callable:
    """(values, gradients in mean and cov) of a batch."""

    def both(x: Any, mean: Any, cov: Any) -> Any:
        def total(mean: Any, cov: Any) -> Any:
            values = logpdf(x, mean, cov)
            return jnp.sum(values), values

        (_, values), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(mean, cov)
        return values, gradients

    return both


def cases(
    doubles: tuple[int, ...] = (2, 3, 4, 6, 8, 12), singles: tuple[int, ...] = (2, 3, 4, 8), count: int = COUNT
) -> Iterator[Case]:
    """Each dtype and d; the limit moves the same bytes, from the inputs to the gradients."""
    for dtype, d in [("float64", d) for d in doubles] + [("float32", d) for d in singles]:
        rng = np.random.default_rng(d)
        x, mean = rng.normal(size=(2, count, d)).astype(dtype)
        cov = reference.covariances(rng, count, d=d).astype(dtype)
        asked = (dtype, d) in GOALS
        logpdfs = peers.others() if asked and dtype == "float64" else {}
        sides = {
            OURS: jitted(value_and_gradient(multivariate_normal.logpdf), x, mean, cov),
            PEER: jitted(value_and_gradient(peers.autodiff), x, mean, cov),
            "copy": jitted(lambda x, m, s: (x[:, 0] + m[:, 0], (-m, -s)), x, mean, cov, limit=True),
            **{name: f and jitted(value_and_gradient(f), x, mean, cov) for name, f in logpdfs.items()},
        }
        case = Case(
            "P1",
            f"{count:,} Gaussians, d = {d}",
            sides,
            reference.log_density(x, mean, cov),
            reference.bound(cov, dtype),
            series="d" if dtype == "float64" else f"d, {dtype}",
            size=d,
            dtype=dtype,
        )
        yield with_goals(case, GOALS, (dtype, d))
