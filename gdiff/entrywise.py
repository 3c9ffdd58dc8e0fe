"""The arithmetic of symmetric matrices of few dimensions, entry by entry; nothing is checked.

A matrix is the scalars of its lower triangle, each an array over the batch, in code unrolled over d that XLA fuses into
a few loops over the batch: a library of linear algebra is called once a matrix.
"""

import functools
import operator
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

Entries = dict[tuple[int, int], Array]  # (i, j) with i >= j


def entries(s: Array) -> Entries:
    """The lower triangle of (..., d, d), as scalars."""
    return {(i, j): s[..., i, j] for i in range(s.shape[-1]) for j in range(i + 1)}


def pack_symmetric(entries: Entries) -> Array:
    """The entries of a lower triangle, (...) each, to symmetric matrices (..., d, d)."""
    d = 1 + max(i for i, _ in entries)
    rows = [jnp.stack([entries[max(i, j), min(i, j)] for j in range(d)], -1) for i in range(d)]
    return jnp.stack(rows, -2)


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
