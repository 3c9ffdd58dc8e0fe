"""The only file that factorises: Cholesky, triangular inverse, precision and log-determinant, solves.

Shapes are (..., d, d) and (..., d); everything batches by broadcasting and by vmap. Arguments are taken as valid, and
as exactly symmetric where symmetric: `gdiff.validity` decides on that. Every product asks for the highest precision,
since the default is TF32 on GPUs and bfloat16 on TPUs.
"""

import functools
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gdiff import kernels
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


def diagonal(m: Float[Array, "*batch d d"]) -> Float[Array, "*batch d"]:
    """The diagonal by a strided slice: `jnp.diagonal` gathers, which costs three kernels."""
    d = m.shape[-1]
    return m.reshape(*m.shape[:-2], d * d)[..., :: d + 1]


def log_det_from_cholesky(lower: Float[Array, "*batch d d"]) -> Float[Array, "*batch"]:
    """log|S| = 2 sum_i log L_ii."""
    return 2 * jnp.sum(jnp.log(diagonal(lower)), axis=-1)


def solve_lower(lower: Array, b: Array, transpose: bool = False) -> Array:
    """L^-1 B, or L^-T B: (..., d, d), (..., d, m) -> (..., d, m), batch axes broadcast."""
    batch = jnp.broadcast_shapes(lower.shape[:-2], b.shape[:-2])
    lower = jnp.broadcast_to(lower, batch + lower.shape[-2:])
    b = jnp.broadcast_to(b, batch + b.shape[-2:])
    return lax.linalg.triangular_solve(lower, b, left_side=True, lower=True, transpose_a=transpose)


def inverse_lower(lower: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """W = L^-1, lower triangular."""
    return solve_lower(lower, jnp.broadcast_to(jnp.eye(lower.shape[-1], dtype=lower.dtype), lower.shape))


# Dimensions up to which a matrix is factorised entry by entry; above, by LAPACK. Value and gradient of 20,000
# densities, a covariance each, against autodiff (CPU time): entry by entry 8.4, 5.1, 4.6, 2.9, 2.5 for d = 4 to 8 in
# float64 and 15, 6.5, 6.1, 4.7, 3.0 in float32; by LAPACK 1.6 to 2.0 and 1.2 to 1.3.
# From d = 7 on each output recomputes what it shares with others (d = 8: 1.6 s to compile, 1.4 times for 100,000).
UNROLLED = 6

# Dimensions up to which each item of a batch with a density of its own has its matrix swept, with the batch as the last
# axis. 100,000 value and gradients against autodiff (float64, float32; LAPACK's in brackets): 3.2, 3.3 for d = 8 (1.4,
# 1.3), 1.6, 2.1 for d = 12 (1.4, 1.6), 1.7, 1.9 for d = 16 (1.8, 1.4). From two items on no slower than LAPACK's.
SWEPT = 12


class Inverse(NamedTuple):
    """P = S^-1, log|S|, and max_i S_ii P_ii, the largest variance inflation factor; NaN where S has no factor."""

    precision: Float[Array, "*batch d d"]
    log_det: Float[Array, "*batch"]
    inflation: Float[Array, "*batch"]


def variance_inflation(s: Array, precisions: Array) -> Array:
    """max_i S_ii P_ii from the diagonal of P = S^-1: 1 for a diagonal S, kS / d at least for any."""
    return jnp.max(diagonal(s) * jnp.abs(precisions), axis=-1, initial=1)


PROBED = 64  # dimensions above which L^-1 is formed only where probes say that it must be


@functools.cache
def _probes(d: int) -> np.ndarray:
    """Eight fixed directions in d dimensions."""
    return np.random.default_rng(0).normal(size=(d, 8))


def inflation_within(s: Array, lower: Array, limit: float | Array) -> Array:
    """Whether max_i S_ii P_ii <= limit, from S = L L', for few dimensions from L^-1.

    For many, |L^-1 D^1/2 g|^2 comes first, D = diag(S), for fixed normal g: it is at least l (v'g)^2, with l the
    largest eigenvalue of D^1/2 P D^1/2 and v its vector, and l >= max_i S_ii P_ii. All eight below limit / 1000 while
    l is above limit would need |v'g| < 0.03 eight times.
    """

    def exact(s: Array, lower: Array) -> Array:
        w = inverse_lower(lower)
        return variance_inflation(s, jnp.sum(w * w, axis=-2)) <= limit

    d = s.shape[-1]
    if d <= PROBED:
        return exact(s, lower)
    sd = jnp.sqrt(diagonal(s))
    probed = solve_lower(lower, sd[..., None] * _probes(d).astype(s.dtype))
    far = jnp.max(jnp.sum(probed * probed, axis=-2), axis=-1) <= limit / 1000
    return far | lax.cond(jnp.all(far), lambda *_: far, exact, s, lower)


@jax.custom_jvp
def inverse(s: Float[Array, "*batch d d"]) -> Inverse:
    """P = S^-1 (exactly symmetric) and log|S| of a positive definite, exactly symmetric S.

    Differentiated by dP = -P dS P and d log|S| = tr(P dS), to every order by matrix products alone
    (Matrix Cookbook 40, 43, 2012-11-15).
    """
    if 0 < s.shape[-1] <= UNROLLED:
        factor = kernels.factorise(kernels.entries(s))
        entries = kernels.inverse_entries(factor)
        inflation = [s[..., i, i] * entries[i, i] for i in range(s.shape[-1])]
        factored = kernels.every([pivot > 0 for pivot in factor.pivots])
        return Inverse(
            kernels.pack_symmetric(entries),
            kernels.log_determinant(factor),
            jnp.where(factored, functools.reduce(jnp.maximum, inflation), jnp.nan),
        )
    lower = cholesky(s)
    p = symmetrize(solve_lower(lower, inverse_lower(lower), transpose=True))
    return Inverse(p, log_det_from_cholesky(lower), variance_inflation(s, diagonal(p)))


@inverse.defjvp
def _inverse_jvp(primals: tuple, tangents: tuple) -> tuple[Inverse, Inverse]:
    (s,), (ds,) = primals, tangents
    result = inverse(s)
    exists = jnp.isfinite(result.inflation)[..., None, None]
    p = jnp.where(exists, result.precision, 0)  # in reverse, the zeros of an item that is left out meet it
    ds = symmetrize(ds)
    return result, Inverse(-symmetrize(matmul(matmul(p, ds), p)), inner(p, ds), jnp.zeros_like(result.inflation))


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


@jax.custom_jvp
def quadratic_form(s: Array, precision: Array, r: Array) -> Array:
    """q = r' S^-1 r from P = S^-1: (..., d, d), (..., d, d), (..., d) -> (...).

    Differentiated by dq = 2 y'dr - y'dS y, y = P r (Matrix Cookbook 61), which forms no d x d matrix for each r.
    """
    del s
    return jnp.sum(r * matvec(precision, r), axis=-1)


@quadratic_form.defjvp
def _quadratic_form_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    s, precision, r = primals
    ds, _, dr = tangents
    y = solve(s, precision, r)
    return jnp.sum(r * y, axis=-1), jnp.sum(y * (2 * dr - matvec(symmetrize(ds), y)), axis=-1)


def root_of_inverse(m: Float[Array, "*batch d d"]) -> tuple[Float[Array, "*batch d d"], Float[Array, "*batch"]]:
    """R with M^-1 = R R', and log|M|, of a positive definite M = D L L' D, D the roots of its diagonal: R = D^-1 L^-T.

    The units of the variables cost no digits; NaN where M has no factor.
    """
    scale = jnp.sqrt(diagonal(m))
    lower = cholesky(m / outer(scale, scale))
    log_det = log_det_from_cholesky(lower) + 2 * jnp.sum(jnp.log(scale), axis=-1)
    return inverse_lower(lower).mT / scale[..., :, None], log_det


def eigh(m: Float[Array, "*batch d d"]) -> tuple[Float[Array, "*batch d"], Float[Array, "*batch d d"]]:
    """Ascending w, and V, with M = V diag(w) V'. M is exactly symmetric."""
    v, w = lax.linalg.eigh(m, symmetrize_input=False)
    return w, v


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


@jax.custom_jvp
def triangle(a: Array) -> Array:
    """Lower F with F F' = A A' and a positive diagonal: (..., d, m) -> (..., d, d), A of full row rank.

    By QR, A' = Q R and F = R', which keeps the digits that forming A A' would lose. Differentiated by
    dF = F Phi(F^-1 (dA A' + A dA') F^-T), Phi the lower triangle with half of the diagonal (Murray 2016, section 3.1).
    """
    r = jnp.linalg.qr(a.mT, mode="r")
    return jnp.where(diagonal(r) < 0, -1, 1).astype(a.dtype)[..., None, :] * r.mT


@triangle.defjvp
def _triangle_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (a,), (da,) = primals, tangents
    f = triangle(a)
    half = matmul(solve_lower(f, da), solve_lower(f, a).mT)  # F^-1 dA A' F^-T
    phi = jnp.tril(half) + jnp.triu(half, 1).mT
    return f, matmul(f, phi)
