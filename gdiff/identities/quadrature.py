"""Exact expectations under Gaussians: Gauss-Hermite quadrature of polynomials, nodes and weights as arrays.

Three nodes a coordinate integrate polynomials to degree five in each, the product of two scores of a Gaussian among
them, without error. No closed form of gdiff is used.
"""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff.claim import Argument, Claim, Source
from gdiff.domains import PositiveDefinite, Vector

MEAN = Argument("m", Vector(), ("d",))
COVARIANCE = Argument("S", PositiveDefinite(), ("d", "d"))


def nodes(s: Array, count: int = 3) -> tuple[Array, Array]:
    """Points of x - mu, x ~ N(mu, S), one a row, and their weights: exact to degree 2 count - 1 in each coordinate."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    z = np.array(list(itertools.product(points, repeat=len(s)))).reshape(-1, len(s))
    w = np.array(list(itertools.product(weights / weights.sum(), repeat=len(s)))).prod(axis=1)
    return jnp.asarray(z) @ jnp.linalg.cholesky(s).T, jnp.asarray(w)


def expectation(f: Callable[[Array], Array], mu: Array | float, s: Array, count: int = 3) -> Array:
    """E f(x), x ~ N(mu, S)."""
    resid, w = nodes(s, count)
    return jnp.tensordot(w, jax.vmap(f)(mu + resid), axes=1)


def information(
    log_density: Callable[[Array, Array], Array], theta: Array, step: Array, mu: Array | float, s: Array
) -> Array:
    """The Fisher information in theta times a step, E[score score'] step; x ~ N(mu, S) at this theta.

    (A step and not the matrix: a "value" is moved entry by entry, and this one has as many as theta.)
    """

    def product(v: Array) -> Array:
        score = jax.grad(log_density, 1)(v, theta)
        return score * (score @ step)

    return expectation(product, mu, s)


def gaussian_moment(
    name: str,
    source: Source,
    title: str,
    statement: str,
    g: Callable[..., Array],
    formula: Callable[..., Array],
    *arguments: Argument,
    about_mean: bool = False,
) -> Claim:
    """E g(x, ...), or its (co)variance, for x ~ N(m, S)."""

    def function(m: Array, s: Array, *rest: Array) -> Array:
        if not about_mean:
            return expectation(lambda x: g(x, *rest), m, s)
        first = expectation(lambda x: g(x, *rest), m, s)
        return expectation(lambda x: jnp.prod(g(x, *rest) - first), m, s)

    return Claim(
        name=f"moment/{name}",
        title=title,
        statement=statement,
        function=function,
        derivative=formula,
        arguments=(MEAN, COVARIANCE, *arguments),
        wrt=(),
        kind="value",
        source=source,
        hypotheses=("x ~ N(m, S)",),
        dimensions=(1, 2),
    )
