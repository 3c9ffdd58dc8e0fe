"""What the chapters share: arguments, sources, and plain functions that autodiff and differences are applied to.

The functions are written with `slogdet`, `solve` and `inv`, every entry free, and call no closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff.claim import Argument, Source
from gdiff.domains import General, LowerTriangular, PositiveDefinite, Symmetric, Vector


def cookbook(*equations: int, place: str = "") -> Source:
    """Petersen and Pedersen, The Matrix Cookbook, version of November 15, 2012; `place` where no number is printed."""
    return Source("cookbook", "Petersen and Pedersen, The Matrix Cookbook", "2012-11-15", equations, place)


def beyond(*numbers: int) -> Source:
    """Closed forms beyond the Cookbook, B01 to B73: what users of Gaussian models need and its list does not have."""
    return Source("beyond", "Closed forms beyond the Cookbook", "", numbers)


def covariance_note(*equations: int) -> Source:
    """Differentiation of functions of covariance matrices."""
    return Source("covariance-note", "Differentiation of functions of covariance matrices", "", equations)


MAGNUS_NEUDECKER = Source("magnus-neudecker", "Magnus and Neudecker, Matrix Differential Calculus", "3rd edition")

x = Argument("x", Vector(), ("d",), "observation")
data = Argument("X", General(), ("n", "d"), "sample")
mean = Argument("mu", Vector(), ("d",), "mean")
cov = Argument("S", PositiveDefinite(), ("d", "d"), "covariance")
precision = Argument("P", PositiveDefinite(), ("d", "d"), "precision")
factor = Argument("L", LowerTriangular(), ("d", "d"), "factor")
scatter = Argument("T", Symmetric(), ("d", "d"), "scatter")
general = Argument("X", General(), ("d", "d"))


@dataclass(frozen=True)
class Bounded(General):
    """Matrices of moderate norm: those of which a power series is summed."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """As General, the condition number at most 4 and the scale at most a half."""
        return super().sample(rng, shape, condition=min(condition, 4.0), scale=min(scale, 1.0) / 2)


BOUNDED = Bounded()


def log_det(s: Array) -> Array:
    """log|det S|."""
    return jnp.linalg.slogdet(s)[1]


def quadratic_form(v: Array, s: Array) -> Array:
    """v' S^-1 v."""
    return v @ jnp.linalg.solve(s, v)


def log_likelihood(rows: Array, mu: Array, s: Array) -> Array:
    """sum_i log N(x_i | mu, S), for one observation (d,) or rows (n, d)."""
    rows = jnp.atleast_2d(rows)
    resid = (rows - mu).T
    n, d = rows.shape
    mahalanobis = jnp.sum(resid * (jnp.linalg.inv(s) @ resid))  # a solve with n columns a point is slow in batches
    return -(mahalanobis + n * (log_det(s) + d * math.log(2 * math.pi))) / 2


def density(v: Array, mu: Array, s: Array) -> Array:
    """N(v | mu, S)."""
    return jnp.exp(log_likelihood(v, mu, s))


def sample_parts(rows: np.ndarray, mu: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """n, the mean residual r = xbar - mu, and the scatter C about the sample mean."""
    rows = np.atleast_2d(rows)
    about = rows - rows.mean(axis=0)
    return len(rows), rows.mean(axis=0) - mu, about.T @ about


def through_vech(f: Callable[..., Any], mu: Array, s: Array) -> tuple[Callable[[Array], Any], Array]:
    """F of one vector (mu, vech S), and that vector, written out entry by entry."""
    d = len(mu)
    places = [(i, j) for j in range(d) for i in range(j, d)]
    start = jnp.concatenate([mu, jnp.stack([s[i, j] for i, j in places])]) if d else mu

    def g(theta: Array) -> Any:
        entries = {}
        for position, (i, j) in enumerate(places):
            entries[i, j] = entries[j, i] = theta[d + position]
        matrix = jnp.stack([jnp.stack([entries[i, j] for j in range(d)]) for i in range(d)])
        return f(theta[:d], matrix)

    return g, start
