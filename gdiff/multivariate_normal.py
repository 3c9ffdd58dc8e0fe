"""The multivariate normal log-density, for jitted models: derivatives are closed forms, to every order.

`logpdf` is a drop-in for `jax.scipy.stats.multivariate_normal.logpdf`; `log_likelihood` is its sum over a sample, or
over the `SufficientStatistics` of one. Both take the covariance, its Cholesky factor, or the precision, and a mask of
what was observed, where entries are missing; both differentiate with respect to every argument under any nesting of
jit, vmap, grad, jacfwd, jacrev, hessian, scan and remat. `jax.grad` with respect to `cov` and `precision` is the
Frobenius gradient A and exactly symmetric (B, the partials in the distinct entries, is `gdiff.symmetric.grad`'s); with
respect to `cholesky` it is lower triangular.

Shapes and dtypes that do not match raise ValueError and TypeError. A matrix that is not symmetric or not positive
definite, a factor that is not one, and entries that are not finite give NaN, in the value and in every entry of every
derivative, and a ValueError when nothing is traced; one bad item of a batch leaves the others right.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gdiff.arrays import ArrayLike
from gdiff.closed_form import log_density
from gdiff.density_rules import (
    PARAMETERIZED,
    of_each,
    of_residuals,
    of_statistics,
    scatter_term,
    standard_deviation,
)
from gdiff.inputs import sample_floats, summarise
from gdiff.missing import as_mask, of_observed
from gdiff.statistics import SufficientStatistics
from gdiff.validity import (
    Status,
    as_floats,
    check_square,
    check_vector,
    finite_status,
    guard,
    nan_in_derivatives,
    raise_if_invalid,
    stand_in,
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


def _batch_shape(name: str, x: Array, mean: Array, matrix: Array, mask: Array | None) -> tuple[int, ...]:
    event = int(mean.ndim > 0)
    shapes = {"x": x.shape[: x.ndim - event], "mean": mean.shape[: mean.ndim - event]}
    shapes[name] = matrix.shape[:-2] if event else matrix.shape
    if mask is not None:
        shapes["mask"] = mask.shape[: mask.ndim - event]
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

    `mask` (bool, True = observed: the opposite of `numpy.ma`) broadcasts with x, and its batch axes with the others.
    The density then is the marginal of what is observed, log N(x_o | mean_o, cov_oo) (Cookbook 350); x may be NaN where
    it is not, and has a zero gradient there. Nothing observed has log-density 0. The mean and the matrix are judged
    whole. Each row of the mask is a factorisation: one (d,) mask for all observations is one.

    Raises ValueError and TypeError as the module says; NotImplementedError for `allow_singular`.

    >>> float(logpdf(jnp.zeros(2), jnp.zeros(2), jnp.eye(2)))  # -log 2 pi
    -1.837877...
    >>> float(logpdf(jnp.array([0, jnp.nan]), jnp.zeros(2), jnp.eye(2), mask=jnp.array([True, False])))
    -0.918938...
    """
    if allow_singular is not None:
        raise NotImplementedError(
            "allow_singular: a singular covariance has no density in d dimensions; leave allow_singular out."
        )
    name, given = _spread(cov, cholesky, precision)
    x, mean, matrix = as_floats(x=x, mean=mean, **{name: given})
    _check_shapes(name, "x", x, mean, matrix)
    observed = None if mask is None else as_mask(mask, mean)
    batch = _batch_shape(name, x, mean, matrix, observed)
    value, status = _logpdf(name, batch, x, mean, matrix, observed)
    seen = x if observed is None else jnp.where(observed, x, 0)
    raise_if_invalid(status, x=seen, mean=mean, **{name: matrix})
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

    `mask` (bool, True = observed) broadcasts to the shape of data: the unobserved entries of each row are integrated
    out, as `logpdf` does. Statistics have no rows to mask: with them it is a TypeError.

    Raises ValueError and TypeError as the module says.

    >>> float(log_likelihood(jnp.zeros((3, 2)), jnp.zeros(2), jnp.eye(2)))  # -3 log 2 pi
    -5.513631...
    """
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
    if mask is None:
        value, status = _log_likelihood(name, sample, mean, matrix)
        raise_if_invalid(status, data=sample, mean=mean, **{name: matrix})
        return value
    if isinstance(sample, SufficientStatistics):
        raise TypeError("mask: got data as SufficientStatistics, which have no rows to mask; pass the rows, (n, d).")
    observed = as_mask(mask, mean, within=sample.shape)
    value, status = _observed_log_likelihood(name, sample, mean, matrix, observed)
    raise_if_invalid(status, data=jnp.where(observed, sample, 0), mean=mean, **{name: matrix})
    return value


@partial(jax.jit, static_argnums=(0, 1))
def _logpdf(
    name: str, batch: tuple[int, ...], x: Array, mean: Array, matrix: Array, mask: Array | None
) -> tuple[Array, Array]:
    event, d = int(mean.ndim > 0), mean.shape[-1] if mean.ndim else 1
    if mask is not None:
        value, status = of_observed(name, x, mean, matrix, mask)
    elif name == "cov" and matrix.ndim >= 2 and matrix.shape[:-2] == batch and d > 0:
        x, mean = (jnp.broadcast_to(a, matrix.shape[:-1]) for a in (x, mean))
        return of_each(x, mean, matrix, d)
    else:
        resid = x - mean
        finite = finite_status(resid, event)
        value, judged = of_residuals(name, stand_in(resid, finite), event, matrix, d)
        status = worst(finite, judged)
    status = jnp.broadcast_to(status, batch)
    arguments = ((x, event), (mean, event), (matrix, 2 if matrix.ndim >= 2 else 0))
    return guard(jnp.broadcast_to(value, batch), status, *arguments), status


@partial(jax.jit, static_argnums=0)
def _observed_log_likelihood(name: str, data: Array, mean: Array, matrix: Array, mask: Array) -> tuple[Array, Array]:
    each, judged = of_observed(name, data, mean, matrix, mask)
    status = jnp.max(judged, initial=Status.OK)
    return guard(jnp.sum(each), status, *((a, a.ndim) for a in (data, mean, matrix))), status


@partial(jax.jit, static_argnums=0)
def _log_likelihood(name: str, data: Array | SufficientStatistics, mean: Array, matrix: Array) -> tuple[Array, Array]:
    d = mean.shape[-1] if mean.ndim else 1
    leaves = jax.tree.leaves(data)
    sample = data
    if mean.ndim and not isinstance(data, SufficientStatistics):
        sample = summarise(jnp.atleast_2d(data))
    if isinstance(sample, SufficientStatistics) and name == "cov" and matrix.ndim == 2 and d > 0:
        value, status = of_statistics(sample, mean, matrix)
        if not isinstance(data, SufficientStatistics):  # rows that are not finite have no part in their statistics
            value = nan_in_derivatives(value, status, (data, data.ndim))
        return value, status
    finite = worst(*(finite_status(leaf, leaf.ndim) for leaf in (*jax.tree.leaves(sample), mean)))
    safe, mu = jax.tree.map(lambda leaf: stand_in(leaf, finite), (sample, mean))
    if not isinstance(safe, SufficientStatistics):
        each, judged = of_residuals(name, safe - mu, int(mean.ndim > 0), matrix, d)
        value = jnp.sum(each)
    elif matrix.ndim < 2:
        sd, judged = standard_deviation(name, matrix)
        r = (safe.mean - mu) / sd
        each = log_density(jnp.sum(r * r), 2 * d * jnp.log(sd), d)
        value = safe.count * each - jnp.trace(safe.scatter) / sd / sd / 2
    else:
        each, judged = PARAMETERIZED[name](safe.mean - mu, matrix, d)
        value = safe.count * each - scatter_term(name, safe.scatter, matrix) / 2
    status = worst(finite, judged)
    return guard(value, status, *((leaf, leaf.ndim) for leaf in (*leaves, mean, matrix))), status
