"""Observations with missing entries: what was not observed is integrated out.

The marginal of the observed variables is written as a density of all of them: those that were not observed are made
independent of the others, with variance 1 and residual 0, and are not counted in d. No shape depends on the mask, so
that it may be traced, and the densities of complete observations do the rest.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from gdiff import linalg
from gdiff.arrays import ArrayLike
from gdiff.density_rules import PARAMETERIZED, of_each, of_residuals
from gdiff.validity import cholesky_factor, finite_status, positive_definite, stand_in, worst

# Entries, of the matrices of observations that each have their own, that are formed at a time.
AT_A_TIME = 2**21


def as_mask(mask: ArrayLike, mean: Array, within: tuple[int, ...] | None = None) -> Array:
    """The mask as booleans, (..., d) for a mean (..., d), and (...) for a scalar one.

    Raises TypeError unless it is boolean, and ValueError unless its last axis is that of the mean and, if the shape
    `within` is given, it broadcasts to that.
    """
    observed = jnp.asarray(mask)
    if observed.dtype != bool:
        raise TypeError(
            f"mask: got {observed.dtype}, wanted bool, True where observed (the opposite of numpy.ma): "
            "mask == 1 of an indicator, ~jnp.isnan(x) of data with NaN where nothing was observed."
        )
    shape = observed.shape
    if mean.ndim and shape[-1:] not in ((), (1,), mean.shape[-1:]):
        raise ValueError(
            f"mask: got shape {shape}, wanted (..., {mean.shape[-1]}) to match mean of shape {mean.shape}; "
            "for rows that are observed or not as a whole write mask[..., None]."
        )
    if within is not None:
        pairs = zip(reversed(shape), reversed(within), strict=False)
        if len(shape) > len(within) or any(m not in (1, n) for m, n in pairs):
            raise ValueError(f"mask: got shape {shape}, wanted one that broadcasts to that of data, {within}.")
    return observed if mean.ndim == 0 else jnp.broadcast_to(observed, (*shape[:-1], mean.shape[-1]))


def of_observed(name: str, x: Array, mean: Array, matrix: Array, mask: Array) -> tuple[Array, Array]:
    """log N of what the mask shows, item by item, and the status: mean and matrix are judged whole, x where it shows.

    log N(x_o | mean_o, Sigma_oo) (Cookbook 350), 0 where nothing is observed.
    """
    event = int(mean.ndim > 0)
    resid = jnp.where(mask, x - mean, 0)  # x - mean is linear: a NaN in it reaches no derivative
    finite = worst(finite_status(resid, event), finite_status(mean, event))
    resid = stand_in(resid, finite)
    if matrix.ndim < 2:
        d = jnp.sum(mask, axis=-1, dtype=resid.dtype) if event else mask.astype(resid.dtype)
        value, judged = of_residuals(name, resid, event, matrix, d)
        return value, worst(finite, judged)
    of_factor = name == "cholesky"
    whole, judged = cholesky_factor(matrix) if of_factor else _covariance(name, matrix)
    if matrix.ndim == 2 and mask.size * mask.shape[-1] > AT_A_TIME:
        value, status = _a_block_at_a_time(of_factor, resid, whole, mask)
    else:
        value, status = _of_marginal(of_factor, resid, whole, mask)
    return value, worst(finite, judged, status)


def _covariance(name: str, matrix: Array) -> tuple[Array, Array]:
    """Sigma, I where it is not valid, and the status. Of a precision it is the inverse, formed once for all masks.

    The marginal precision without it, P_oo - P_ou P_uu^-1 P_uo (Cookbook 399), loses digits to the difference: at
    condition 1e12 a thousand times as many as the inverse, which stays within 2 d kS u.
    """
    s = positive_definite(matrix)
    return (s.matrix if name == "cov" else s.inverse), s.status


def _of_marginal(of_factor: bool, resid: Array, whole: Array, mask: Array) -> tuple[Array, Array]:
    """log N(r_o | 0, Sigma_oo), Sigma given whole, or by its factor."""
    d = jnp.sum(mask, axis=-1, dtype=resid.dtype)
    if of_factor:
        return PARAMETERIZED["cholesky"](resid, _marginal_factor(whole, mask), d)
    eye = jnp.eye(whole.shape[-1], dtype=whole.dtype)
    cov = jnp.where(mask[..., :, None] & mask[..., None, :], whole, eye)
    batch = jnp.broadcast_shapes(resid.shape[:-1], cov.shape[:-2])
    if cov.shape[:-2] == batch and cov.shape[-1] > 0:
        resid = jnp.broadcast_to(resid, cov.shape[:-1])
        return of_each(resid, jnp.zeros_like(resid), cov, d)
    return PARAMETERIZED["cov"](resid, cov, d)


def _a_block_at_a_time(of_factor: bool, resid: Array, whole: Array, mask: Array) -> tuple[Array, Array]:
    """The same, where many observations have masks of their own: their matrices do not fit in memory together."""
    d = resid.shape[-1]
    n = resid.size // d
    blocks = -(-n * d * d // AT_A_TIME)
    size = -(-n // blocks)

    def split(a: Array) -> Array:
        """Blocks of equal sizes; of what fills up the last, nothing is observed."""
        return jnp.pad(a.reshape(n, d), ((0, blocks * size - n), (0, 0))).reshape(blocks, size, d)

    @jax.checkpoint  # a derivative in reverse keeps the rows, not their matrices
    def of_block(block: tuple[Array, Array]) -> tuple[Array, Array]:
        return _of_marginal(of_factor, block[0], whole, block[1])

    value, status = lax.map(of_block, (split(resid), split(jnp.broadcast_to(mask, resid.shape))))
    return value.reshape(-1)[:n].reshape(resid.shape[:-1]), status.reshape(-1)[:n].reshape(resid.shape[:-1])


def _marginal_factor(lower: Array, mask: Array) -> Array:
    """The factor of L_o L_o', L_o the observed rows of L, without the product; the other rows are those of I."""
    shown = jnp.where(mask[..., :, None], lower, 0)
    hidden = jnp.where(mask[..., :, None], 0, jnp.eye(lower.shape[-1], dtype=lower.dtype))
    return linalg.triangle(jnp.concatenate([shown, jnp.broadcast_to(hidden, shown.shape)], axis=-1))
