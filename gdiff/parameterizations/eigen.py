"""Sigma by functions of its eigenvalues, and by its eigenvectors."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdiff.linalg import eigh, matmul
from gdiff.parameterizations.angles import angle_parameter, cosine, log_sine, log_slope, sine
from gdiff.parameterizations.base import Parameterization, strict_lower
from gdiff.parameterizations.spectral import (
    EXP,
    LOGISTIC,
    log_sinhc_gaps,
    spectral,
    spectral_inverse,
    trace_log_cosh,
)
from gdiff.symmetric.coordinates import symmetrize, unvech, vech, vech_size


@dataclass(frozen=True)
class MatrixLogarithm(Parameterization):
    """Sigma = exp(Z), theta = vech(Z), Z = log(Sigma) (Pinheiro and Bates 1996, section 2.4).

    log|J| = sum_{i<=j} log e[z_i, z_j] = (d + 1)/2 tr Z + sum_{i<j} log(sinh((z_i - z_j)/2) / ((z_i - z_j)/2))

    with z the eigenvalues of Z and e[., .] the divided differences of exp (Daleckii and Krein).
    """

    def _covariance(self, theta: Array, d: int) -> Array:
        del d
        return spectral(EXP, unvech(theta))

    def _parameters(self, s: Array) -> Array:
        return vech(spectral_inverse(EXP, s))

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        z = unvech(theta)
        return (d + 1) / 2 * jnp.trace(z) + log_sinhc_gaps(z)


@dataclass(frozen=True)
class BoundedEigenvalues(Parameterization):
    """Sigma = low I + (high - low) (I + exp(-Z))^-1, theta = vech(Z): eigenvalues in (low, high), 0 <= low < high.

    An eigenvalue z of Z is one of Sigma, low + (high - low) / (1 + exp(-z)), with the same eigenvector.

        log|J| = k log(high - low) + sum_{i<=j} log f[z_i, z_j] = k log(high - low)
                 - (d + 1) sum_i log(2 cosh(z_i/2)) + sum_{i<j} log(sinh((z_i - z_j)/2) / ((z_i - z_j)/2))

    with f[., .] the divided differences of the logistic function (Daleckii and Krein). `parameters` refuses a cov with
    an eigenvalue outside of (low, high).
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if not isinstance(bound, (int, float, np.integer, np.floating)):
                raise TypeError(f"{name}: got {type(bound).__name__}, wanted a number that is known before tracing.")
            object.__setattr__(self, name, float(bound))
        if not (0 <= self.low < self.high < math.inf):
            hint = " MatrixLogarithm() has no upper bound." if self.high == math.inf else ""
            raise ValueError(f"low, high: got {self.low} and {self.high}, wanted 0 <= low < high, both finite.{hint}")

    def _covariance(self, theta: Array, d: int) -> Array:
        return self.low * jnp.eye(d, dtype=theta.dtype) + (self.high - self.low) * spectral(LOGISTIC, unvech(theta))

    def _share(self, s: Array) -> Array:
        """(Sigma - low I) / (high - low), with eigenvalues between 0 and 1."""
        return (s - self.low * jnp.eye(len(s), dtype=s.dtype)) / (self.high - self.low)

    def _parameters(self, s: Array) -> Array:
        return vech(spectral_inverse(LOGISTIC, self._share(s)))

    def _reached(self, s: Array) -> Array:
        share, _ = eigh(self._share(s))
        return jnp.all((share > 0) & (share < 1))

    def _reach(self) -> str:
        return f"an eigenvalue is not between {self.low:g} and {self.high:g}; choose wider bounds."

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        z = unvech(theta)
        return vech_size(d) * math.log(self.high - self.low) - (d + 1) * trace_log_cosh(z) + log_sinhc_gaps(z)


@dataclass(frozen=True)
class Givens(Parameterization):
    """Sigma = U diag(l) U', ascending eigenvalues l, U a product of Givens rotations (Pinheiro and Bates 1996, 2.5).

        U = prod_{i<j} G_ij,      G_ij = [[cos a_ij, -sin a_ij], [sin a_ij, cos a_ij]] in the plane of axes i and j,

    in the order (1, 2), (1, 3), ..., (1, d), (2, 3), ..., with a_ij in (-pi/2, pi/2).

    theta = (log l_1, log(l_2 - l_1), ..., log(l_d - l_{d-1}), then log((pi/2 + a_ij) / (pi/2 - a_ij)) in that order).

    Pinheiro and Bates take angles from (0, pi), in the middle of which, at cos a = 0, the rotations of three or more
    axes are not unique and the Jacobian is 0; here that is where theta is infinite, and theta is unique.

        log|J| = sum_{i<j} log(l_j - l_i) + sum_i theta_i
                 + sum_{i<j} [(j - i - 1) log cos(a_ij) + log((pi/2 + a_ij) (pi/2 - a_ij) / pi)]

    (Muirhead 1982, theorem 3.2.17, and the surface element of the sphere for each column of U.) Not every covariance is
    reached: `parameters` refuses equal eigenvalues and some zeros in eigenvectors (diagonal matrices whose entries do
    not ascend), which only infinite theta would give. Close to them theta is large, and its derivatives are larger.
    """

    def _covariance(self, theta: Array, d: int) -> Array:
        u = jnp.eye(d, dtype=theta.dtype)  # U', row by row
        if d > 1:
            u, _ = lax.scan(_rotate, u, (*_planes(d), sine(theta[d:]), -cosine(theta[d:])))  # a = phi - pi/2
        return symmetrize(matmul(u.mT * jnp.cumsum(jnp.exp(theta[:d])), u))

    def _parameters(self, s: Array) -> Array:
        l, u = eigh(s)
        theta = jnp.log(jnp.diff(l, prepend=jnp.zeros(1, l.dtype)))
        if len(s) < 2:
            return theta

        def undo(u: Array, plane: tuple[Array, Array]) -> tuple[Array, Array]:
            i, j = plane
            u = u.at[:, i].multiply(jnp.where(u[i, i] < 0, -1, 1).astype(u.dtype))
            x, y = u[i, i], u[j, i]
            size = jnp.hypot(x, y)
            return _rotate(u, (i, j, x / size, y / size))[0], angle_parameter(-y, x)

        return jnp.concatenate([theta, lax.scan(undo, u, _planes(len(s)))[1]])

    def _reached(self, s: Array) -> Array:
        return jnp.all(jnp.isfinite(self._parameters(s)))

    def _reach(self) -> str:
        return (
            "two eigenvalues are equal, or an eigenvector has a zero where an angle is a right one; "
            "LogCholesky() and MatrixLogarithm() reach every covariance."
        )

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        first, second = _planes(d)
        later = np.arange(d) > np.arange(d)[:, None]
        gaps = jnp.cumsum(jnp.where(later, jnp.exp(theta[:d]), 0), axis=1)  # l_j - l_i, which a difference would lose
        powers = (second - first - 1).astype(theta.dtype)
        t = theta[d:]
        return jnp.sum(jnp.log(gaps[first, second])) + jnp.sum(theta[:d]) + jnp.sum(powers * log_sine(t) + log_slope(t))


def _planes(d: int) -> tuple[Array, Array]:
    """i and j of (1, 2), (1, 3), ..., (1, d), (2, 3), ..."""
    rows, columns = strict_lower(d)
    return jnp.asarray(columns), jnp.asarray(rows)


def _rotate(m: Array, plane: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
    """G_ij' M, which mixes rows i and j of M; a step of a scan over (i, j, cos, sin)."""
    i, j, cos, sin = plane
    a, b = m[i], m[j]
    return m.at[i].set(cos * a + sin * b).at[j].set(cos * b - sin * a), None
