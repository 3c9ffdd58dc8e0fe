"""Other libraries' log-densities, each logpdf(x, mean, cov) with batch axes that broadcast; None if not installed."""

import importlib
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import Any

import jax.numpy as jnp
from jax.scipy.stats import multivariate_normal as jax_scipy

PACKAGES = {"numpyro": "numpyro", "tfp": "tfp-nightly", "distrax": "distrax"}


@cache
def package(name: str) -> Any:
    """An optional package, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def autodiff(x: Any, mean: Any, cov: Any) -> Any:
    """jax.scipy's, which JAX differentiates through a Cholesky factorisation."""
    return jax_scipy.logpdf(x, mean, cov)


def _numpyro() -> Callable | None:
    if (module := package("numpyro.distributions")) is None:
        return None
    return lambda x, mean, cov: module.MultivariateNormal(mean, covariance_matrix=cov).log_prob(x)


def _tfp() -> Callable | None:
    if (module := package("tensorflow_probability.substrates.jax.distributions")) is None:
        return None
    return lambda x, mean, cov: module.MultivariateNormalTriL(mean, jnp.linalg.cholesky(cov)).log_prob(x)


def _distrax() -> Callable | None:
    if (module := package("distrax")) is None:
        return None
    return lambda x, mean, cov: module.MultivariateNormalFullCovariance(mean, cov).log_prob(x)


def others() -> dict[str, Callable | None]:
    """The optional peers by name."""
    return {"numpyro": _numpyro(), "tfp": _tfp(), "distrax": _distrax()}


def versions() -> dict[str, str | None]:
    """The installed versions of the optional peers."""
    found: dict[str, str | None] = {}
    for name, package in PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
