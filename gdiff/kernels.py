"""The arithmetic of small matrices, entry by entry; `gdiff.linalg` chooses it from static shapes.

Symmetric matrices of few dimensions as the scalars of their lower triangles, each an array over the batch, in code
unrolled over d: XLA fuses it into a few loops over the batch, where LAPACK is called once a matrix. Nothing is checked.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

Entries = dict[tuple[int, int], Array]  # (i, j) with i >= j


def entries(s: Array) -> Entries:
    """The lower triangle of (..., d, d), as scalars."""
    return {(i, j): s[..., i, j] for i in range(s.shape[-1]) for j in range(i + 1)}


def pack_vector(entries: list[Array]) -> Array:
    """(...) scalars to (..., d)."""
    d = len(entries)
    return _select({i: [(i,)] for i in range(d)}, dict(enumerate(entries)), (d,))


def pack_symmetric(entries: Entries) -> Array:
    """The entries of a lower triangle, (...) each, to symmetric matrices (..., d, d)."""
    d = 1 + max(i for i, _ in entries)
    return _select({(i, j): [(i, j), (j, i)] for i, j in entries}, entries, (d, d))


def _select(places: dict, entries: dict, event: tuple[int, ...]) -> Array:
    """Each entry at its places, by comparing indices.

    XLA on CPU evaluates each operand of a `stack` anew for each element of the result, branch by branch; operands of a
    `where` do not depend on the index within the event, so they leave the inner loops and are computed once.
    """
    batch = jnp.broadcast_shapes(*(entry.shape for entry in entries.values()))
    flat = np.arange(np.prod(event)).reshape(event)
    index = lax.broadcasted_iota(np.int32, (*batch, flat.size), len(batch))
    result: Array | None = None
    for key, entry in entries.items():
        entry = jnp.broadcast_to(entry[..., None], index.shape)
        if result is None:
            result = entry
            continue
        here = [index == int(flat[place]) for place in dict.fromkeys(places[key])]
        result = jnp.where(here[0] if len(here) == 1 else here[0] | here[1], entry, result)
    assert result is not None
    return result.reshape(*batch, *event)


class UnitFactor(NamedTuple):
    """S = M D M', M unit lower triangular: the pivots D_k, their reciprocals, and the entries of U = M^-1 below 1."""

    pivots: list[Array]
    reciprocals: list[Array]
    u: Entries


def factorise(s: Entries) -> UnitFactor:
    """M D M' of the symmetric matrix with these entries (Golub and Van Loan, 4.1.2), and M^-1 by substitution.

    A division costs a pass over the batch, since XLA stores what is dear and used twice: one a pivot, and no roots.
    """
    d = 1 + max(i for i, _ in s)
    scaled: Entries = {}  # M D
    m: Entries = {}
    pivots, reciprocals = [], []
    for j in range(d):
        pivot = s[j, j]
        for k in range(j):
            pivot = pivot - scaled[j, k] * m[j, k]
        pivots.append(pivot)
        reciprocals.append(1 / pivot)
        for i in range(j + 1, d):
            entry = s[i, j]
            for k in range(j):
                entry = entry - scaled[i, k] * m[j, k]
            scaled[i, j], m[i, j] = entry, entry * reciprocals[j]
    u: Entries = {}
    for j in range(d):
        for i in range(j + 1, d):
            entry = -m[i, j]
            for k in range(j + 1, i):
                entry = entry - m[i, k] * u[k, j]
            u[i, j] = entry
    return UnitFactor(pivots, reciprocals, u)


def every(conditions: list[Array]) -> Array:
    """Whether all of them hold, item by item."""
    return functools.reduce(operator.and_, conditions)


def stored(condition: Array, dtype: Any) -> Array:
    """The same condition, by way of a root: XLA on CPU stores what is dear; what is not it evaluates at each use."""
    return jnp.sqrt(condition.astype(dtype)) > 0


def log_determinant(factor: UnitFactor) -> Array:
    """log|S| = sum_k log D_k."""
    return functools.reduce(operator.add, map(jnp.log, factor.pivots))


def inverse_entries(factor: UnitFactor) -> Entries:
    """P = U' D^-1 U."""
    d, u = len(factor.pivots), factor.u
    p: Entries = {}
    for i in range(d):
        for j in range(i + 1):
            entry = factor.reciprocals[i] if i == j else factor.reciprocals[i] * u[i, j]
            for k in range(i + 1, d):
                entry = entry + u[k, i] * u[k, j] * factor.reciprocals[k]
            p[i, j] = entry
    return p


def whiten_entries(factor: UnitFactor, r: list[Array]) -> list[Array]:
    """z = U r."""
    z = []
    for i, entry in enumerate(r):
        for j in range(i):
            entry = entry + factor.u[i, j] * r[j]
        z.append(entry)
    return z


def weighted_square(factor: UnitFactor, z: list[Array]) -> Array:
    """r'P r = sum_k z_k^2 / D_k, from z = U r."""
    return functools.reduce(operator.add, [a * a * b for a, b in zip(z, factor.reciprocals, strict=True)])


def solve_entries(factor: UnitFactor, z: list[Array]) -> list[Array]:
    """y = P r = U' D^-1 z, from z = U r."""
    w = [a * b for a, b in zip(z, factor.reciprocals, strict=True)]
    y = []
    for i, entry in enumerate(w):
        for k in range(i + 1, len(w)):
            entry = entry + factor.u[k, i] * w[k]
        y.append(entry)
    return y
