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

from gdiff import entrywise
from gdiff.native import Kernel
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


# Dimensions up to which JAX factorises a matrix entry by entry; above, by a library, once a matrix. Where entries are
# compiled, from d = 7 on each output recomputes what it shares with others.
UNROLLED = 6


SMALL = 64  # dimensions up to which a call of a library takes longer than a product of two matrices


def three_products(a: Array, b: Array) -> Array:
    """`congruence` in JAX, linear in B also where that is a tangent and is transposed, as a kernel is not."""
    return symmetrize(matmul(matmul(a, b), a))


_CONGRUENCE = Kernel("congruence", lambda a, b: (three_products(a, b),), lambda *shapes: shapes[:1])


def congruence(a: Float[Array, "*batch d d"], b: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    """A B A of symmetric A and B, exactly symmetric."""
    return _CONGRUENCE(a, b)[0] if a.shape[-1] <= SMALL else three_products(a, b)


class Inverse(NamedTuple):
    """P = S^-1 and log|S|, of S/2 + S'/2, and what S is judged by.

    `inflation` is max_i S_ii P_ii, the largest variance inflation factor; it and log|S| are NaN where S has no factor.
    `asymmetry` is max |S_ij - S_ji| / max(sqrt(S_ii S_jj), |S_ij|, |S_ji|); NaN where an entry is not finite.
    """

    precision: Float[Array, "*batch d d"]
    log_det: Float[Array, "*batch"]
    inflation: Float[Array, "*batch"]
    asymmetry: Float[Array, "*batch"]


def asymmetry(s: Float[Array, "*batch d d"]) -> Float[Array, "*batch"]:
    """max |S_ij - S_ji| / max(sqrt(S_ii S_jj), |S_ij|, |S_ji|), whatever the units; NaN where S is not finite."""
    root, size, mirrored = jnp.sqrt(jnp.abs(diagonal(s))), jnp.abs(s), s.mT
    scale = jnp.maximum(outer(root, root), jnp.maximum(size, jnp.abs(mirrored)))
    ratio = jnp.where(s == mirrored, 0, jnp.abs(s - mirrored) / scale)
    return jnp.max(ratio + (s - s), axis=(-2, -1), initial=0)


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


def _inverse(s: Array) -> Inverse:
    whole = symmetrize(s)
    if 0 < s.shape[-1] <= UNROLLED:
        factor = entrywise.factorise(entrywise.entries(whole))
        packed = entrywise.pack_symmetric(entrywise.inverse_entries(factor))
        p = symmetrize(packed)  # entries that are equal may be computed twice, and rounded by different code
        factored = entrywise.every([pivot > 0 for pivot in factor.pivots])
        inflation = jnp.where(factored, variance_inflation(s, diagonal(p)), jnp.nan)
        return Inverse(p, entrywise.log_determinant(factor), inflation, asymmetry(s))
    lower = cholesky(whole)
    p = symmetrize(solve_lower(lower, inverse_lower(lower), transpose=True))
    return Inverse(p, log_det_from_cholesky(lower), variance_inflation(s, diagonal(p)), asymmetry(s))


def _forms(s: Array, x: Array, mean: Array) -> "Forms":
    result, r = _inverse(s), x - mean
    small = s.shape[-1] <= UNROLLED  # then a product would be a call of a library for each item
    y = jnp.sum(result.precision * r[..., None, :], axis=-1) if small else matvec(result.precision, r)
    return Forms(*result, y, jnp.sum(r * y, axis=-1))


class Forms(NamedTuple):
    """What the density of x is made of: `Inverse`, and for r = x - mean y = P r and r'P r."""

    precision: Float[Array, "*batch d d"]
    log_det: Float[Array, "*batch"]
    inflation: Float[Array, "*batch"]
    asymmetry: Float[Array, "*batch"]
    solution: Float[Array, "*batch d"]
    mahalanobis: Float[Array, "*batch"]


_INVERSE = Kernel("inverse", _inverse, lambda s: (s, *[s[:-2]] * 3))
_FORMS = Kernel("forms", _forms, lambda s, x, _: (s, *[s[:-2]] * 3, x, s[:-2]))
_FORMS_ALONE = Kernel("forms_alone", lambda *a: _forms(*a)[1:], lambda s, x, _: (*[s[:-2]] * 3, x, s[:-2]))


def forms(x: Array, mean: Array, s: Array) -> Forms:
    """All of them, item by item, for x and mean (..., d) and S (..., d, d), formed together."""
    return Forms(*_FORMS(s, x, mean))


def forms_alone(x: Array, mean: Array, s: Array) -> Forms:
    """The same where P is of no use, and not kept: NaN."""
    return Forms(jnp.full_like(s, jnp.nan), *_FORMS_ALONE(s, x, mean))


class Scored(NamedTuple):
    """The gradient of a log-likelihood in S and, of `Forms`, all but P; of a sample tr(P C) too."""

    gradient: Float[Array, "*batch d d"]
    log_det: Float[Array, "*batch"]
    inflation: Float[Array, "*batch"]
    asymmetry: Float[Array, "*batch"]
    solution: Float[Array, "*batch d"]
    mahalanobis: Float[Array, "*batch"]
    trace: Float[Array, "*batch"] | None = None


def _score(s: Array, x: Array, mean: Array) -> Scored:
    formed = _forms(s, x, mean)
    return Scored((outer(formed.solution, formed.solution) - formed.precision) / 2, *formed[1:])


def _score_of_formed(formed: Forms, n: Array, scatter: Array) -> Scored:
    p, y = formed.precision, formed.solution
    gradient = (n[..., None, None] * (outer(y, y) - p) + congruence(p, scatter)) / 2
    return Scored(gradient, *formed[1:], inner(p, scatter))


_SCORE = Kernel("score", lambda *a: _score(*a)[:-1], lambda s, x, _: (s, *[s[:-2]] * 3, x, s[:-2]))
_SCORE_OF_STATISTICS = Kernel(
    "score_of_statistics",
    lambda s, x, mean, n, scatter: _score_of_formed(_forms(s, x, mean), n, scatter),
    lambda s, x, *_: (s, *[s[:-2]] * 3, x, *[s[:-2]] * 2),
)


def score(x: Array, mean: Array, s: Array, count: Array | None = None, scatter: Array | None = None) -> Scored:
    """A = (y y' - P) / 2 of an observation x; A = (n (y y' - P) + P C P) / 2 of n with mean x and scatter C.

    Item by item, as `forms`; P itself is not kept (Matrix Cookbook 57 and 61).
    """
    if count is None or scatter is None:
        return Scored(*_SCORE(s, x, mean))
    if s.shape[-1] > SMALL:
        return _score_of_formed(forms(x, mean, s), count, scatter)
    return Scored(*_SCORE_OF_STATISTICS(s, x, mean, count, scatter))


@jax.custom_jvp
def inverse(s: Float[Array, "*batch d d"]) -> Inverse:
    """P = S^-1 (exactly symmetric) and log|S| of a positive definite S, of which S/2 + S'/2 is taken.

    Differentiated by dP = -P dS P and d log|S| = tr(P dS), to every order by matrix products alone
    (Matrix Cookbook 40, 43, 2012-11-15).
    """
    return Inverse(*_INVERSE(s))


@inverse.defjvp
def _inverse_jvp(primals: tuple, tangents: tuple) -> tuple[Inverse, Inverse]:
    (s,), (ds,) = primals, tangents
    result = inverse(s)
    exists = jnp.isfinite(result.inflation)[..., None, None]
    p = jnp.where(exists, result.precision, 0)  # in reverse, the zeros of an item that is left out meet it
    ds = symmetrize(ds)
    still = jnp.zeros_like(result.inflation)
    return result, Inverse(-three_products(p, ds), inner(p, ds), still, still)


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
