"""The only file that factorises: Cholesky, triangular inverse, precision and log-determinant, solves.

Shapes are (..., d, d) and (..., d); everything batches by broadcasting and by vmap. Arguments are taken as valid, and
as exactly symmetric where symmetric: `gdiff.validity` decides on that. Every product asks for the highest precision,
since the default is TF32 on GPUs and bfloat16 on TPUs.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gdiff.symmetric.coordinates import symmetrize

einsum = partial(jnp.einsum, precision=lax.Precision.HIGHEST)
matmul = partial(jnp.matmul, precision=lax.Precision.HIGHEST)


def matvec(a: Array, x: Array) -> Array:
    """A x for (..., d, d) and (..., d), batch axes broadcast; a shared A meets many x in one product."""
    return einsum("...ij,...j->...i", a, x)


def outer(x: Array, y: Array) -> Array:
    """X y': (..., d), (..., d) -> (..., d, d)."""
    return x[..., :, None] * y[..., None, :]


def inner(a: Array, b: Array) -> Array:
    """tr(A' B), the Frobenius inner product: (..., d, d), (..., d, d) -> (...)."""
    return jnp.sum(a * b, axis=(-2, -1))


def cholesky(s: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """Lower L with S = L L', NaN where there is none. S is exactly symmetric."""
    return lax.linalg.cholesky(s, symmetrize_input=False)


def log_det_from_cholesky(lower: Float[Array, "*batch d d"]) -> Float[Array, "*batch"]:
    """log|S| = 2 sum_i log L_ii."""
    return 2 * jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-2, axis2=-1)), axis=-1)


def solve_lower(lower: Array, b: Array, transpose: bool = False) -> Array:
    """L^-1 B, or L^-T B: (..., d, d), (..., d, m) -> (..., d, m), batch axes broadcast."""
    batch = jnp.broadcast_shapes(lower.shape[:-2], b.shape[:-2])
    lower = jnp.broadcast_to(lower, batch + lower.shape[-2:])
    b = jnp.broadcast_to(b, batch + b.shape[-2:])
    return lax.linalg.triangular_solve(lower, b, left_side=True, lower=True, transpose_a=transpose)


def inverse_lower(lower: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """W = L^-1, lower triangular."""
    return solve_lower(lower, jnp.broadcast_to(jnp.eye(lower.shape[-1], dtype=lower.dtype), lower.shape))


UNROLLED = 4  # dimensions up to which a matrix is inverted entry by entry


class Inverse(NamedTuple):
    """P = S^-1, log|S|, and whether the factorisation succeeded; where it did not, P = I and log|S| = 0."""

    precision: Float[Array, "*batch d d"]
    log_det: Float[Array, "*batch"]
    succeeded: Array | np.ndarray  # float0 as a tangent


@jax.custom_jvp
def inverse(s: Float[Array, "*batch d d"]) -> Inverse:
    """P = S^-1 (exactly symmetric) and log|S| of a positive definite S.

    Differentiated by dP = -P dS P and d log|S| = tr(P dS), to every order by matrix products alone
    (Matrix Cookbook 40, 43, 2012-11-15).
    """
    if s.shape[-1] <= UNROLLED:
        return _inverse_unrolled(s)
    lower = cholesky(s)
    succeeded = jnp.all(jnp.isfinite(jnp.diagonal(lower, axis1=-2, axis2=-1)), axis=-1)
    lower = jnp.where(succeeded[..., None, None], lower, jnp.eye(s.shape[-1], dtype=s.dtype))
    w = inverse_lower(lower)
    return Inverse(symmetrize(matmul(w.mT, w)), log_det_from_cholesky(lower), succeeded)


def _inverse_unrolled(s: Array) -> Inverse:
    """`inverse`, entry by entry: over a batch it becomes vector code, where LAPACK is called once a matrix."""
    d = s.shape[-1]
    lower: dict[tuple[int, int], Array] = {}
    succeeded = jnp.ones(s.shape[:-2], bool)
    log_det = jnp.zeros(s.shape[:-2], s.dtype)
    for j in range(d):
        pivot = s[..., j, j] - sum(lower[j, k] ** 2 for k in range(j))
        positive = (pivot > 0) & jnp.isfinite(pivot)
        succeeded = succeeded & positive
        root = jnp.sqrt(jnp.where(positive, pivot, 1))
        log_det = log_det + 2 * jnp.log(root)
        lower[j, j] = root
        for i in range(j + 1, d):
            lower[i, j] = (s[..., i, j] - sum(lower[i, k] * lower[j, k] for k in range(j))) / root
    w: dict[tuple[int, int], Array] = {}
    for j in range(d):
        w[j, j] = 1 / lower[j, j]
        for i in range(j + 1, d):
            w[i, j] = -sum(lower[i, k] * w[k, j] for k in range(j, i)) / lower[i, i]
    rows = [[sum(w[k, i] * w[k, j] for k in range(max(i, j), d)) for j in range(d)] for i in range(d)]
    p = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2) if d else s
    eye = jnp.eye(d, dtype=s.dtype)
    return Inverse(jnp.where(succeeded[..., None, None], p, eye), jnp.where(succeeded, log_det, 0), succeeded)


@inverse.defjvp
def _inverse_jvp(primals: tuple, tangents: tuple) -> tuple[Inverse, Inverse]:
    (s,), (ds,) = primals, tangents
    result = inverse(s)
    p = result.precision
    ds = symmetrize(ds)
    no_tangent = np.zeros(result.succeeded.shape, jax.dtypes.float0)
    return result, Inverse(-symmetrize(matmul(matmul(p, ds), p)), inner(p, ds), no_tangent)


@jax.custom_jvp
def solve(s: Array, precision: Array, r: Array) -> Array:
    """y = S^-1 r from P = S^-1, which is `inverse(s)`: (..., d, d), (..., d, d), (..., d) -> (..., d).

    Differentiated by dy = P (dr - dS y), which never forms dP (Giles 2008, section 2.2.3).
    """
    del s
    return matvec(precision, r)


@solve.defjvp
def _solve_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    s, precision, r = primals
    ds, _, dr = tangents
    y = solve(s, precision, r)
    return y, matvec(precision, dr - matvec(symmetrize(ds), y))


def whiten(lower: Array, r: Array) -> Array:
    """z = L^-1 r: (..., d, d), (..., d) -> (..., d), batch axes broadcast.

    Few vectors are solved for; many that share a factor are multiplied by its inverse, formed once.
    """
    d, count = lower.shape[-1], math.prod(r.shape[:-1])
    if lower.ndim == 2 and count <= d:
        return solve_lower(lower, r.reshape(count, d).T).T.reshape(r.shape)
    if lower.shape[:-2] == r.shape[:-1]:
        return solve_lower(lower, r[..., None])[..., 0]
    return matvec(inverse_lower(lower), r)


def inverse_general(x: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """X^-1 of a square matrix without structure, by LU with pivoting."""
    return jnp.linalg.inv(x)


def solve_symmetric(m: Float[Array, "*batch d d"], b: Array) -> Array:
    """M^-1 B of a symmetric, possibly indefinite M: (..., d, d), (..., d, m) -> (..., d, m).

    By LU of M scaled to rows of unit size, which does not lose digits on badly scaled parameters.
    """
    size = jnp.sqrt(jnp.max(jnp.abs(m), axis=-1, initial=0))
    scale = jnp.where(size > 0, 1 / size, 1)
    scaled = m * scale[..., :, None] * scale[..., None, :]
    return scale[..., :, None] * jnp.linalg.solve(scaled, scale[..., :, None] * b)
