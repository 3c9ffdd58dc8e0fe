"""Coordinates of symmetric matrices, and the two conventions for a derivative with respect to one.

Order, everywhere: `vec` stacks the columns, `vech` the columns of the lower triangle
(Magnus and Neudecker, Matrix Differential Calculus, chapter 3).

A scalar f of a symmetric S has one differential, df = tr(G' dS), and two arrays that people call its gradient:

- "full": sym(G), the Frobenius gradient, df = <sym(G), dS>;
- "symmetric": B = 2 sym(G) - sym(G)∘I, the partial derivatives with respect to the k = d(d+1)/2 distinct entries,
  df = vech(B)' vech(dS), so that vech(B) = D' vec(G) with D the duplication matrix.
"""

from functools import cache
from math import isqrt
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gdiff.arrays import ArrayLike

Convention = Literal["full", "symmetric"]


def check_convention(convention: str) -> None:
    """Raise ValueError unless `convention` is "full" or "symmetric"."""
    if convention not in get_args(Convention):
        raise ValueError(
            f"convention={convention!r} is not known: use 'full' (the Frobenius gradient A) "
            "or 'symmetric' (partial derivatives with respect to the distinct entries, B = 2A - A∘I)."
        )


def _square(m: ArrayLike, name: str) -> Array:
    m = jnp.asarray(m)
    if m.ndim < 2 or m.shape[-1] != m.shape[-2]:
        raise ValueError(f"{name}: got an array of shape {m.shape}, wanted square matrices (..., d, d).")
    return m


@cache
def lower_indices(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the lower triangle in the order of `vech`, each of shape (k,)."""
    columns, rows = np.triu_indices(d)  # row by row in the upper triangle is column by column in the lower
    return rows, columns


@cache
def _positions(d: int) -> np.ndarray:
    """The (d, d) array that says where in `vech` the entry (i, j) stands."""
    rows, columns = lower_indices(d)
    positions = np.empty((d, d), dtype=np.int32)
    positions[rows, columns] = positions[columns, rows] = np.arange(len(rows))
    return positions


def vech_size(d: int) -> int:
    """k = d(d+1)/2, the number of distinct entries of a symmetric d x d matrix.

    >>> vech_size(3)
    6
    """
    return d * (d + 1) // 2


def _dimension(k: int) -> int:
    d = (isqrt(8 * k + 1) - 1) // 2
    if vech_size(d) != k:
        raise ValueError(
            f"unvech: got length {k}, wanted d(d+1)/2, such as {vech_size(d)} or {vech_size(d + 1)} "
            f"(d = {d} or {d + 1})."
        )
    return d


def vech(m: ArrayLike) -> Float[Array, "*batch k"]:
    """Columns of the lower triangle, stacked: (..., d, d) -> (..., k). The upper triangle is not read.

    >>> vech(jnp.array([[1., 2., 3.], [2., 4., 5.], [3., 5., 6.]])).tolist()
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    """
    m = _square(m, "vech")
    rows, columns = lower_indices(m.shape[-1])
    return m[..., rows, columns]


def unvech(v: ArrayLike) -> Float[Array, "*batch d d"]:
    """The symmetric matrix whose `vech` is v: (..., k) -> (..., d, d).

    >>> unvech(jnp.array([1., 2., 3.])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    v = jnp.asarray(v)
    if v.ndim < 1:
        raise ValueError(f"unvech: got an array of shape {v.shape}, wanted (..., k) with k = d(d+1)/2.")
    return v[..., _positions(_dimension(v.shape[-1]))]


def vec(m: ArrayLike) -> Float[Array, "*batch mn"]:
    """Columns stacked: (..., m, n) -> (..., m n).

    >>> vec(jnp.array([[1., 2.], [3., 4.]])).tolist()
    [1.0, 3.0, 2.0, 4.0]
    """
    m = jnp.asarray(m)
    if m.ndim < 2:
        raise ValueError(f"vec: got an array of shape {m.shape}, wanted matrices (..., m, n).")
    return m.mT.reshape(*m.shape[:-2], m.shape[-2] * m.shape[-1])


def unvec(v: ArrayLike, rows: int) -> Float[Array, "*batch m n"]:
    """The matrix of `rows` rows whose `vec` is v: (..., m n) -> (..., m, n)."""
    v = jnp.asarray(v)
    if v.ndim < 1 or (v.shape[-1] % rows if rows else v.shape[-1]):
        raise ValueError(f"unvec: got an array of shape {v.shape}, wanted (..., m n) with m = {rows} rows.")
    return v.reshape(*v.shape[:-1], v.shape[-1] // rows if rows else 0, rows).mT


def symmetrize(m: ArrayLike) -> Float[Array, "*batch d d"]:
    """sym(M) = M/2 + M'/2, exactly symmetric, and M itself when M is (halves before the sum: no overflow)."""
    m = _square(m, "symmetrize")
    return m / 2 + m.mT / 2


def asymmetry(m: Array) -> Array:
    """max over i, j of |M_ij - M_ji| in units of sqrt(|M_ii|) sqrt(|M_jj|) or |M_ij|, whichever is larger.

    (The product of roots, since M_ii M_jj overflows.) An M with entries that are not finite gives NaN.
    """
    difference = jnp.abs(m - m.mT)
    root = jnp.sqrt(jnp.abs(jnp.diagonal(m, axis1=-2, axis2=-1)))
    scale = jnp.maximum(root[..., :, None] * root[..., None, :], jnp.maximum(jnp.abs(m), jnp.abs(m.mT)))
    ratio = difference / jnp.where(scale > 0, scale, 1)
    return jnp.max(ratio, axis=(-2, -1), initial=0)


def _diagonal_part(m: Array) -> Array:
    return jnp.where(np.eye(m.shape[-1], dtype=bool), m, jnp.zeros((), m.dtype))


def to_symmetric(g: ArrayLike) -> Float[Array, "*batch d d"]:
    """G + G' - G∘I: from the gradient with free entries, or A, to B, the partials in the distinct entries.

    >>> to_symmetric(jnp.array([[1., 2.], [2., 3.]])).tolist()
    [[1.0, 4.0], [4.0, 3.0]]
    """
    g = _square(g, "to_symmetric")
    return g + g.mT - _diagonal_part(g)


def to_full(b: ArrayLike) -> Float[Array, "*batch d d"]:
    """(B + B∘I) / 2: from B, the partials in the distinct entries, back to the Frobenius gradient A.

    >>> to_full(jnp.array([[1., 4.], [4., 3.]])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    b = _square(b, "to_full")
    return (b + _diagonal_part(b)) / 2


def apply_duplication(v: ArrayLike) -> Float[Array, "*batch dd"]:
    """D v = vec(unvech(v)), without forming D: (..., k) -> (..., d*d)."""
    return vec(unvech(v))


def apply_duplication_transpose(g: ArrayLike) -> Float[Array, "*batch k"]:
    """D' g, without forming D: (..., d*d) -> (..., k). For g = vec(G) it is vech(G + G' - G∘I)."""
    return vech(to_symmetric(_unvec_square(g, "apply_duplication_transpose")))


def apply_elimination(v: ArrayLike) -> Float[Array, "*batch k"]:
    """E v, without forming E: (..., d*d) -> (..., k), E vec(M) = vech(M)."""
    return vech(_unvec_square(v, "apply_elimination"))


def apply_commutation(v: ArrayLike, m: int, n: int) -> Float[Array, "*batch mn"]:
    """K v, without forming K = K_mn: K vec(A) = vec(A') for A of shape (m, n)."""
    a = unvec(v, m)
    if a.shape[-1] != n:
        raise ValueError(f"apply_commutation: got length {a.shape[-1] * m}, wanted m n = {m} x {n}.")
    return vec(a.mT)


def _unvec_square(v: ArrayLike, name: str) -> Array:
    v = jnp.asarray(v)
    d = isqrt(v.shape[-1]) if v.ndim else -1
    if v.ndim < 1 or d * d != v.shape[-1]:
        raise ValueError(f"{name}: got an array of shape {v.shape}, wanted (..., d*d).")
    return unvec(v, d)


def duplication_matrix(d: int) -> Float[Array, "dd k"]:
    """D, with D vech(S) = vec(S) for symmetric S: 0/1 of shape (d*d, k). To apply it, `apply_duplication`.

    >>> duplication_matrix(2).astype(int).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]
    """
    return jnp.eye(vech_size(d))[_positions(d).T.reshape(-1)]


def elimination_matrix(d: int) -> Float[Array, "k dd"]:
    """E, with E vec(M) = vech(M): 0/1 of shape (k, d*d). To apply it, `apply_elimination`.

    >>> elimination_matrix(2).astype(int).tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    """
    rows, columns = lower_indices(d)
    return jnp.eye(d * d)[columns * d + rows]


def commutation_matrix(m: int, n: int) -> Float[Array, "mn mn"]:
    """K_mn, with K vec(A) = vec(A') for A of shape (m, n): a permutation. To apply it, `apply_commutation`.

    >>> commutation_matrix(2, 2).astype(int).tolist()
    [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    """
    return jnp.eye(m * n)[np.arange(m * n).reshape(n, m).T.reshape(-1)]
