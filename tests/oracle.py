"""The reference of the tests: Gaussian formulas in 60 digits, for the floats as they are rounded.

Derivatives are written entry by entry, in index notation, and owe nothing to `gdiff`; `gradient` and `hessian` check
them by differences of the values alone, which at 60 digits are right to 25.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import numpy as np

from gdiff.tolerance import tolerance

mp = mpmath.MPContext()
mp.dps = 60
STEP = mp.mpf(10) ** -14

_number = np.vectorize(mp.mpf, otypes=[object])


def exact(a: Any) -> np.ndarray:
    """The floats of `a` as 60-digit numbers, without rounding them again."""
    a = np.asarray(a)
    return a if a.dtype == object else _number(a.astype(np.float64)) if a.size else a.astype(object)


def pairs(d: int) -> list[tuple[int, int]]:
    """The entries (i, j) of the lower triangle, column by column: the order of vech."""
    return [(i, j) for j in range(d) for i in range(j, d)]


def unvech(v: np.ndarray, d: int) -> np.ndarray:
    m = np.empty((d, d), dtype=object)
    for value, (i, j) in zip(v, pairs(d), strict=True):
        m[i, j] = m[j, i] = value
    return m


def inverse(a: np.ndarray) -> np.ndarray:
    return np.array(mp.inverse(mp.matrix(exact(a).tolist())).tolist(), dtype=object).reshape(a.shape)


def log_abs_det(a: np.ndarray) -> Any:
    return mp.log(abs(mp.det(mp.matrix(exact(a).tolist()))))


@dataclass(frozen=True)
class Gaussian:
    """sum_i log N(x_i | mean, cov) and its derivatives, for rows x_i (n, d)."""

    rows: Any
    mean: Any
    cov: Any

    @property
    def d(self) -> int:
        return len(self.mean)

    @property
    def n(self) -> int:
        return len(self.rows)

    @cached_property
    def resid(self) -> np.ndarray:
        return exact(self.rows) - exact(self.mean)[None, :]

    @cached_property
    def precision(self) -> np.ndarray:
        return inverse(exact(self.cov))

    @cached_property
    def whitened(self) -> np.ndarray:
        """P (x_i - mean), a row each."""
        return self.resid @ self.precision

    @cached_property
    def log_det(self) -> Any:
        factor = mp.cholesky(mp.matrix(exact(self.cov).tolist()))
        return 2 * sum(mp.log(factor[i, i]) for i in range(self.d))

    @cached_property
    def log_likelihood(self) -> Any:
        quadratic = sum((self.resid * self.whitened).reshape(-1))
        return -(quadratic + self.n * (self.log_det + self.d * mp.log(2 * mp.pi))) / 2

    @cached_property
    def q(self) -> np.ndarray:
        """sum_i y_i y_i', y_i = P (x_i - mean)."""
        return self.whitened.T @ self.whitened

    @property
    def mean_gradient(self) -> np.ndarray:
        return self.whitened.sum(axis=0)

    @property
    def full_gradient(self) -> np.ndarray:
        """A_ij = -1/2 (n P_ij - Q_ij)."""
        return (self.q - self.n * self.precision) / 2

    @property
    def symmetric_gradient(self) -> np.ndarray:
        """B_ij = A_ij + A_ji off the diagonal, A_ii on it."""
        a = self.full_gradient
        return np.where(np.eye(self.d, dtype=bool), a, a + a.T)

    def pairwise(self, entry: Callable[..., np.ndarray], rows: slice = slice(None)) -> np.ndarray:
        """sum over the one or two places of each of two distinct entries of d G_ij / dS_kl: some rows of (k, k)."""
        i, j = np.array(pairs(self.d)).T
        twice = i != j

        def orbit(rows: tuple, columns: tuple) -> np.ndarray:
            return entry(*(r[:, None] for r in rows), *(c[None, :] for c in columns))

        here, mirrored = (i[rows], j[rows]), (j[rows], i[rows])
        total = orbit(here, (i, j))
        total = total + np.where(twice[rows, None], orbit(mirrored, (i, j)), 0)
        total = total + np.where(twice[None, :], orbit(here, (j, i)), 0)
        return total + np.where(twice[rows, None] & twice[None, :], orbit(mirrored, (j, i)), 0)

    def cov_hessian_rows(self, rows: slice) -> np.ndarray:
        """In vech coordinates, from dP_ij/dS_kl = -P_ik P_lj and dQ_ij/dS_kl = -P_ik Q_lj - Q_ik P_lj."""
        p, q = self.precision, self.q
        return self.pairwise(
            lambda i, j, k, l: (self.n * p[i, k] * p[l, j] - p[i, k] * q[l, j] - q[i, k] * p[l, j]) / 2, rows
        )

    def cov_fisher_rows(self, rows: slice) -> np.ndarray:
        """In vech coordinates: n/2 P_ik P_lj summed over the places of each entry."""
        p = self.precision
        return self.pairwise(lambda i, j, k, l: self.n * p[i, k] * p[l, j] / 2, rows)

    @cached_property
    def cov_hessian(self) -> np.ndarray:
        return self.cov_hessian_rows(slice(None))

    @cached_property
    def cross_hessian(self) -> np.ndarray:
        """d x k: d(P r)_a / dS_kl = -P_ak (P r)_l, summed over the places of a distinct entry."""
        p, g = self.precision, self.mean_gradient
        return np.array(
            [[-(p[a, i] * g[j] + (p[a, j] * g[i] if i != j else 0)) for i, j in pairs(self.d)] for a in range(self.d)]
        )

    @property
    def mean_hessian(self) -> np.ndarray:
        return -self.n * self.precision

    @cached_property
    def hessian(self) -> np.ndarray:
        """In (mean, vech cov)."""
        return np.block([[self.mean_hessian, self.cross_hessian], [self.cross_hessian.T, self.cov_hessian]])

    def cholesky_gradient(self, factor: Any) -> np.ndarray:
        """tril(2 A L) for cov = L L'."""
        return np.where(np.tri(self.d, dtype=bool), 2 * self.full_gradient @ exact(factor), exact(np.zeros(1)))

    @cached_property
    def terms(self) -> "Terms":
        return Terms(self)


@dataclass(frozen=True)
class Terms:
    """How large the terms are that a derivative is the difference of: what its rounding errors are relative to.

    (At d = 1 the score is (z^2 - 1)/2s, which no sum of rounded terms gives to relative precision at z = 1.)
    """

    of: Gaussian

    @property
    def log_likelihood(self) -> np.ndarray:
        g = self.of
        quadratic = float(sum((g.resid * g.whitened).reshape(-1)))
        return np.asarray((quadratic + g.n * (abs(float(g.log_det)) + g.d * np.log(2 * np.pi))) / 2)

    @cached_property
    def _p(self) -> np.ndarray:
        return np.abs(self.of.precision.astype(np.float64))

    @cached_property
    def _q(self) -> np.ndarray:
        return np.abs(self.of.q.astype(np.float64))

    @property
    def full_gradient(self) -> np.ndarray:
        return (self._q + self.of.n * self._p) / 2

    def cov_hessian_rows(self, rows: slice) -> np.ndarray:
        p, q = self._p, self._q
        return self.of.pairwise(
            lambda i, j, k, l: (self.of.n * p[i, k] * p[l, j] + p[i, k] * q[l, j] + q[i, k] * p[l, j]) / 2, rows
        )

    def cholesky_gradient(self, factor: Any) -> np.ndarray:
        return np.tril(2 * self.full_gradient @ np.abs(np.asarray(factor, dtype=np.float64)))


def gradient(f: Callable[[np.ndarray], Any], x: Any) -> np.ndarray:
    """By central differences: error about STEP^2, 1e-28."""
    x = exact(x)
    steps = exact(np.eye(len(x))) * STEP
    return np.array([(f(x + e) - f(x - e)) / (2 * STEP) for e in steps])


def hessian(f: Callable[[np.ndarray], Any], x: Any) -> np.ndarray:
    """By central differences of central differences: error about STEP^2."""
    x = exact(x)
    return np.array([(gradient(f, x + e) - gradient(f, x - e)) / (2 * STEP) for e in exact(np.eye(len(x))) * STEP])


def covariance(
    rng: np.random.Generator, d: int, condition: float, dtype: Any = np.float64, scales: float = 2.0
) -> np.ndarray:
    """A symmetric matrix of `condition` in random directions, its variables then spread over 10^+-scales."""
    directions, _ = np.linalg.qr(rng.normal(size=(d, d)))
    s = (directions * np.geomspace(1, 1 / condition, d)) @ directions.T
    spread = 10 ** rng.uniform(-scales, scales, size=d)
    s = (spread[:, None] * s * spread[None, :]).astype(dtype)
    return np.tril(s) + np.tril(s, -1).T


def units(cov: Any) -> np.ndarray:
    """sqrt(S_ii): derivatives in the mean are measured in its inverse, those in S_ij in 1/(unit_i unit_j)."""
    return np.sqrt(np.diag(np.asarray(cov, dtype=np.float64)))


def pair_units(cov: Any) -> np.ndarray:
    """unit_i unit_j in vech order."""
    unit = units(cov)
    return np.array([unit[i] * unit[j] for i, j in pairs(len(unit))])


def scaled_condition(cov: Any) -> float:
    """kS = cond(D^-1/2 S D^-1/2), D = diag(S)."""
    unit = units(cov)
    correlation = np.asarray(cov, dtype=np.float64) / unit[:, None] / unit[None, :]
    return float(np.linalg.cond(correlation)) if len(unit) else 1.0


def bound(cov: Any, dtype: Any = np.float64) -> float:
    """The yardstick of every comparison: 8 d kS u, relative."""
    return float(tolerance(dtype, conditioning=max(len(cov), 1) * scaled_condition(cov)))


def error(got: Any, true: Any, unit: Any = 1.0, terms: Any = None) -> float:
    """max |got - true| relative to max |terms| (the true values if not given), in units of 1/`unit`; inf for NaN."""
    got, true = np.asarray(got), exact(true)
    assert got.shape == true.shape, f"shapes {got.shape} and {true.shape}"
    if not got.size:
        return 0.0
    if not np.all(np.isfinite(got)):
        return np.inf
    unit = exact(np.broadcast_to(np.asarray(unit, dtype=np.float64), got.shape))
    difference = np.max(np.abs(exact(got) - true) * unit)
    largest = np.max(np.abs(true if terms is None else exact(terms)) * unit)
    return 0.0 if difference == 0 else float(difference / largest) if largest else np.inf


def assert_close(got: Any, true: Any, limit: float, unit: Any = 1.0, terms: Any = None, what: str = "") -> None:
    """Raise AssertionError unless `error` is within `limit`."""
    e = error(got, true, unit, terms)
    values = f"got\n{np.asarray(got)}\nwanted\n{exact(true).astype(np.float64)}"
    assert e <= limit, f"{what}: relative error {e:.3g}, allowed {limit:.3g}\n{values}"
