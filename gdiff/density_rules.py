"""Log-densities of checked arguments, and the rules by which they differentiate: closed forms, to every order.

Each takes residuals, or statistics, that are finite, and a matrix that is judged here; it returns the value and the
status. A value on its own forms no inverse; a derivative forms one, once, and is matrix products from there on. `d` is
the number of variables that the density is of: fewer than the matrix has where `gdiff.missing` fills it up.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array

from gdiff import linalg
from gdiff.closed_form import cov_gradient, log_density, mean_gradient, moments, score_differential
from gdiff.differentiation import differentiated_as
from gdiff.linalg import inner, matmul, matvec, outer
from gdiff.statistics import SufficientStatistics
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import (
    Positive,
    Status,
    cholesky_factor,
    covariance_status,
    definite_factor,
    finite_status,
    nan_unless,
    positive_definite,
    stand_in,
    trace_of,
    uneven,
    worst,
)

Dimensions = Any  # an int, or an array of them, item by item, where a mask tells


# A covariance for each observation: the score is formed once, and its stand-ins with it.


class _Each(NamedTuple):
    """log N, its gradients in x, mean and cov, and P, item by item.

    Where the status is not OK the value is NaN, P is 0, and the gradients are uneven weights, for `nan_unless`.
    """

    value: Array
    x_gradient: Array
    mean_gradient: Array
    cov_gradient: Array
    precision: Array
    ok: Any  # arrays, of float0 as tangents
    status: Any


@jax.custom_jvp
def _each(x: Array, mean: Array, cov: Array, d: Dimensions) -> _Each:
    """log N, -+P r, A = -1/2 (P - P r r' P) and P (Cookbook 346; 86; 57 and 61), (..., d) and (..., d, d)."""
    forms = linalg.forms(x, mean, cov)
    p, y, value, status = forms.precision, forms.solution, *_judged_density(forms, d)
    ok = status == Status.OK
    weights = uneven(cov.shape[-2:], y.dtype)
    a = jnp.where(ok[..., None, None], (outer(y, y) - p) / 2, weights)
    y, p = jnp.where(ok[..., None], y, weights[0]), jnp.where(ok[..., None, None], p, 0)
    return _Each(value, jnp.where(ok[..., None], -y, y), y, a, p, ok, status)


def _judged_density(forms: linalg.Forms, d: Dimensions) -> tuple[Array, Array]:
    """log N, NaN where it is not valid, and the status."""
    status = worst(covariance_status(forms), finite_status(forms.mahalanobis, 0))
    value = log_density(forms.mahalanobis, forms.log_det, d)
    return jnp.where(status == Status.OK, value, jnp.nan), status


def _value_tangent(score: _Each, tangents: tuple) -> Array:
    """<score, tangent>, NaN where not valid."""
    pairs = zip((score.x_gradient, score.mean_gradient, score.cov_gradient), tangents, strict=True)
    event = score.value.ndim
    terms = [jnp.sum(g * t, tuple(range(event, g.ndim))) for g, t in pairs if not isinstance(t, SymbolicZero)]
    return nan_unless(score.ok, sum(terms, jnp.zeros_like(score.value)))


def _each_jvp(primals: tuple, tangents: tuple) -> tuple[_Each, _Each]:
    """The Hessian times the tangent: dy = P (dr - dS y), dA = 1/2 (dy y' + y dy' + P dS P), dP = -P dS P."""
    score = _each(*primals)
    ok, y, p = score.ok, score.mean_gradient, score.precision
    primals, tangents = primals[:3], tangents[:3]  # d stays
    dx, dm, ds = (
        jnp.zeros_like(a) if isinstance(t, SymbolicZero) else t for a, t in zip(primals, tangents, strict=True)
    )
    ds = symmetrize(ds)
    dy = matvec(p, dx - dm - matvec(ds, y))
    dp = -symmetrize(matmul(matmul(p, ds), p))
    mixed = outer(dy, y)
    da = (mixed + mixed.mT - dp) / 2
    moved = jnp.where(ok, 0, trace_of((1, 1, 2), ok.shape, primals, tangents))  # where not ok, P and all of these are 0
    along = moved[..., None] * uneven(y.shape[-1:], y.dtype)
    across = moved[..., None, None] * uneven(p.shape[-2:], p.dtype)
    value = _value_tangent(score, tangents)
    return score, _Each(value, along - dy, along + dy, across + da, dp, *[np.zeros(ok.shape, jax.dtypes.float0)] * 2)


_each.defjvp(_each_jvp, symbolic_zeros=True)


@jax.custom_jvp
def of_each(x: Array, mean: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    """log N and the status, item by item."""
    if cov.shape[-1] <= linalg.PROBED:
        return _judged_density(linalg.forms_alone(x, mean, cov), d)
    r = x - mean
    finite, factor = finite_status(r, 1), definite_factor(cov)
    value = _from_factor(stand_in(r, finite), factor.lower, d)
    status = worst(finite, factor.status)
    return jnp.where(status == Status.OK, value, jnp.nan), status


def _of_each_jvp(primals: tuple, tangents: tuple) -> tuple:
    score = _each(*primals)
    still = np.zeros(score.value.shape, jax.dtypes.float0)
    return (score.value, score.status), (_value_tangent(score, tangents[:3]), still)


of_each.defjvp(_of_each_jvp, symbolic_zeros=True)


# A covariance that observations share, or a large one.


def _of_shared_with_inverse(resid: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    s = positive_definite(cov)
    mahalanobis = linalg.quadratic_form(s.matrix, s.inverse, resid)
    return log_density(mahalanobis, s.log_det, d), s.status


@differentiated_as(_of_shared_with_inverse)
def _of_shared(resid: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    factor = definite_factor(cov)
    return _from_factor(resid, factor.lower, d), factor.status


def _from_factor(resid: Array, lower: Array, d: Dimensions) -> Array:
    z = linalg.whiten(lower, resid)
    return log_density(jnp.sum(z * z, axis=-1), linalg.log_det_from_cholesky(lower), d)


def _from_precision(resid: Array, precision: Array, d: Dimensions) -> tuple[Array, Array]:
    p = positive_definite(precision)
    return log_density(jnp.sum(resid * matvec(p.matrix, resid), axis=-1), -p.log_det, d), p.status


def _from_cholesky(resid: Array, cholesky: Array, d: Dimensions) -> tuple[Array, Array]:
    factor = cholesky_factor(cholesky)
    return _from_factor(resid, factor.lower, d), factor.status


PARAMETERIZED = {"cov": _of_shared, "cholesky": _from_cholesky, "precision": _from_precision}


def standard_deviation(name: str, number: Array) -> tuple[Array, Array]:
    """The standard deviation that a scalar cov, cholesky or precision means (1 if invalid), and the status."""
    invalid = Status.DIAGONAL_NOT_POSITIVE if name == "cholesky" else Status.NOT_POSITIVE_DEFINITE
    status = worst(finite_status(number, 0), jnp.where(number > 0, Status.OK, invalid))
    number = jnp.where(status == Status.OK, number, 1)
    if name == "cholesky":
        return number, status
    return (jnp.sqrt(number) if name == "cov" else 1 / jnp.sqrt(number)), status


def _isotropic(name: str, resid: Array, event: int, number: Array, d: Dimensions) -> tuple[Array, Array]:
    """log N item by item, of a covariance, Cholesky factor or precision that is a number times I, and the status."""
    sd, status = standard_deviation(name, number)
    z = resid / sd
    mahalanobis = jnp.sum(z * z, axis=-1) if event else z * z
    return log_density(mahalanobis, 2 * d * jnp.log(sd), d), status


def of_residuals(name: str, resid: Array, event: int, matrix: Array, d: Dimensions) -> tuple[Array, Array]:
    """log N item by item, of a matrix or a number, and the status."""
    if matrix.ndim < 2:
        return _isotropic(name, resid, event, matrix, d)
    return PARAMETERIZED[name](resid, matrix, d)


def scatter_term(name: str, scatter: Array, matrix: Array) -> Array:
    """tr(P C), P a precision or given by a Cholesky factor."""
    if name == "precision":
        return inner(positive_definite(matrix).matrix, scatter)
    return _whitened_trace(cholesky_factor(matrix).lower, scatter)


def _whitened_trace(lower: Array, scatter: Array) -> Array:
    """tr(L^-1 C L^-T)."""
    half = linalg.solve_lower(lower, scatter)
    return jnp.trace(linalg.solve_lower(lower, half.T))


class _Evaluation(NamedTuple):
    """log-likelihood, and the score that its derivative is made of."""

    value: Array
    mean_gradient: Array
    cov_gradient: Array


@jax.custom_jvp
def _from_statistics(n: Array, r: Array, scatter: Array, s: Positive) -> _Evaluation:
    """The log-likelihood and its score from n, r = xbar - mu, the scatter, and Sigma with its inverse."""
    m = moments(SufficientStatistics(n, r, scatter), jnp.zeros_like(r), s.inverse)
    value = n * log_density(jnp.sum(r * m.y), s.log_det, len(r)) - inner(s.inverse, scatter) / 2
    return _Evaluation(value, mean_gradient(m), cov_gradient(m, s.inverse))


def _from_statistics_jvp(primals: tuple, tangents: tuple) -> tuple[_Evaluation, _Evaluation]:
    """<score, tangent> for the value, and the Hessian times the tangent for the score: matrix products only."""
    n, r, scatter, s = primals
    dn, dr, d_scatter, ds = (*tangents[:3], tangents[3].matrix)
    result = _from_statistics(n, r, scatter, s)
    _, g, a = result
    p = s.inverse
    value, d_mean, d_cov = jnp.zeros_like(result.value), jnp.zeros_like(g), jnp.zeros_like(a)
    if not isinstance(dr, SymbolicZero) or not isinstance(ds, SymbolicZero):
        dr = jnp.zeros_like(r) if isinstance(dr, SymbolicZero) else dr
        ds = jnp.zeros_like(p) if isinstance(ds, SymbolicZero) else symmetrize(ds)
        value = value - jnp.sum(g * dr) + inner(a, ds)
        d_mean, d_cov = score_differential(p, n, g, a, dr, ds)
    if not isinstance(d_scatter, SymbolicZero):
        d_scatter = symmetrize(d_scatter)
        value = value - inner(p, d_scatter) / 2
        d_cov = d_cov + symmetrize(matmul(matmul(p, d_scatter), p)) / 2
    if not isinstance(dn, SymbolicZero):
        y = matvec(p, r)
        value = value + dn * log_density(jnp.sum(r * y), s.log_det, len(r))
        d_mean = d_mean + dn * y
        d_cov = d_cov + dn * (outer(y, y) - p) / 2
    return result, _Evaluation(value, d_mean, d_cov)


_from_statistics.defjvp(_from_statistics_jvp, symbolic_zeros=True)


def _of_statistics_with_inverse(n: Array, r: Array, scatter: Array, cov: Array) -> tuple[Array, Array]:
    s = positive_definite(cov)
    return _from_statistics(n, r, scatter, s).value, s.status


@differentiated_as(_of_statistics_with_inverse)
def of_statistics(n: Array, r: Array, scatter: Array, cov: Array) -> tuple[Array, Array]:
    """n log N(xbar | mu, cov) - 1/2 tr(P C), without P."""
    lower, status = definite_factor(cov)
    return n * _from_factor(r, lower, len(r)) - _whitened_trace(lower, scatter) / 2, status
