"""Sigma of fewer parameters than distinct entries."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff.linalg import cholesky, diagonal, matmul, outer, solve_lower
from gdiff.parameterizations.base import Parameterization
from gdiff.parameterizations.triangular import gram
from gdiff.symmetric.coordinates import vech_size
from gdiff.tolerance import tolerance


def _correlation(s: Array) -> tuple[Array, Array]:
    """Standard deviations, and Sigma in units of them."""
    sd = jnp.sqrt(diagonal(s))
    return sd, s / sd[:, None] / sd


@dataclass(frozen=True)
class Diagonal(Parameterization):
    """Sigma = diag(v), theta = (log v_1, ..., log v_d): the logarithms of the variances.

    `parameters` refuses a cov with correlations beyond rounding. `log_det_jacobian` is for d = 1 alone, log v.
    """

    def size(self, d: int) -> int:
        """The number of parameters: d."""
        return self._count(d)

    def _covariance(self, theta: Array, d: int) -> Array:
        del d
        return jnp.diag(jnp.exp(theta))

    def _parameters(self, s: Array) -> Array:
        return jnp.log(diagonal(s))

    def _reached(self, s: Array) -> Array:
        _, r = _correlation(s)
        return jnp.all(jnp.abs(jnp.tril(r, -1)) <= tolerance(s.dtype, conditioning=len(s)))

    def _reach(self) -> str:
        return "entries off the diagonal are not 0; pass their diagonal, or choose ScaleCorrelation()."

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        del d
        return jnp.sum(theta)


@dataclass(frozen=True)
class LowRankPlusDiagonal(Parameterization):
    """Sigma = F F' + diag(v): `rank` common factors with loadings F (d x rank), and variances v of their own.

    F is zero above its diagonal, which leaves no rotation, and positive on it, which leaves no sign; d >= rank.

    theta = (the columns of F from the diagonal down, one after another, with log F_jj for F_jj; then log v_1, ...,
    log v_d), in number d rank - rank (rank - 1)/2 + d.

    `parameters` finds v from the off-diagonal entries: v_i = S_ii - S_iA (S_BA)^-1 S_Bi for any disjoint sets A and B
    of `rank` variables other than i (Albert 1944, Proceedings of the National Academy of Sciences 30), here those that
    complete pivoting finds. It needs d >= 2 rank + 1, and loses the digits that the condition number of S_BA says. A
    cov that is not of this form to half of its digits is refused, and so is one whose first variables do not load on as
    many factors; it does not look for the nearest.

    `log_det_jacobian` raises: there are fewer parameters than entries (or, at a few d such as d = 3 with one factor, as
    many, but no closed form).
    """

    rank: int

    def __post_init__(self) -> None:
        if isinstance(self.rank, bool) or not isinstance(self.rank, (int, np.integer)):
            raise TypeError(f"rank: got {type(self.rank).__name__}, wanted a whole number.")
        if self.rank < 1:
            raise ValueError(f"rank: got {self.rank}, wanted 1 or more; for none, Diagonal().")

    def size(self, d: int) -> int:
        """The number of parameters: d rank - rank (rank - 1)/2 + d."""
        return self._count(d) * (self.rank + 1) - vech_size(self.rank - 1)

    def _fewest(self) -> int:
        return self.rank

    def _check_square_map(self, d: int) -> None:
        super()._check_square_map(d)
        raise ValueError(
            f"log_det_jacobian: {self} has as many parameters as vech(Sigma) has entries at d = {d}, but the map is "
            "not one to one and its determinant has no closed form; put the prior on the parameters."
        )

    def _check_reach(self, d: int) -> None:
        super()._check_reach(d)
        if d < 2 * self.rank + 1:
            raise ValueError(
                f"cov: got d = {d}, wanted at least 2 rank + 1 = {2 * self.rank + 1} for {self}: with fewer variables "
                "the loadings do not follow from cov in closed form. Use a smaller rank."
            )

    def _places(self, d: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the loadings, column by column."""
        columns, rows = np.triu_indices(self.rank, 0, d)
        return rows, columns

    def _covariance(self, theta: Array, d: int) -> Array:
        rows, columns = self._places(d)
        loadings = jnp.zeros((d, self.rank), theta.dtype).at[rows, columns].set(theta[:-d])
        top = jnp.tril(loadings[: self.rank], -1) + jnp.diag(jnp.exp(diagonal(loadings[: self.rank])))
        return gram(jnp.concatenate([top, loadings[self.rank :]])) + jnp.diag(jnp.exp(theta[-d:]))

    def _parts(self, s: Array) -> tuple[Array, Array]:
        """F and v, in units of the standard deviations."""
        _, r = _correlation(s)
        v = jax.vmap(self._own_variance, (None, 0))(r, jnp.arange(len(r)))
        common = r - jnp.diag(v)
        top = cholesky(common[: self.rank, : self.rank])
        return jnp.concatenate([top, solve_lower(top, common[: self.rank, self.rank :]).mT]), v

    def _own_variance(self, r: Array, i: Array) -> Array:
        """R_ii - R_iA (R_BA)^-1 R_Bi, by eliminating one pair (b, a) after another, the largest entry first."""
        index = jnp.arange(len(r))
        free = index != i
        for _ in range(self.rank):
            pairs = free[:, None] & free & (index[:, None] != index)
            b, a = jnp.unravel_index(jnp.argmax(jnp.where(pairs, jnp.abs(r), -1)), r.shape)
            r = r - outer(r[:, a], r[b]) / r[b, a]
            free = free & (index != a) & (index != b)
        return r[i, i]

    def _parameters(self, s: Array) -> Array:
        sd, _ = _correlation(s)
        loadings, v = self._parts(s)
        loadings = sd[:, None] * loadings
        top = loadings[: self.rank]
        top = jnp.tril(top, -1) + jnp.diag(jnp.log(diagonal(top)))
        rows, columns = self._places(len(s))
        packed = jnp.concatenate([top, loadings[self.rank :]])[rows, columns]
        return jnp.concatenate([packed, jnp.log(v) + 2 * jnp.log(sd)])

    def _reached(self, s: Array) -> Array:
        _, r = _correlation(s)
        loadings, v = self._parts(s)
        apart = jnp.abs(matmul(loadings, loadings.mT) + jnp.diag(v) - r)
        return jnp.all(v > 0) & jnp.all(apart <= math.sqrt(jnp.finfo(s.dtype).eps))  # NaN is not

    def _reach(self) -> str:
        return (
            f"it is not F F' + diag(v) with {self.rank} column(s) in F, the first {self.rank} variable(s) loading on "
            "as many factors. For a sample covariance, start at parameters of such a form and maximise the likelihood."
        )
