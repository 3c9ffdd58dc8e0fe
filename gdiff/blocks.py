"""Derivatives with respect to (mean, covariance), with the convention they are in: Score, Blocks, Tangent.

The convention is static, so `jax.tree.map` over two of different conventions raises instead of mixing them.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff import linalg
from gdiff.symmetric.coordinates import (
    Convention,
    apply_duplication,
    apply_duplication_transpose,
    check_convention,
    lower_indices,
    symmetrize,
    to_full,
    to_symmetric,
    unvech,
    vec,
    vech,
)
from gdiff.validity import is_traced


def _register(cls: type, data: list[str]) -> type:
    return jax.tree_util.register_dataclass(cls, data_fields=data, meta_fields=["convention"])


@partial(_register, data=["mean", "cov"])
@dataclass(frozen=True)
class Score:
    """A gradient: `mean` (d,), and `cov` (d, d) in its `convention`, A ("full") or B ("symmetric")."""

    mean: Array
    cov: Array
    convention: Convention = "full"

    def __post_init__(self) -> None:
        check_convention(self.convention)

    def vector(self) -> Array:
        """In the coordinates of the convention: (mean, vec A), length d + d*d, or (mean, vech B), length d + k."""
        return jnp.concatenate([self.mean, (vec if self.convention == "full" else vech)(self.cov)])

    def to(self, convention: Convention) -> "Score":
        """The same gradient in `convention`."""
        check_convention(convention)
        if convention == self.convention:
            return self
        convert = to_symmetric if convention == "symmetric" else to_full
        return Score(self.mean, convert(self.cov), convention)


@partial(jax.tree_util.register_dataclass, data_fields=["mean", "cov"], meta_fields=[])
@dataclass(frozen=True)
class Tangent:
    """A step: `mean` (d,) and symmetric `cov` (d, d). A displacement has entries, not a convention."""

    mean: Array
    cov: Array


@partial(_register, data=["mean", "cross", "cov"])
@dataclass(frozen=True)
class Blocks:
    """A symmetric matrix on (mean, cov) coordinates: `mean` d x d, `cross` d x k, `cov` k x k.

    In the "symmetric" convention cov has k = d(d+1)/2 coordinates, vech; in "full" d*d, vec, and the matrix acts on
    symmetric matrices: N H N with N = (I + K)/2.
    """

    mean: Array
    cross: Array
    cov: Array
    convention: Convention = "symmetric"

    def __post_init__(self) -> None:
        check_convention(self.convention)

    def matrix(self) -> Array:
        """[[mean, cross], [cross', cov]], of size d + k ("symmetric") or d + d*d ("full")."""
        return jnp.block([[self.mean, self.cross], [self.cross.T, self.cov]])

    def _vech_matrix(self) -> Array:
        """The matrix in (mean, vech) coordinates, whichever the convention: D' H D for "full"."""
        if self.convention == "symmetric":
            return self.matrix()
        cross = apply_duplication_transpose(self.cross)
        cov = apply_duplication_transpose(apply_duplication_transpose(self.cov).T)
        return jnp.block([[self.mean, cross], [cross.T, cov]])

    def inverse(self) -> "Blocks":
        """The inverse; in "full", the Moore-Penrose inverse, which acts on symmetric matrices.

        Raises ValueError for a singular matrix (NaN or infinite entries when traced).
        """
        d = len(self.mean)
        matrix = self._vech_matrix()
        inverse = symmetrize(_solve(matrix, jnp.eye(len(matrix), dtype=matrix.dtype)))
        mean, cross, cov = inverse[:d, :d], inverse[:d, d:], inverse[d:, d:]
        if self.convention == "full":
            cross, cov = apply_duplication(cross), apply_duplication(apply_duplication(cov).T)
        return Blocks(mean, cross, cov, self.convention)

    def solve(self, score: Score) -> Tangent:
        """The step t with matrix t = score: for an information, one Fisher-scoring (or Newton) step.

        Reads the convention that the score carries and converts, so that the two cannot be mixed up.
        Raises ValueError for a singular matrix (NaN or infinite entries when traced).
        """
        d = len(self.mean)
        step = _solve(self._vech_matrix(), score.to("symmetric").vector()[:, None])[:, 0]
        return Tangent(step[:d], unvech(step[d:]))


def _solve(matrix: Array, b: Array) -> Array:
    solution = linalg.solve_symmetric(matrix, b)
    if not is_traced(solution) and not bool(jnp.all(jnp.isfinite(solution))):
        raise ValueError(
            f"the {matrix.shape[0]} x {matrix.shape[0]} matrix is singular or not finite: "
            "an information needs data (count > 0) and a covariance of full rank."
        )
    return solution


@partial(_register, data=["mean", "cross", "cov", "covariance", "count"])
@dataclass(frozen=True, kw_only=True)
class KroneckerBlocks(Blocks):
    """n M on the mean and n/2 D'(M⊗M)D on the covariance, no cross term: the Fisher information, M = Sigma^-1.

    Inverse and solve are closed forms: nothing of size k is factorised.
    """

    covariance: Array
    count: Array

    def inverse(self) -> Blocks:
        """Sigma / n and 2/n D⁺(Sigma⊗Sigma)D⁺'; in "full", 2/n N(Sigma⊗Sigma)N."""
        d = len(self.mean)
        cov = kronecker_pairs(self.covariance, self.covariance, self.convention, dual=True) / self.count
        cross = jnp.zeros((d, len(cov)), cov.dtype)
        return Blocks(self.covariance / self.count, cross, cov, self.convention)

    def solve(self, score: Score) -> Tangent:
        """Sigma g / n and 2 Sigma sym(G) Sigma / n, whichever convention the score carries."""
        return kronecker_step(score, self.covariance, self.count)


def kronecker_step(score: Score, covariance: Array, count: Array) -> Tangent:
    """(Sigma g, 2 Sigma sym(G) Sigma) / n: the inverse Fisher information applied to a score."""
    gradient = score.to("full").cov
    cov = linalg.matmul(linalg.matmul(covariance, symmetrize(gradient)), covariance)
    return Tangent(linalg.matvec(covariance, score.mean) / count, 2 * symmetrize(cov) / count)


def kronecker_pairs(x: Array, y: Array, convention: Convention, dual: bool = False) -> Array:
    """(X⊗Y + Y⊗X) on symmetric matrices, for symmetric X and Y, entry by entry: O(1) products each.

    "symmetric": D'(X⊗Y + Y⊗X)D, k x k, or D⁺(X⊗Y + Y⊗X)D⁺' when `dual`; "full": N(X⊗Y + Y⊗X)N, d*d x d*d.
    With (i, j) the row's pair and (p, q) the column's, each entry is a multiple of
    X_ip Y_jq + X_iq Y_jp + X_jp Y_iq + X_jq Y_ip; "full" and `dual` take a half of it, D' and D count a pair off the
    diagonal twice.
    """
    d = x.shape[-1]
    rows, columns = np.divmod(np.arange(d * d), max(d, 1))[::-1] if convention == "full" else lower_indices(d)
    off = np.where(rows == columns, 1.0, 2.0).astype(x.dtype)  # how often D counts the pair
    weight = np.full_like(off, 0.5) if convention == "full" or dual else off / 2
    xi, xj = x[rows], x[columns]  # (k, d), whole rows
    yi, yj = weight[:, None] * y[rows], weight[:, None] * y[columns]
    pieces = []
    for q in range(d):  # the columns of one q stand together, p from q (or 0) on: slices, no gather of entries
        p = slice(0 if convention == "full" else q, d)
        piece = (
            xi[:, p] * yj[:, q, None]
            + xi[:, q, None] * yj[:, p]
            + xj[:, p] * yi[:, q, None]
            + xj[:, q, None] * yi[:, p]
        )
        if not (convention == "full" or dual):
            piece = piece * np.where(np.arange(q, d) == q, 1.0, 2.0).astype(x.dtype)
        pieces.append(piece)
    return jnp.concatenate(pieces, axis=1) if pieces else jnp.zeros((0, 0), x.dtype)
