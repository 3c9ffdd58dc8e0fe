"""Sigma by its entries, and by those of its Cholesky factor."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff.linalg import cholesky, diagonal, matmul
from gdiff.parameterizations.base import Parameterization
from gdiff.symmetric.coordinates import symmetrize, unvech, vech
from gdiff.validity import Status, definite_factor, finite_status, worst


def gram_log_det_jacobian(log_diagonal: Array) -> Array:
    """log|det d vech(L L') / d vech(L)| = d log 2 + sum_i (d - i + 1) log L_ii (Muirhead 1982, theorem 2.1.9)."""
    d = len(log_diagonal)
    return d * math.log(2) + jnp.sum(jnp.arange(d, 0, -1, dtype=log_diagonal.dtype) * log_diagonal)


def gram(lower: Array) -> Array:
    """L L', exactly symmetric."""
    return symmetrize(matmul(lower, lower.mT))


@dataclass(frozen=True)
class LowerTriangle(Parameterization):
    """Sigma = unvech(theta): the entries themselves, theta = vech(Sigma).

    Not every theta is valid: `covariance` asks for one of a positive definite matrix. log|J| = 0.
    """

    def _judged(self, theta: Array, d: int) -> tuple[Array, Array]:
        status = definite_factor(unvech(theta)).status
        return jnp.where(status == Status.OK, theta, vech(np.eye(d)).astype(theta.dtype)), status

    def _covariance(self, theta: Array, d: int) -> Array:
        del d
        return unvech(theta)

    def _parameters(self, s: Array) -> Array:
        return vech(s)

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        del d
        return jnp.zeros((), theta.dtype)


@dataclass(frozen=True)
class Cholesky(Parameterization):
    """Sigma = L L', theta = vech(L) (Pinheiro and Bates 1996, section 2.1, with their upper factor transposed).

    The signs of the columns of L are free, so 2^d vectors give one Sigma, and `parameters` takes the one whose diagonal
    is positive. A zero on the diagonal is a singular Sigma, and is refused.

    log|J| = d log 2 + sum_i (d - i + 1) log|L_ii| (Muirhead 1982, theorem 2.1.9)
    """

    def _judged(self, theta: Array, d: int) -> tuple[Array, Array]:
        regular = jnp.all(diagonal(unvech(theta)) != 0)
        status = worst(finite_status(theta, 1), jnp.where(regular, Status.OK, Status.SINGULAR))
        return jnp.where(status == Status.OK, theta, vech(np.eye(d)).astype(theta.dtype)), status

    def _covariance(self, theta: Array, d: int) -> Array:
        del d
        return gram(jnp.tril(unvech(theta)))

    def _parameters(self, s: Array) -> Array:
        return vech(cholesky(s))

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        del d
        return gram_log_det_jacobian(jnp.log(jnp.abs(diagonal(unvech(theta)))))


@dataclass(frozen=True)
class LogCholesky(Parameterization):
    """Sigma = L L', theta = vech(L) with log L_ii for L_ii (Pinheiro and Bates 1996, section 2.2).

    log|J| = d log 2 + sum_i (d - i + 2) log L_ii
    """

    def _covariance(self, theta: Array, d: int) -> Array:
        del d
        m = unvech(theta)
        return gram(jnp.tril(m, -1) + jnp.diag(jnp.exp(diagonal(m))))

    def _parameters(self, s: Array) -> Array:
        lower = cholesky(s)
        return vech(jnp.tril(lower, -1) + jnp.diag(jnp.log(diagonal(lower))))

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        del d
        log_diagonal = diagonal(unvech(theta))
        return gram_log_det_jacobian(log_diagonal) + jnp.sum(log_diagonal)
