"""P9: Fisher information of a structured Gaussian, against minus the expected Hessian by autodiff."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import reference
from benchmarks.cases import OURS, PEER, Case, Side, jitted
from gdiff import StructuredGaussian

INPUTS = 6  # a length scale each; with a trend of two, an amplitude and a noise: ten parameters
KRONECKER = 50  # dimensions up to which P⊗P is formed


def process(places: np.ndarray) -> Any:
    """A Gaussian process with a linear trend and a squared-exponential kernel: theta (10,) -> (mean, cov)."""

    def moments(theta: Any) -> Any:
        trend, amplitude, noise, lengths = theta[:2], theta[2], theta[3], theta[4:]
        scaled = places * jnp.exp(-lengths)
        apart = jnp.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=-1)
        smooth = jnp.exp(2 * amplitude - apart / 2)
        return trend[0] + trend[1] * places[:, 0], smooth + jnp.exp(2 * noise) * jnp.eye(len(places))

    return moments


def by_autodiff(moments: Any, theta: Any) -> Any:
    """-E[Hessian]: minus jax.hessian of the expected log-likelihood, the truth at theta."""
    truth_mean, truth_cov = jax.lax.stop_gradient(moments(theta))

    def expected(t: Any) -> Any:
        mean, cov = moments(t)
        factor, r = jnp.linalg.cholesky(cov), truth_mean - mean
        inner = jax.scipy.linalg.cho_solve((factor, True), truth_cov + r[:, None] * r[None, :])
        return -jnp.sum(jnp.log(jnp.diagonal(factor))) - jnp.trace(inner) / 2

    return -jax.hessian(expected)(theta)


def by_kronecker(moments: Any, theta: Any) -> Any:
    """dm' P dm + 1/2 vec(dS)' (P⊗P) vec(dS), as printed."""
    _, cov = moments(theta)
    d_mean, d_cov = jax.jacfwd(moments)(theta)
    p, flat = jnp.linalg.inv(cov), d_cov.reshape(cov.size, -1)
    return d_mean.T @ p @ d_mean + flat.T @ jnp.kron(p, p) @ flat / 2


def expected_information(places: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By NumPy from derivatives written out, and the covariance."""
    amplitude, noise, lengths = theta[2], theta[3], theta[4:]
    squares = (places[:, None, :] - places[None, :, :]) ** 2 * np.exp(-2 * lengths)
    smooth = np.exp(2 * amplitude - squares.sum(axis=-1) / 2)
    cov = smooth + np.exp(2 * noise) * np.eye(len(places))
    d_cov = [
        2 * smooth,
        2 * np.exp(2 * noise) * np.eye(len(places)),
        *(smooth * squares[..., k] for k in range(INPUTS)),
    ]
    p = np.linalg.inv(cov)
    products = np.stack([p @ step for step in d_cov])
    d_mean = np.stack([np.ones(len(places)), places[:, 0]])
    information = np.zeros((len(theta), len(theta)))
    information[:2, :2] = d_mean @ p @ d_mean.T
    information[2:, 2:] = np.einsum("aij,bji->ab", products, products) / 2
    return information, cov


def cases(sizes: tuple[int, ...] = (40, 200, 500)) -> Iterator[Case]:
    """Ten parameters at each dimension."""
    for d in sizes:
        rng = np.random.default_rng(d)
        places = rng.uniform(-2, 2, size=(d, INPUTS))
        theta = np.concatenate([[0.5, -0.3, 0.2, -0.5], rng.uniform(0.2, 0.8, INPUTS)])
        moments = process(places)
        information, cov = expected_information(places, theta)
        sides: dict[str, Side | None] = {
            OURS: jitted(StructuredGaussian(moments).fisher_information, theta),
            PEER: jitted(lambda t, moments=moments: by_autodiff(moments, t), theta),
        }
        if d <= KRONECKER:
            sides["Kronecker"] = jitted(lambda t, moments=moments: by_kronecker(moments, t), theta)
        yield Case(
            "P9",
            f"Fisher information, p = 10, d = {d}",
            sides,
            information,
            reference.bound(cov),
            goal=10 if d == 500 else None,
            predicted={40: 5, 200: 8, 500: 8}.get(d),
            series="d",
            size=d,
            theory=3,
            seconds=6.0,
        )
