"""Sigma by the standard deviations and the directions of the rows of its Cholesky factor.

A row of the Cholesky factor of a correlation matrix is a unit vector. Its angles phi_i1, ..., phi_i,i-1 in (0, pi) are

    L_ij = s_i cos(phi_ij) prod_{l<j} sin(phi_il),      L_ii = s_i prod_{l<i} sin(phi_il),

with s_i the standard deviation. cos(phi_ij) is the partial correlation of variables i and j given those before j.
"""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from gdiff.linalg import cholesky, diagonal
from gdiff.parameterizations.base import Parameterization, strict_lower
from gdiff.parameterizations.triangular import gram

# phi = pi logistic(t): sines by the end that phi is near, where pi - phi would lose digits.


def _toward_zero(t: Array) -> Array:
    return jnp.where(t > 0, -t, t)


def sine(t: Array) -> Array:
    """sin(pi logistic(t))."""
    return jnp.sin(math.pi * lax.logistic(_toward_zero(t)))


def cosine(t: Array) -> Array:
    """cos(pi logistic(t))."""
    return -jnp.sin(math.pi / 2 * jnp.tanh(t / 2))


def log_sine(t: Array) -> Array:
    """log sin(pi logistic(t))."""
    t = _toward_zero(t)
    return math.log(math.pi) - jnp.logaddexp(0, -t) + jnp.log(jnp.sinc(lax.logistic(t)))


def log_slope(t: Array) -> Array:
    """log d phi / dt = log(pi logistic(t) logistic(-t))."""
    return math.log(math.pi) - 2 * jnp.logaddexp(t / 2, -t / 2)


def angle_parameter(adjacent: Array, opposite: Array) -> Array:
    """t with (cos phi, sin phi) in the direction of (adjacent, opposite), opposite > 0."""
    return jnp.log(jnp.arctan2(opposite, adjacent) / jnp.arctan2(opposite, -adjacent))


@dataclass(frozen=True)
class _Rows(Parameterization):
    """theta = (log s_1, ..., log s_d, a parameter for each phi_ij, i > j, column by column)."""

    def _sine(self, t: Array) -> Array:
        raise NotImplementedError

    def _cosine(self, t: Array) -> Array:
        raise NotImplementedError

    def _log_sine(self, t: Array) -> Array:
        raise NotImplementedError

    def _log_slope(self, t: Array) -> Array:
        """log|d phi / dt|."""
        raise NotImplementedError

    def _parameter(self, adjacent: Array, opposite: Array) -> Array:
        raise NotImplementedError

    def _covariance(self, theta: Array, d: int) -> Array:
        t, place = theta[d:], strict_lower(d)
        sines = jnp.ones((d, d), theta.dtype).at[place].set(self._sine(t))
        cosines = jnp.eye(d, dtype=theta.dtype).at[place].set(self._cosine(t))
        before = jnp.cumprod(sines, axis=1)[:, : d - 1]  # of column j and those before it: for column j + 1
        lower = cosines.at[:, 1:].multiply(before) if d > 1 else cosines
        return gram(jnp.exp(theta[:d, None]) * lower)

    def _parameters(self, s: Array) -> Array:
        rows, columns = strict_lower(len(s))
        sd = jnp.sqrt(diagonal(s))
        unit = cholesky(s) / sd[:, None]
        remaining = lax.cumsum(unit**2, axis=1, reverse=True)  # of column j and those after it
        t = self._parameter(unit[rows, columns], jnp.sqrt(remaining[rows, columns + 1]))
        return jnp.concatenate([jnp.log(sd), t])

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        t = theta[d:]
        powers = jnp.asarray(d - 1 - strict_lower(d)[1], theta.dtype)
        scales = d * math.log(2) + (d + 1) * jnp.sum(theta[:d])
        return scales + jnp.sum(powers * self._log_sine(t) + self._log_slope(t))


@dataclass(frozen=True)
class Spherical(_Rows):
    """Sigma = L L', row i of L in spherical coordinates (Pinheiro and Bates 1996, section 2.3).

        L_ij = s_i cos(phi_ij) prod_{l<j} sin(phi_il),      L_ii = s_i prod_{l<i} sin(phi_il)

    theta = (log s_1, ..., log s_d, then log(phi_ij / (pi - phi_ij)) for i > j, column by column): s_i is the standard
    deviation of variable i, and cos(phi_i1) its correlation with variable 1.

    log|J| = d log 2 + (d + 1) sum_i log s_i + sum_{i>j} [(d - j) log sin(phi_ij) + log(phi_ij (1 - phi_ij / pi))]
    """

    def _sine(self, t: Array) -> Array:
        return sine(t)

    def _cosine(self, t: Array) -> Array:
        return cosine(t)

    def _log_sine(self, t: Array) -> Array:
        return log_sine(t)

    def _log_slope(self, t: Array) -> Array:
        return log_slope(t)

    def _parameter(self, adjacent: Array, opposite: Array) -> Array:
        return angle_parameter(adjacent, opposite)


def _log_cosh(t: Array) -> Array:
    return jnp.logaddexp(t, -t) - math.log(2)


@dataclass(frozen=True)
class ScaleCorrelation(_Rows):
    """Sigma = diag(s) R diag(s), R by its partial correlations (Lewandowski, Kurowicka and Joe 2009, section 2).

        R = L L',      L_ij = z_ij prod_{l<j} sqrt(1 - z_il^2),      L_ii = prod_{l<i} sqrt(1 - z_il^2)

    theta = (log s_1, ..., log s_d, then artanh(z_ij) for i > j, column by column): z_ij is the correlation of variables
    i and j given variables 1, ..., j - 1 (the canonical vine), so z_i1 = R_i1.

    log|J| = d log 2 + (d + 1) sum_i log s_i + 1/2 sum_{i>j} (d - j + 1) log(1 - z_ij^2)
    """

    def _sine(self, t: Array) -> Array:
        return jnp.exp(-_log_cosh(t))

    def _cosine(self, t: Array) -> Array:
        return jnp.tanh(t)

    def _log_sine(self, t: Array) -> Array:
        return -_log_cosh(t)

    def _log_slope(self, t: Array) -> Array:
        return -_log_cosh(t)

    def _parameter(self, adjacent: Array, opposite: Array) -> Array:
        return jnp.arcsinh(adjacent / opposite)
