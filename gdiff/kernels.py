"""The arithmetic of small matrices, by entries or by lanes; `gdiff.linalg` chooses it from static shapes.

LAPACK is called once a matrix. Symmetric matrices of few dimensions are the scalars of their lower triangles, each an
array over the batch, in code unrolled over d that XLA fuses into a few loops over the batch. Of somewhat more they are
arrays with the batch as the last axis, swept a chunk at a time. Nothing is checked.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
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


LANES = 250  # matrices that are swept together: 32 to 1000 of them take the same time, which is when they stay in cache


def by_lanes(function: Callable, event_ndims: tuple[int, ...], *arrays: Array) -> Any:
    """`function` of arrays whose one batch axis is the last, a chunk at a time; of arrays whose batch axes lead.

    A chunk lies in the cache while all of its work is done, and each step is vector code along the batch. One after the
    other: side by side, two loops were slower. The last chunk starts early enough to be whole.
    """
    batch = arrays[0].shape[: arrays[0].ndim - event_ndims[0]]
    flat = [a.reshape(-1, *a.shape[a.ndim - event :]) for a, event in zip(arrays, event_ndims, strict=True)]
    count = len(flat[0])
    lanes = min(LANES, count)

    def chunk(start: Array) -> Any:
        parts = [lax.dynamic_slice_in_dim(a, start, lanes) for a in flat]
        return jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), function(*(jnp.moveaxis(a, 0, -1) for a in parts)))

    def step(i: Array, results: Any) -> Any:
        start = jnp.minimum(i * lanes, count - lanes)
        return jax.tree.map(lambda r, c: lax.dynamic_update_slice_in_dim(r, c, start, 0), results, chunk(start))

    shapes = jax.eval_shape(chunk, 0)
    empty = jax.tree.map(lambda a: jnp.zeros((count, *a.shape[1:]), a.dtype), shapes)
    results = lax.fori_loop(0, -(-count // lanes), step, empty)
    return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), results)


def sweep(s: Array) -> tuple[Array, Array]:
    """P = S^-1, symmetric, and the pivots (d, batch), of (d, d, batch), by Gauss and Jordan's elimination in place.

    Goodnight, A tutorial on the SWEEP operator (1979); the pivots are those of S = M D M'.
    """
    pivots = []
    for k in range(len(s)):
        pivot = s[k, k]
        column, row = s[:, k], s[k] / pivot
        s = s - column[:, None] * row
        s = s.at[k].set(row).at[:, k].set(-column / pivot).at[k, k].set(1 / pivot)
        pivots.append(pivot)
    return s / 2 + s.swapaxes(0, 1) / 2, jnp.stack(pivots)
