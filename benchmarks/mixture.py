"""mixtures: every point under every component, and the gradient of the mixture's log-likelihood.

K covariances are to be factorised, and not one for each of the n K pairs: nothing of n K d^2 numbers is ever formed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from benchmarks import peers, reference
from benchmarks.cases import OURS, PEER, Case, WrongError, jitted
from gdiff import multivariate_normal

COUNT, COMPONENTS, D = 100_000, 32, 4


def value_and_gradient(densities: Callable) -> Callable:
    """The (n, K) log-densities, and the gradient of sum_i log sum_k N(x_i | mean_k, cov_k) / K."""

    def both(x: Any, mean: Any, cov: Any) -> Any:
        def total(mean: Any, cov: Any) -> Any:
            values = densities(x, mean, cov)
            return jnp.sum(jax.nn.logsumexp(values, axis=1)), values

        (_, values), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(mean, cov)
        return values, gradients

    return both


def broadcast(logpdf: Callable) -> Callable:
    """Points along the first axis, components along the second."""
    return lambda x, mean, cov: logpdf(x[:, None, :], mean, cov)


def over_components(logpdf: Callable) -> Callable:
    """One component at a time, by vmap."""
    return lambda x, mean, cov: jax.vmap(logpdf, (None, 0, 0), out_axes=1)(x, mean, cov)


def expected(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> Any:
    each = [reference.log_density(x, m, s)[0] for m, s in zip(mean, cov, strict=True)]
    values = np.stack(each, axis=1)
    weights = np.exp(values - logsumexp(values, axis=1, keepdims=True))
    gradients = []
    for w, m, s in zip(weights.T, mean, cov, strict=True):
        p, r = np.linalg.inv(s), x - m
        gradients.append((p @ (w @ r), (p @ ((w[:, None] * r).T @ r) @ p - w.sum() * p) / 2))
    return values, tuple(np.stack(g) for g in zip(*gradients, strict=True))


def largest_array(function: Callable, *arguments: Any) -> int:
    """The most numbers that any array of the traced function has."""

    def arrays(jaxpr: Any) -> Iterator[int]:
        for equation in jaxpr.eqns:
            yield from (v.aval.size for v in equation.outvars if hasattr(v.aval, "size"))
            for part in jax.extend.core.jaxprs_in_params(equation.params):
                yield from arrays(part)

    return max(arrays(jax.make_jaxpr(function)(*arguments).jaxpr))


def cases(n: int = COUNT, components: int = COMPONENTS, d: int = D) -> Iterator[Case]:
    """One mixture."""
    rng = np.random.default_rng(d)
    x, mean = rng.normal(size=(n, d)), rng.normal(size=(components, d))
    cov = reference.covariances(rng, components, d=d)
    function = value_and_gradient(broadcast(multivariate_normal.logpdf))
    if (largest := largest_array(function, x, mean, cov)) >= n * components * d * d:
        raise WrongError(f"mixtures: an array of {largest:,} numbers, as if each of the n K pairs had its matrix.")
    yield Case(
        "mixtures",
        f"n = {n:,}, K = {components}, d = {d}",
        {
            OURS: jitted(function, x, mean, cov),
            PEER: jitted(value_and_gradient(over_components(peers.autodiff)), x, mean, cov),
            "copy": jitted(lambda x: -x, np.ones((n, components)), limit=True),
        },
        expected(x, mean, cov),
        reference.bound(cov),
        predicted=10,
        notes={"largest array": largest},
    )
