"""The multivariate normal log-density, for jitted models: derivatives are closed forms, to every order.

`logpdf` is a drop-in for `jax.scipy.stats.multivariate_normal.logpdf`; `log_likelihood` is its sum over a sample, or
over the `SufficientStatistics` of one. Both take the covariance, its Cholesky factor, or the precision, and
differentiate with respect to every argument under any nesting of jit, vmap, grad, jacfwd, jacrev, hessian, scan and
remat. `jax.grad` with respect to `cov` and `precision` is the Frobenius gradient A and exactly symmetric (B, the
partials in the distinct entries, is `gdiff.symmetric.grad`'s); with respect to `cholesky` it is lower triangular.

Shapes and dtypes that do not match raise ValueError and TypeError. A matrix that is not symmetric or not positive
definite, a factor that is not one, and entries that are not finite give NaN, in the value and in every entry of every
derivative, and a ValueError when nothing is traced; one bad item of a batch leaves the others right.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array

from gdiff import kernels, linalg
from gdiff.arrays import ArrayLike
from gdiff.closed_form import cov_gradient, log_density, mean_gradient, moments, score_differential
from gdiff.inputs import sample_floats
from gdiff.linalg import inner, matmul, matvec, outer
from gdiff.statistics import SufficientStatistics
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import (
    Positive,
    Status,
    as_floats,
    check_square,
    check_vector,
    cholesky_factor,
    definite_factor,
    finite_status,
    guard,
    nan_unless,
    positive_definite,
    positive_definite_unrolled,
    raise_if_invalid,
    stand_in,
    trace_of,
    uneven,
    worst,
)


class _Spread(NamedTuple):
    """The one matrix argument, and the name that the caller gave it under."""

    name: str
    matrix: ArrayLike


def _spread(cov: ArrayLike | None, cholesky: ArrayLike | None, precision: ArrayLike | None) -> _Spread:
    given = [
        _Spread(name, matrix)
        for name, matrix in (("cov", cov), ("cholesky", cholesky), ("precision", precision))
        if matrix is not None
    ]
    if len(given) != 1:
        got = " and ".join(name for name, _ in given) or "none"
        raise ValueError(f"got {got}, wanted exactly one of cov, cholesky and precision.")
    return given[0]


def _no_mask(mask: ArrayLike | None) -> None:
    if mask is not None:
        raise NotImplementedError(
            "mask: observations with missing entries are not supported yet; drop the rows, or pass the marginal of the "
            "observed entries: x[observed], mean[observed], cov[observed][:, observed]."
        )


def _check_shapes(name: str, data_name: str, x: Array, mean: Array, matrix: Array) -> None:
    """Event axes must match; a scalar matrix is isotropic, or univariate with a scalar mean."""
    if mean.ndim == 0:
        if matrix.ndim >= 2:
            raise ValueError(
                f"mean: got a scalar with {name} of shape {matrix.shape}, wanted (..., {matrix.shape[-1]}): "
                f"write jnp.full({matrix.shape[-1]}, mean)."
            )
        return
    d = mean.shape[-1]
    if matrix.ndim:
        check_square(name, matrix.shape, batched=True)
        check_vector("mean", mean.shape, matrix.shape[-1], f"{name} of shape {matrix.shape}")
    check_vector(data_name, x.shape, d, f"mean of shape {mean.shape}")


def _batch_shape(name: str, x: Array, mean: Array, matrix: Array) -> tuple[int, ...]:
    event = int(mean.ndim > 0)
    shapes = {"x": x.shape[: x.ndim - event], "mean": mean.shape[: mean.ndim - event]}
    shapes[name] = matrix.shape[:-2] if event else matrix.shape
    try:
        return jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        got = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise ValueError(f"got batch shapes {got}, wanted shapes that broadcast together.") from None


def logpdf(
    x: ArrayLike,
    mean: ArrayLike,
    cov: ArrayLike | None = None,
    allow_singular: None = None,
    *,
    cholesky: ArrayLike | None = None,
    precision: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Array:
    """log N(x | mean, cov) = -1/2 (r' cov^-1 r + log|cov| + d log 2 pi), r = x - mean (Matrix Cookbook 346).

    Shapes: x (..., d), mean (..., d), and exactly one of cov, cholesky (lower L, cov = L L') and precision (cov^-1),
    (..., d, d); the result has the broadcast of the batch axes. A scalar cov is isotropic, or univariate with a scalar
    mean (cholesky then is a standard deviation). Dtypes follow `jnp.result_type`.

    Raises ValueError and TypeError as the module says; NotImplementedError for `allow_singular` and, for now, `mask`.

    >>> float(logpdf(jnp.zeros(2), jnp.zeros(2), jnp.eye(2)))  # -log 2 pi
    -1.837877...
    """
    if allow_singular is not None:
        raise NotImplementedError(
            "allow_singular: a singular covariance has no density in d dimensions; leave allow_singular out."
        )
    _no_mask(mask)
    name, given = _spread(cov, cholesky, precision)
    x, mean, matrix = as_floats(x=x, mean=mean, **{name: given})
    _check_shapes(name, "x", x, mean, matrix)
    batch = _batch_shape(name, x, mean, matrix)
    value, status = _logpdf(name, batch, x, mean, matrix)
    raise_if_invalid(status, x=x, mean=mean, **{name: matrix})
    return value


def log_likelihood(
    data: ArrayLike | SufficientStatistics,
    mean: ArrayLike,
    cov: ArrayLike | None = None,
    *,
    cholesky: ArrayLike | None = None,
    precision: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Array:
    """sum_i log N(x_i | mean, cov), over the rows of `data` or from their `SufficientStatistics`.

    Shapes: data (n, d), or (d,) for one observation; mean (d,); cov, cholesky or precision (d, d), or a scalar. From
    statistics nothing grows with n, in value, gradient and Hessian. For batches of samples use `jax.vmap`.

    Raises ValueError and TypeError as the module says; NotImplementedError, for now, for `mask`.

    >>> float(log_likelihood(jnp.zeros((3, 2)), jnp.zeros(2), jnp.eye(2)))  # -3 log 2 pi
    -5.513631...
    """
    _no_mask(mask)
    name, given = _spread(cov, cholesky, precision)
    sample, (mean, matrix) = sample_floats(data, mean=mean, **{name: given})
    rows = sample.mean if isinstance(sample, SufficientStatistics) else sample
    if rows.ndim > (1 if mean.ndim == 0 else 2):
        wanted = "(n,)" if mean.ndim == 0 else "(d,) or (n, d)"
        raise ValueError(f"data: got shape {rows.shape}, wanted {wanted}; use jax.vmap for batches of samples.")
    if mean.ndim > 1 or matrix.ndim > 2:
        raise ValueError(
            f"got mean of shape {mean.shape} and {name} of shape {matrix.shape}, wanted (d,) and (d, d); "
            "use jax.vmap for batches of models, or logpdf."
        )
    if isinstance(data, SufficientStatistics) and mean.ndim == 0:
        raise ValueError("mean: got a scalar with SufficientStatistics, wanted (d,): for d = 1 write mean[None].")
    _check_shapes(name, "data", rows, mean, matrix)
    value, status = _log_likelihood(name, sample, mean, matrix)
    raise_if_invalid(status, data=sample, mean=mean, **{name: matrix})
    return value


def _differentiated_as(function: Callable) -> Callable:
    """Of two functions that are equal, the decorated one gives the value, and `function` all derivatives."""

    def decorate(value_only: Callable) -> Callable:
        def rule(primals: tuple, tangents: tuple) -> tuple:
            moving = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)]

            def of_moving(*arguments: Array) -> Any:
                return function(*(dict(enumerate(primals)) | dict(zip(moving, arguments, strict=True))).values())

            return jax.jvp(of_moving, [primals[i] for i in moving], [tangents[i] for i in moving])

        result = jax.custom_jvp(value_only)
        result.defjvp(rule, symbolic_zeros=True)
        return result

    return decorate


@partial(jax.jit, static_argnums=(0, 1))
def _logpdf(name: str, batch: tuple[int, ...], x: Array, mean: Array, matrix: Array) -> tuple[Array, Array]:
    if name == "cov" and matrix.ndim >= 2 and matrix.shape[:-2] == batch and 0 < matrix.shape[-1] <= linalg.UNROLLED:
        return _of_each(*(jnp.broadcast_to(a, matrix.shape[:-1]) for a in (x, mean)), matrix)
    event = int(mean.ndim > 0)
    resid = x - mean
    finite = finite_status(resid, event)
    resid = stand_in(resid, finite)
    if matrix.ndim < 2:
        value, judged = _isotropic(name, resid, event, matrix)
    else:
        value, judged = _PARAMETERIZED[name](resid, matrix)
    status = jnp.broadcast_to(worst(finite, judged), batch)
    event_of_matrix = 2 if matrix.ndim >= 2 else 0
    arguments = ((x, event), (mean, event), (matrix, event_of_matrix))
    return guard(jnp.broadcast_to(value, batch), status, *arguments), status


# A small covariance for each observation: entry by entry, the score packed once, and its stand-ins with it.


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
def _each(x: Array, mean: Array, cov: Array) -> _Each:
    """log N, -+P r, A = -1/2 (P - P r r' P) and P (Cookbook 346; 86; 57 and 61), (..., d) and (..., d, d)."""
    resid = x - mean
    d, s = cov.shape[-1], positive_definite_unrolled(cov)
    r, p = [resid[..., i] for i in range(d)], s.inverse
    ok = kernels.stored(kernels.every([s.ok, *map(jnp.isfinite, r)]), resid.dtype)
    z = kernels.whiten_entries(s.factor, r)
    y = kernels.solve_entries(s.factor, z)
    mahalanobis = kernels.weighted_square(s.factor, z)
    value = log_density(mahalanobis, kernels.log_determinant(s.factor), d)
    weights = uneven((d, d), resid.dtype)
    a = {(i, j): jnp.where(ok, (y[i] * y[j] - p[i, j]) / 2, weights[i, j]) for i, j in p}
    y = [jnp.where(ok, entry, weights[0, i]) for i, entry in enumerate(y)]
    p = {key: jnp.where(ok, entry, 0) for key, entry in p.items()}
    g = kernels.pack_vector(y)
    status = worst(finite_status(resid, 1), s.status)
    return _Each(
        jnp.where(ok, value, jnp.nan),
        jnp.where(ok[..., None], -g, g),
        g,
        kernels.pack_symmetric(a),
        kernels.pack_symmetric(p),
        ok,
        status,
    )


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
def _of_each(x: Array, mean: Array, cov: Array) -> tuple[Array, Array]:
    """log N and the status, item by item; what else `_each` says is not used, and XLA leaves it out."""
    score = _each(x, mean, cov)
    return score.value, score.status


def _of_each_jvp(primals: tuple, tangents: tuple) -> tuple:
    score = _each(*primals)
    still = np.zeros(score.value.shape, jax.dtypes.float0)
    return (score.value, score.status), (_value_tangent(score, tangents), still)


_of_each.defjvp(_of_each_jvp, symbolic_zeros=True)


# A covariance that observations share, or a large one.


def _of_shared_with_inverse(resid: Array, cov: Array) -> tuple[Array, Array]:
    s = positive_definite(cov)
    mahalanobis = linalg.quadratic_form(s.matrix, s.inverse, resid)
    return log_density(mahalanobis, s.log_det, cov.shape[-1]), s.status


@_differentiated_as(_of_shared_with_inverse)
def _of_shared(resid: Array, cov: Array) -> tuple[Array, Array]:
    factor = definite_factor(cov)
    return _from_factor(resid, factor.lower), factor.status


def _from_factor(resid: Array, lower: Array) -> Array:
    z = linalg.whiten(lower, resid)
    return log_density(jnp.sum(z * z, axis=-1), linalg.log_det_from_cholesky(lower), lower.shape[-1])


def _from_precision(resid: Array, precision: Array) -> tuple[Array, Array]:
    p = positive_definite(precision)
    return log_density(jnp.sum(resid * matvec(p.matrix, resid), axis=-1), -p.log_det, precision.shape[-1]), p.status


def _from_cholesky(resid: Array, cholesky: Array) -> tuple[Array, Array]:
    factor = cholesky_factor(cholesky)
    return _from_factor(resid, factor.lower), factor.status


_PARAMETERIZED = {"cov": _of_shared, "cholesky": _from_cholesky, "precision": _from_precision}


def _standard_deviation(name: str, number: Array) -> tuple[Array, Array]:
    """The standard deviation that a scalar cov, cholesky or precision means (1 if invalid), and the status."""
    invalid = Status.DIAGONAL_NOT_POSITIVE if name == "cholesky" else Status.NOT_POSITIVE_DEFINITE
    status = worst(finite_status(number, 0), jnp.where(number > 0, Status.OK, invalid))
    number = jnp.where(status == Status.OK, number, 1)
    if name == "cholesky":
        return number, status
    return (jnp.sqrt(number) if name == "cov" else 1 / jnp.sqrt(number)), status


def _isotropic(name: str, resid: Array, event: int, number: Array) -> tuple[Array, Array]:
    sd, status = _standard_deviation(name, number)
    z = resid / sd
    d = resid.shape[-1] if event else 1
    mahalanobis = jnp.sum(z * z, axis=-1) if event else z * z
    return log_density(mahalanobis, 2 * d * jnp.log(sd), d), status


@partial(jax.jit, static_argnums=0)
def _log_likelihood(name: str, data: Array | SufficientStatistics, mean: Array, matrix: Array) -> tuple[Array, Array]:
    rows = mean.ndim == 1 and not isinstance(data, SufficientStatistics) and len(jnp.atleast_2d(data)) > mean.shape[0]
    leaves = jax.tree.leaves(data)
    sample = SufficientStatistics(*_moments(data)) if rows else data  # not finite where the data is not
    finite = worst(*(finite_status(leaf, leaf.ndim) for leaf in (*jax.tree.leaves(sample), mean)))
    safe, mu = jax.tree.map(lambda leaf: stand_in(leaf, finite), (sample, mean))
    if mean.ndim and not isinstance(safe, SufficientStatistics):
        safe = jnp.atleast_2d(safe)
    if not isinstance(safe, SufficientStatistics):
        resid, event = safe - mu, int(mean.ndim > 0)
        each, judged = (
            _isotropic(name, resid, event, matrix) if matrix.ndim < 2 else _PARAMETERIZED[name](resid, matrix)
        )
        value = jnp.sum(each)
    elif matrix.ndim < 2:
        sd, judged = _standard_deviation(name, matrix)
        r, d = (safe.mean - mu) / sd, mean.shape[-1]
        each = log_density(jnp.sum(r * r), 2 * d * jnp.log(sd), d)
        value = safe.count * each - jnp.trace(safe.scatter) / sd / sd / 2
    elif name == "cov":
        value, judged = _of_statistics(safe.count, safe.mean - mu, safe.scatter, matrix)
    else:
        each, judged = _PARAMETERIZED[name](safe.mean - mu, matrix)
        value = safe.count * each - _scatter_term(name, safe.scatter, matrix) / 2
    status = worst(finite, judged)
    return guard(value, status, *((leaf, leaf.ndim) for leaf in (*leaves, mean, matrix))), status


def _moments_of_finite(rows: Array) -> tuple[Array, ...]:
    finite = finite_status(rows, 2)
    s = SufficientStatistics.of(stand_in(rows, finite))
    return s.count, jnp.where(finite == Status.OK, s.mean, jnp.nan), s.scatter


@_differentiated_as(_moments_of_finite)
def _moments(rows: Array) -> tuple[Array, ...]:
    """n, xbar and C, not finite where an entry of the rows is not: no pass over them is spent on asking."""
    s = SufficientStatistics.of(rows)
    return s.count, s.mean, s.scatter


def _scatter_term(name: str, scatter: Array, matrix: Array) -> Array:
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


@_differentiated_as(_of_statistics_with_inverse)
def _of_statistics(n: Array, r: Array, scatter: Array, cov: Array) -> tuple[Array, Array]:
    """n log N(xbar | mu, cov) - 1/2 tr(P C), without P."""
    lower, status = definite_factor(cov)
    return n * _from_factor(r, lower) - _whitened_trace(lower, scatter) / 2, status
