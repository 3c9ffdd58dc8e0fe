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
from gdiff.closed_form import log_density, score_differential
from gdiff.differentiation import differentiated_as
from gdiff.linalg import congruence, inner, matmul, matvec, outer
from gdiff.statistics import SufficientStatistics
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import (
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


# One covariance for each observation, or for the statistics of a sample: the score is formed once, and its stand-ins.


class _Sample(NamedTuple):
    """An observation x, (..., d), or a sample's mean (d,); of a sample n and the scatter (d, d) too."""

    mean: Array
    n: Any = None
    scatter: Any = None


class _Score(NamedTuple):
    """The log-likelihood, its gradients in the sample, mu and Sigma, and what these are made of, item by item.

    Where the status is not OK the value is NaN, the gradients are uneven weights, for `nan_unless`, and the rest is 0.
    """

    value: Array
    sample: _Sample
    mean: Array
    cov: Array
    precision: Array
    solution: Array  # y = P r
    between: Array | None  # P C P
    ok: Any  # arrays, of float0 as tangents
    status: Any


@jax.custom_jvp
def _score(sample: _Sample, mean: Array, cov: Array, d: Dimensions) -> _Score:
    """n log N(xbar) - 1/2 tr(P C), with its gradients (Cookbook 346; 86; 57 and 61).

    g = n P r in mu, -g in xbar, A = -1/2 (n P - n P r r' P - P C P) in Sigma, -1/2 P in C, log N(xbar) in n. For an
    observation, n = 1 and C = 0.
    """
    scored = linalg.score(sample.mean, mean, cov, sample.n, sample.scatter)
    p = linalg.forms(sample.mean, mean, cov).precision  # P and P C P are for second derivatives, and else left out
    y, q = scored.solution, None
    each = log_density(scored.mahalanobis, scored.log_det, d)
    value, g = each, y
    if scored.trace is not None:
        value = sample.n * each - scored.trace / 2
        g, q = sample.n * y, congruence(p, sample.scatter)
    status = worst(covariance_status(scored), finite_status(value, 0))
    weights = uneven(cov.shape[-2:], y.dtype)
    of_sample = _Sample(stand_in(-g, status, weights[0]))
    if q is not None:
        of_n, of_scatter = stand_in(each, status, weights[0, 0]), stand_in(p / -2, status, weights)
        of_sample, q = _Sample(of_sample.mean, of_n, of_scatter), stand_in(q, status)
    return _Score(
        stand_in(value, status, jnp.nan),
        of_sample,
        stand_in(g, status, weights[0]),
        stand_in(scored.gradient, status, weights),
        stand_in(p, status),
        stand_in(y, status),
        q,
        status == Status.OK,
        status,
    )


def _value_tangent(score: _Score, tangents: tuple) -> Array:
    """<score, tangent>, NaN where not valid."""
    pairs = zip(jax.tree.leaves((score.sample, score.mean, score.cov)), _leaves(tangents), strict=True)
    event = score.value.ndim
    terms = [jnp.sum(g * t, tuple(range(event, g.ndim))) for g, t in pairs if not isinstance(t, SymbolicZero)]
    return nan_unless(score.ok, sum(terms, jnp.zeros_like(score.value)))


def _leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=lambda t: isinstance(t, SymbolicZero))


def _score_jvp(primals: tuple, tangents: tuple) -> tuple[_Score, _Score]:
    """The Hessian times the tangent: `closed_form.score_differential`, and what dn and dC add to it.

    dy = P (dr - dS y),  dP = -P dS P,  d(P C P) = P dC P - P dS (P C P) - (P C P) dS P.
    """
    score = _score(*primals)
    primals, tangents = primals[:3], tangents[:3]  # d stays
    moved = [jnp.zeros(t.shape, t.dtype) if isinstance(t, SymbolicZero) else t for t in _leaves(tangents)]
    sample, dm, ds = jax.tree.unflatten(jax.tree.structure(primals), moved)
    ok, p, y, q = score.ok, score.precision, score.solution, score.between
    dr, ds = sample.mean - dm, symmetrize(ds)
    n = jnp.ones((), y.dtype) if q is None else stand_in(primals[0].n, score.status)
    dg, da = score_differential(p, n, score.mean, score.cov, dr, ds)
    p_ds = matmul(p, ds)  # from here on for third derivatives, and else left out
    dy, dp, dq = matvec(p, dr) - matvec(p_ds, y), -symmetrize(matmul(p_ds, p)), None
    of_sample = _Sample(-dg)
    if q is not None:
        back = matmul(p_ds, q)
        dq = -back - back.mT
        if not isinstance(tangents[0].scatter, SymbolicZero):
            between = linalg.three_products(p, symmetrize(sample.scatter))
            da, dq = da + between / 2, dq + between
        of_n = (outer(y, y) - p) / 2
        dg, da = dg + sample.n * y, da + sample.n * of_n
        of_sample = _Sample(-dg, inner(of_n, ds) - jnp.sum(y * dr, axis=-1), dp / -2)
    # Where not ok all of these are 0, and gradients move so as to make NaN again.
    arguments = tuple(jax.tree.leaves(primals))
    events = tuple(a.ndim - ok.ndim for a in arguments)
    wire = jnp.where(ok, 0, trace_of(events, ok.shape, arguments, tuple(_leaves(tangents))))
    weights = uneven(p.shape[-2:], p.dtype)

    def wired(tangent: Array) -> Array:
        of_event = (weights[0, 0], weights[0], weights)[tangent.ndim - wire.ndim]
        return tangent + jnp.expand_dims(wire, tuple(range(wire.ndim, tangent.ndim))) * of_event

    still = np.zeros(ok.shape, jax.dtypes.float0)
    value = _value_tangent(score, tangents)
    of_sample, dg, da = jax.tree.map(wired, (of_sample, dg, da))
    return score, _Score(value, of_sample, dg, da, dp, dy, dq, still, still)


_score.defjvp(_score_jvp, symbolic_zeros=True)


def _value_of(sample: _Sample, mean: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    """The log-likelihood and the status where no derivative is asked for: of many dimensions without an inverse."""
    if cov.shape[-1] > linalg.PROBED:
        finite = worst(*(finite_status(a, a.ndim - mean.ndim + 1) for a in (mean, *jax.tree.leaves(sample))))
        sample = jax.tree.map(lambda a: stand_in(a, finite), sample)
        factor = definite_factor(cov)
        value = _from_factor(sample.mean - stand_in(mean, finite), factor.lower, d)
        if sample.n is not None:
            value = sample.n * value - _whitened_trace(factor.lower, sample.scatter) / 2
        status = worst(finite, factor.status, finite_status(value, 0))
    elif sample.n is None:
        forms = linalg.forms_alone(sample.mean, mean, cov)
        value = log_density(forms.mahalanobis, forms.log_det, d)
        status = worst(covariance_status(forms), finite_status(value, 0))
    else:
        score = _score(sample, mean, cov, d)
        return score.value, score.status
    return stand_in(value, status, jnp.nan), status


@jax.custom_jvp
def _log_likelihood(sample: _Sample, mean: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    return _value_of(sample, mean, cov, d)


def _log_likelihood_jvp(primals: tuple, tangents: tuple) -> tuple:
    score = _score(*primals)
    still = np.zeros(score.value.shape, jax.dtypes.float0)
    return (score.value, score.status), (_value_tangent(score, tangents[:3]), still)


_log_likelihood.defjvp(_log_likelihood_jvp, symbolic_zeros=True)


def of_each(x: Array, mean: Array, cov: Array, d: Dimensions) -> tuple[Array, Array]:
    """log N and the status, item by item, of (..., d), (..., d) and (..., d, d)."""
    return _log_likelihood(_Sample(x), mean, cov, d)


def of_statistics(sample: SufficientStatistics, mean: Array, cov: Array) -> tuple[Array, Array]:
    """The log-likelihood of a sample, by its statistics, and the status."""
    return _log_likelihood(_Sample(sample.mean, sample.count, sample.scatter), mean, cov, len(mean))


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
