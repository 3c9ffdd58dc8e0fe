"""P2: value and gradient of one Gaussian in many dimensions, against LAPACK's own factorisation and inverse."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from scipy.linalg import lapack

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, jitted, plain, with_goals
from gdiff import multivariate_normal

# d: goal against autodiff, times the limit, predicted
GOALS = {500: (3.5, 1.5, 3.0), 1000: (3.5, 1.5, 3.4)}


def value_and_gradient(logpdf: Callable) -> Callable:
    """The value and the gradient in mean and cov, for one Gaussian."""
    return jax.value_and_grad(logpdf, (1, 2))


def potrf_potri(cov: np.ndarray) -> Any:
    """LAPACK's Cholesky factor and the inverse from it, one triangle."""
    factor, _ = lapack.dpotrf(cov, lower=1)
    return lapack.dpotri(factor, lower=1, overwrite_c=1)[0]


def cases(sizes: tuple[int, ...] = (16, 32, 64, 125, 250, 500, 1000)) -> Iterator[Case]:
    """Each d; the cost is that of d^3 products."""
    for d in sizes:
        rng = np.random.default_rng(d)
        x, mean = rng.normal(size=(2, d))
        cov = reference.covariances(rng, d=d)
        logpdfs = peers.others() if d in GOALS else {}
        sides = {
            OURS: jitted(value_and_gradient(multivariate_normal.logpdf), x, mean, cov),
            PEER: jitted(value_and_gradient(peers.autodiff), x, mean, cov),
            "potrf + potri": plain(potrf_potri, np.asfortranarray(cov), limit=True),
            **{name: f and jitted(value_and_gradient(f), x, mean, cov) for name, f in logpdfs.items()},
        }
        expected, bound = reference.log_density(x, mean, cov), reference.bound(cov)
        case = Case("P2", f"one Gaussian, d = {d}", sides, expected, bound, series="d", size=d, theory=3)
        yield with_goals(case, GOALS, d)
