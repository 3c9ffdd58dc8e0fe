"""Derivatives with respect to (mean, covariance), with the convention they are in: Score, Blocks, Tangent.

The convention is static, so `jax.tree.map` over two of different conventions raises instead of mixing them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdiff import linalg
from gdiff.differentiation import differentiated_as
from gdiff.native import Kernel
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
from gdiff.validity import Status, is_traced, nan_in_derivatives


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


@partial(jax.tree_util.register_dataclass, data_fields=["x", "y", "scale"], meta_fields=["convention", "joint", "dual"])
@dataclass(frozen=True)
class PairProducts:
    """A large matrix, not yet formed: w_r w_c / 2 (X_ip Y_jq + X_jq Y_ip + X_iq Y_jp + X_jp Y_iq), entry by entry.

    (i, j) is the pair of row r, (p, q) that of column c, and w how often each counts: X⊗Y + Y⊗X on symmetric matrices,
    D'(X⊗Y + Y⊗X)D in "symmetric" and N(X⊗Y + Y⊗X)N in "full" coordinates, for symmetric X and Y; D⁺ in place of D' if
    `dual`. Without a Y, scale w_r w_c (X_ip X_jq + X_iq X_jp): Y is 2 scale X, at half the cost.
    If `joint`, the coordinates of the mean come first: the pairs (a, *), * the last index of X and Y.
    """

    x: Array
    y: Array | None
    convention: Convention
    joint: bool = False
    dual: bool = False
    scale: Array | None = None

    def array(self) -> Array:
        """The matrix."""
        return self._where(jnp.asarray(True))

    def guarded(self, status: Array, *arguments: tuple[Array, int]) -> Array:
        """As `validity.guard` has it: the matrix where the status is OK, else NaN, in all derivatives too.

        NaN comes in by the factors: to go over the matrix once more would take as long as to write it.
        """
        return nan_in_derivatives(self._where(status == Status.OK), status, *arguments)

    def _where(self, ok: Array) -> Array:
        products, other = (_square_products, self.scale) if self.y is None else (_products, self.y)
        return products(ok, self.x, other, *self._coordinates())

    def _coordinates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How often each coordinate counts, and its pair (i, j)."""
        d = self.x.shape[-1] - self.joint
        if self.convention == "full":
            j, i = np.divmod(np.arange(d * d), max(d, 1))
            often = np.ones(d * d)
        else:
            i, j = lower_indices(d)
            often = np.where((i == j) | self.dual, 1.0, 2.0)
        if self.joint:
            i, j, often = np.r_[np.arange(d), i], np.r_[np.full(d, d), j], np.r_[np.ones(d), often]
        return often.astype(self.x.dtype), i.astype(np.int32), j.astype(np.int32)


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
        return _joined(self.mean, self.cross, self.cov)

    def _vech_matrix(self) -> Array:
        """The matrix in (mean, vech) coordinates, whichever the convention: D' H D for "full"."""
        if self.convention == "symmetric":
            return self.matrix()
        cross = apply_duplication_transpose(self.cross)
        cov = apply_duplication_transpose(apply_duplication_transpose(self.cov).T)
        return _joined(self.mean, cross, cov)

    def inverse(self) -> "Blocks":
        """The inverse; in "full", the Moore-Penrose inverse, which acts on symmetric matrices.

        Raises ValueError for a singular matrix (NaN or infinite entries when traced).
        """
        d = len(self.mean)
        matrix = self._vech_matrix()
        inverse = symmetrize(_solve(matrix, jnp.eye(len(matrix), dtype=matrix.dtype)))
        if self.convention == "symmetric":
            return JointBlocks(inverse, "symmetric")
        cross, cov = apply_duplication(inverse[:d, d:]), apply_duplication(apply_duplication(inverse[d:, d:]).T)
        return Blocks(inverse[:d, :d], cross, cov, "full")

    def solve(self, score: Score) -> Tangent:
        """The step t with matrix t = score: for an information, one Fisher-scoring (or Newton) step.

        Reads the convention that the score carries and converts, so that the two cannot be mixed up.
        Raises ValueError for a singular matrix (NaN or infinite entries when traced).
        """
        d = len(self.mean)
        step = _solve(self._vech_matrix(), score.to("symmetric").vector()[:, None])[:, 0]
        return Tangent(step[:d], unvech(step[d:]))


def _joined(mean: Array, cross: Array, cov: Array) -> Array:
    return jnp.block([[mean, cross], [cross.T, cov]])


def _solve(matrix: Array, b: Array) -> Array:
    solution = linalg.solve_symmetric(matrix, b)
    if not is_traced(solution) and not bool(jnp.all(jnp.isfinite(solution))):
        raise ValueError(
            f"the {matrix.shape[0]} x {matrix.shape[0]} matrix is singular or not finite: "
            "an information needs data (count > 0) and a covariance of full rank."
        )
    return solution


def _register_joint(cls: type) -> type:
    """A pytree whose leaves are the annotated attributes of the class and its bases below `Blocks`."""
    names = [
        n for c in reversed(cls.__mro__[: cls.__mro__.index(Blocks)]) for n in c.__dict__.get("__annotations__", {})
    ]

    def unflatten(convention: Convention, leaves: Any) -> Any:
        blocks: Any = object.__new__(cls)
        for name, leaf in zip((*names, "convention"), (*leaves, convention), strict=True):
            object.__setattr__(blocks, name, leaf)
        return blocks

    def flatten(blocks: Any) -> tuple:
        return [(jax.tree_util.GetAttrKey(name), getattr(blocks, name)) for name in names], blocks.convention

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls


@_register_joint
class JointBlocks(Blocks):
    """Blocks that are kept as the one matrix, written once: `mean`, `cross` and `cov` are cut out of it when read."""

    joint: Array

    def __init__(self, joint: Array | PairProducts, convention: Convention = "symmetric") -> None:
        object.__setattr__(self, "joint", joint)  # a formula's products become an array when they are judged
        object.__setattr__(self, "convention", convention)
        self.__post_init__()

    @property
    def _d(self) -> int:
        size = self.joint.shape[-1]  # d + d(d+1)/2 or d + d*d
        return (
            (math.isqrt(8 * size + 9) - 3) // 2
            if self.convention == "symmetric"
            else (math.isqrt(4 * size + 1) - 1) // 2
        )

    @property
    def mean(self) -> Array:
        """d x d."""
        return self.joint[..., : self._d, : self._d]

    @property
    def cross(self) -> Array:
        """d x k, or d x d*d."""
        return self.joint[..., : self._d, self._d :]

    @property
    def cov(self) -> Array:
        """k x k, or d*d x d*d."""
        return self.joint[..., self._d :, self._d :]

    def matrix(self) -> Array:
        """[[mean, cross], [cross', cov]], of size d + k ("symmetric") or d + d*d ("full")."""
        return self.joint


@_register_joint
class KroneckerBlocks(JointBlocks):
    """n M on the mean and n/2 D'(M⊗M)D on the covariance, no cross term: the Fisher information, M = Sigma^-1.

    Inverse and solve are closed forms: nothing of size k is factorised.
    """

    covariance: Array
    count: Array

    def __init__(self, joint: Array | PairProducts, convention: Convention, covariance: Array, count: Array) -> None:
        super().__init__(joint, convention)
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "count", count)

    def inverse(self) -> Blocks:
        """Sigma / n and 2/n D⁺(Sigma⊗Sigma)D⁺'; in "full", 2/n N(Sigma⊗Sigma)N."""
        return inverse_kronecker(self.covariance, self.count, self.convention)

    def solve(self, score: Score) -> Tangent:
        """Sigma g / n and 2 Sigma sym(G) Sigma / n, whichever convention the score carries."""
        return kronecker_step(score, self.covariance, self.count)


@partial(jax.jit, static_argnames="convention")
def inverse_kronecker(covariance: Array, count: Array, convention: Convention) -> JointBlocks:
    """Sigma / n and 2/n D⁺(Sigma⊗Sigma)D⁺', no cross term; in "full", 2/n N(Sigma⊗Sigma)N."""
    return JointBlocks(joint_square(covariance, 1 / count, convention, dual=True).array(), convention)


def kronecker_step(score: Score, covariance: Array, count: Array) -> Tangent:
    """(Sigma g, 2 Sigma sym(G) Sigma) / n: the inverse Fisher information applied to a score."""
    gradient = score.to("full").cov
    cov = linalg.congruence(covariance, symmetrize(gradient))
    return Tangent(linalg.matvec(covariance, score.mean) / count, 2 * cov / count)


def joint_pairs(x: Array, y: Array, g: Array, n: Array, convention: Convention) -> PairProducts:
    """[[n X, (g'⊗X) D], [D'(g⊗X), D'(X⊗Y + Y⊗X)D]], N in place of D for "full".

    X and Y are bordered by one more index *, X by zeros and Y by g and 2n.
    """
    bordered = jnp.block([[y, g[:, None]], [g[None, :], jnp.full((1, 1), 2 * n, y.dtype)]])
    return PairProducts(jnp.pad(x, (0, 1)), bordered, convention, joint=True)


def joint_square(x: Array, n: Array, convention: Convention, dual: bool = False) -> PairProducts:
    """[[n X, 0], [0, n/2 D'(X⊗X)D]], N in place of D for "full"; [[n X, 0], [0, 2n D⁺(X⊗X)D⁺']] when `dual`.

    X is bordered by zeros and one number, which makes n X of its products.
    """
    scale, corner = (n, 1.0) if dual else (n / 4, 4.0)
    bordered = jnp.pad(x, (0, 1)).at[-1, -1].set(corner)
    return PairProducts(bordered, None, convention, joint=True, dual=dual, scale=jnp.asarray(scale, x.dtype))


def _columns(x: Array, often: Array, i: Array, j: Array) -> tuple[Array, Array]:
    """often_c X_ap and X_aq, (p, q) of column c.

    In a loop, so that XLA keeps them: otherwise every product gathers its own again, at twice the cost.
    """
    weights = jnp.stack([often, jnp.ones_like(often)])
    p, q = lax.map(lambda pair: pair[1] * x[..., pair[0]], (jnp.stack([i, j]), weights))
    return p, q


def _rows(a: Array, index: Array) -> Array:
    return jnp.take(a, index, axis=-2)


def _pairs(x: Array, y: Array, often: Array, i: Array, j: Array) -> tuple[Array]:
    p, q = _columns(jnp.concatenate([x, y], axis=-2), often, i, j)
    (xp, yp), (xq, yq) = jnp.split(p, 2, axis=-2), jnp.split(q, 2, axis=-2)
    same = _rows(xp, i) * _rows(yq, j) + _rows(xq, j) * _rows(yp, i)
    return ((same + (_rows(xq, i) * _rows(yp, j) + _rows(xp, j) * _rows(yq, i))) * (often[:, None] / 2),)


def _square_pairs(x: Array, scale: Array, often: Array, i: Array, j: Array) -> tuple[Array]:
    p, q = _columns(x, often, i, j)
    return ((_rows(p, i) * _rows(q, j) + _rows(q, i) * _rows(p, j)) * (scale[..., None, None] * often[:, None]),)


def _products_of(name: str, twin: Callable) -> Callable:
    """The kernel's products where the first argument is true; NaN where not, by X, which is in each of them.

    Derivatives go by the twin: in reverse, no zero meets the NaN.
    """
    kernel = Kernel(name, twin, lambda x, _, often, *__: ((*x[:-2], *often, *often),), shared=3)

    @differentiated_as(lambda ok, *arguments: jnp.where(ok, twin(*arguments)[0], jnp.nan))
    def products(ok: Array, x: Array, *others: Array) -> Array:
        return kernel(jnp.where(ok, x, jnp.nan), *others)[0]

    return products


_products = _products_of("pairs", _pairs)
_square_products = _products_of("square_pairs", _square_pairs)
