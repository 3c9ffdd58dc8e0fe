"""Gradients with respect to structured matrices, as projections of the gradient G of free entries.

A structured matrix has two arrays that people call its gradient: the partial derivatives in the numbers that it is made
of, which add up what G has where such a number stands, and the projection of G on the steps that the structure allows.
All claims are about f(X) = tr(B' X X), of which G = B X' + X' B, and about f(X) = Re tr(B^H X X) for complex X.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import (
    Circulant,
    Complex,
    Diagonal,
    General,
    Hermitian,
    LowerTriangular,
    Skew,
    Symmetric,
    Toeplitz,
    Vector,
)
from gdiff.domains.base import orthogonal
from gdiff.identities.notation import beyond

_weight = Argument("B", General(), ("d", "d"))
_steep = Argument("B", General(), ("n", "n"))


@dataclass(frozen=True)
class OrthonormalColumns(General):
    """Tall matrices with orthonormal columns, every direction one to step in."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - orthonormal columns have neither
        """Columns of a random orthogonal matrix."""
        return orthogonal(rng, *shape)


def _f(b, x):
    """Re tr(B^H X X), entry by entry."""
    return jnp.real(jnp.einsum("ij,ik,kj->", jnp.conj(b), x, x))


def _free(b, x):
    """G, the gradient of free entries."""
    return b @ jnp.conj(x).T + jnp.conj(x).T @ b


def _diagonal_sums(g):
    """Sums along the diagonals, the one at the upper right first."""
    d = len(g)
    return jnp.stack([jnp.trace(g, offset=d - 1 - k) for k in range(2 * d - 1)])


def _wrapped_sums(g):
    """Sums over the entries (i, j) with (i - j) mod d = k, for every k."""
    d = len(g)
    return jnp.stack([jnp.trace(jnp.roll(g, k, axis=1), offset=0) for k in range(d)])


def _toeplitz(t):
    """The Toeplitz matrix of 2d - 1 numbers, row by row."""
    d = (len(t) + 1) // 2
    return jnp.stack([t[i : i + d][::-1] for i in range(d)])


def _circulant(c):
    """The circulant matrix whose first column is c, column by column."""
    return jnp.stack([jnp.roll(c, k) for k in range(len(c))], axis=1)


def _skew(v, d):
    """The skew matrix with v below its diagonal, row by row."""
    rows, columns = np.tril_indices(d, -1)
    return jnp.zeros((d, d)).at[rows, columns].set(v).at[columns, rows].set(-v)


def _below(m):
    return m[np.tril_indices(len(m), -1)]


def _polar(y):
    """The nearest matrix with orthonormal columns, Y (Y'Y)^(-1/2), by Newton and Schulz from one that is near."""
    for _ in range(6):
        y = y @ (3 * jnp.eye(y.shape[1]) - y.T @ y) / 2
    return y


def _stiefel_f(b, x):
    """tr(X' B X D), D the diagonal matrix of 1 to d: not one of the columns' space alone."""
    return jnp.einsum("ij,ik,kj,j->", x, b, x, jnp.arange(1.0, x.shape[1] + 1))


def _stiefel_gradient(b, x):
    """G - X sym(X'G), G = (B + B') X D."""
    g = (b + b.T) @ x * jnp.arange(1.0, x.shape[1] + 1)
    m = x.T @ g
    return g - x @ (m + m.T) / 2


def _claim(name, title, right, derivative, argument, hypotheses, *, function=_f, convention=None, dimensions=()):
    return Claim(
        name=f"structured_gradient/{name}",
        title=title,
        statement=rf"\nabla f = {right}, \quad G = B X^\top + X^\top B",
        function=function,
        derivative=derivative,
        arguments=(_weight, argument),
        wrt=(1,),
        convention=convention,
        source=beyond(67),
        hypotheses=hypotheses,
        dimensions=dimensions,
    )


def _matrix(domain):
    return Argument("X", domain, ("d", "d"))


CLAIMS = (
    _claim(
        "symmetric",
        "Frobenius gradient of a symmetric matrix",
        r"\operatorname{sym} G",
        lambda b, x: (_free(b, x) + _free(b, x).T) / 2,
        _matrix(Symmetric()),
        ("X symmetric",),
        convention="full",
    ),
    _claim(
        "symmetric_entries",
        "partials in the distinct entries of a symmetric matrix",
        r"G + G^\top - G \circ I",
        lambda b, x: _free(b, x) + _free(b, x).T - _free(b, x) * jnp.eye(len(x)),
        _matrix(Symmetric()),
        ("X symmetric",),
        convention="symmetric",
    ),
    _claim(
        "skew",
        "Frobenius gradient of a skew matrix",
        r"\tfrac12 (G - G^\top)",
        lambda b, x: (_free(b, x) - _free(b, x).T) / 2,
        _matrix(Skew()),
        ("X skew-symmetric",),
        dimensions=(2, 3),
    ),
    _claim(
        "skew_entries",
        "partials in the entries of a skew matrix below its diagonal",
        r"\left(G - G^\top\right)_{ij}, \; i > j",
        lambda b, v: _below(_free(b, _skew(v, len(b))) - _free(b, _skew(v, len(b))).T),
        Argument("v", Vector(), (3,)),
        ("X skew-symmetric, v its entries below the diagonal",),
        function=lambda b, v: _f(b, _skew(v, len(b))),
        dimensions=(3,),
    ),
    _claim(
        "lower_triangular",
        "gradient of a lower-triangular matrix",
        r"\operatorname{tril} G",
        lambda b, x: jnp.tril(_free(b, x)),
        _matrix(LowerTriangular()),
        ("X lower triangular",),
    ),
    _claim(
        "diagonal",
        "gradient of a diagonal matrix",
        r"G \circ I",
        lambda b, x: _free(b, x) * jnp.eye(len(x)),
        _matrix(Diagonal()),
        ("X diagonal",),
    ),
    _claim(
        "diagonal_entries",
        "partials in the diagonal entries of a diagonal matrix",
        r"\operatorname{diag} G",
        lambda b, v: jnp.diagonal(_free(b, jnp.diag(v))),
        Argument("v", Vector(), ("d",)),
        ("X diagonal, v its diagonal",),
        function=lambda b, v: _f(b, jnp.diag(v)),
    ),
    _claim(
        "toeplitz",
        "Frobenius gradient of a Toeplitz matrix: means along the diagonals",
        r"\operatorname{mean\ along\ diagonals} G",
        lambda b, x: _toeplitz(_diagonal_sums(_free(b, x)) / _diagonal_sums(jnp.ones_like(x))),
        _matrix(Toeplitz()),
        ("X Toeplitz",),
    ),
    _claim(
        "toeplitz_entries",
        "partials in the numbers of a Toeplitz matrix: sums along the diagonals",
        r"\sum_{i - j = k} G_{ij}, \; k = 1 - d, \dots, d - 1",
        lambda b, t: _diagonal_sums(_free(b, _toeplitz(t))),
        Argument("t", Vector(), (5,)),
        ("X Toeplitz, t its numbers from the upper right to the lower left",),
        function=lambda b, t: _f(b, _toeplitz(t)),
        dimensions=(3,),
    ),
    _claim(
        "circulant",
        "Frobenius gradient of a circulant matrix: means along the wrapped diagonals",
        r"\operatorname{mean\ along\ wrapped\ diagonals} G",
        lambda b, x: _circulant(_wrapped_sums(_free(b, x)) / len(x)),
        _matrix(Circulant()),
        ("X circulant",),
    ),
    _claim(
        "circulant_entries",
        "partials in the numbers of a circulant matrix: sums along the wrapped diagonals",
        r"\sum_{i - j \equiv k \; (d)} G_{ij}, \; k = 0, \dots, d - 1",
        lambda b, c: _wrapped_sums(_free(b, _circulant(c))),
        Argument("c", Vector(), ("d",)),
        ("X circulant, c its first column",),
        function=lambda b, c: _f(b, _circulant(c)),
    ),
    Claim(
        name="structured_gradient/hermitian",
        title="gradient of a Hermitian matrix",
        statement=r"\nabla f = \tfrac12 (G + G^H), \quad G = B X^H + X^H B",
        function=_f,
        derivative=lambda b, x: (_free(b, x) + jnp.conj(_free(b, x)).T) / 2,
        arguments=(Argument("B", Complex(), ("d", "d")), Argument("X", Hermitian(), ("d", "d"))),
        wrt=(1,),
        convention="nabla",
        source=beyond(67),
        hypotheses=("X Hermitian", "f real"),
        dimensions=(2, 3),
    ),
    Claim(
        name="structured_gradient/stiefel",
        title="tangent gradient on X'X = I, of f(X) = tr(X' B X D)",
        statement=(
            r"\nabla f = G - X \operatorname{sym}(X^\top G), \quad G = (B + B^\top) X D,"
            r" \quad D = \operatorname{diag}(1, \dots, d)"
        ),
        function=lambda b, y: _stiefel_f(b, _polar(y)),
        derivative=_stiefel_gradient,
        arguments=(_steep, Argument("X", OrthonormalColumns(), ("n", "d"))),
        wrt=(1,),
        source=beyond(67),
        hypotheses=("X'X = I", "f extended by its value at the nearest matrix with orthonormal columns"),
    ),
)
