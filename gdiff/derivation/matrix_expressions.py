"""Matrix expressions for SymPy, of what it has no class for: vec and vech, D and K, pseudo-inverses and triangles."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions import MatrixExpr


class Vec(MatrixExpr):
    """The columns of a matrix, one below the other."""

    def __new__(cls, argument: Any) -> Vec:
        """Make it, unevaluated."""
        return sp.Basic.__new__(cls, argument)

    @property
    def shape(self) -> tuple[Any, Any]:
        """One column of all entries."""
        rows, columns = self.args[0].shape
        return rows * columns, sp.S.One


class Vech(MatrixExpr):
    """The columns of the lower triangle of a matrix, one below the other."""

    def __new__(cls, argument: Any) -> Vech:
        """Make it, unevaluated."""
        return sp.Basic.__new__(cls, argument)

    @property
    def shape(self) -> tuple[Any, Any]:
        """One column of the entries on and below the diagonal."""
        rows = self.args[0].shape[0]
        return rows * (rows + 1) / 2, sp.S.One


class PseudoInverse(MatrixExpr):
    """The Moore-Penrose inverse of a matrix."""

    def __new__(cls, argument: Any) -> PseudoInverse:
        """Make it, unevaluated."""
        return sp.Basic.__new__(cls, argument)

    @property
    def shape(self) -> tuple[Any, Any]:
        """That of the transpose."""
        rows, columns = self.args[0].shape
        return columns, rows


class LowerTriangle(MatrixExpr):
    """A matrix with zeros above its diagonal."""

    def __new__(cls, argument: Any) -> LowerTriangle:
        """Make it, unevaluated."""
        return sp.Basic.__new__(cls, argument)

    @property
    def shape(self) -> tuple[Any, Any]:
        """That of the argument."""
        return self.args[0].shape


class Commutation(MatrixExpr):
    """K_mn, with K vec(A) = vec(A') for an m x n matrix A."""

    def __new__(cls, rows: Any, columns: Any) -> Commutation:
        """Make it from the sizes of A."""
        return sp.Basic.__new__(cls, sp.sympify(rows), sp.sympify(columns))

    @property
    def shape(self) -> tuple[Any, Any]:
        """Square, with a row for every entry of A."""
        return self.args[0] * self.args[1], self.args[0] * self.args[1]


class Duplication(MatrixExpr):
    """D_d, with D vech(S) = vec(S) for a symmetric d x d matrix S."""

    def __new__(cls, d: Any) -> Duplication:
        """Make it from the size of S."""
        return sp.Basic.__new__(cls, sp.sympify(d))

    @property
    def shape(self) -> tuple[Any, Any]:
        """A row for every entry of S, a column for every one on and below the diagonal."""
        d = self.args[0]
        return d * d, d * (d + 1) / 2
