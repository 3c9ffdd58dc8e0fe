"""Spaces that an argument can live in: sample, tangent basis, project.

A domain says what an argument *is*; it is declared by the caller and never guessed from values. Directions are scaled
to the point ("whitened"): a step of 1e-2 along one never leaves the domain, whatever the conditioning, and directional
derivatives along them are commensurate.

Arrays are host arrays (NumPy, float64). A leading batch is allowed where the domain is one of matrices.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

_FLOOR = 1e-8  # singular values below this share of the largest do not set a scale


def _orthogonal(rng: np.random.Generator, d: int, columns: int | None = None) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(d, d if columns is None else columns)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def _spectrum(rng: np.random.Generator, d: int, condition: float) -> np.ndarray:
    """Log-spaced, in random order, about a number near 1 that is drawn: determinants of 1 would hide mistakes."""
    middle = np.exp(rng.uniform(-0.5, 0.5))
    return middle * rng.permutation(np.geomspace(condition**-0.5, condition**0.5, d) if d > 1 else np.ones(d))


def _square(shape: tuple[int, ...], name: str) -> int:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: got the shape {shape}, wanted square matrices (..., d, d).")
    return shape[-1]


def _unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    e = np.zeros(shape)
    e[index] = 1.0
    return e


def _entry_scales(point: np.ndarray) -> np.ndarray:
    """|x_i|, but no less than a tenth of the root mean square; 1 where all is zero."""
    size = np.abs(point)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 1.0
    return np.maximum(size, typical / 10) if typical > 0 else np.ones_like(size)


def _entry_basis(point: np.ndarray, scales: np.ndarray) -> np.ndarray:
    basis = np.zeros((point.size, point.size))
    np.fill_diagonal(basis, scales.reshape(-1))
    return basis.reshape(point.size, *point.shape)


def _stack(items: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(items) if items else np.zeros((0, *shape))


def _floored(values: np.ndarray) -> np.ndarray:
    top = float(np.max(values, initial=0.0))
    return np.maximum(values, _FLOOR * top) if top > 0 else np.ones_like(values)


def _spread(per_matrix: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Directions of each matrix of a batch, as directions of the batch."""
    batch = shape[:-2]
    out = []
    for index, directions in zip(np.ndindex(*batch), per_matrix, strict=True):
        block = np.zeros((len(directions), *shape))
        block[(slice(None), *index)] = directions
        out.append(block)
    return np.concatenate(out) if out else np.zeros((0, *shape))


@dataclass(frozen=True)
class Domain:
    """A space of arrays. Subclasses say how to draw a point, step from it, and project on the directions there."""

    is_symmetric: ClassVar[bool] = False  # has two conventions, "full" and "symmetric"

    def sample(
        self, rng: np.random.Generator, shape: tuple[int, ...], *, condition: float = 10.0, scale: float = 1.0
    ) -> np.ndarray:
        """A point of the given shape; matrices of this condition number, entries of about this scale."""
        raise NotImplementedError

    def tangent_basis(self, point: np.ndarray) -> np.ndarray:
        """Directions within the domain that span them all, scaled to the point: (q, *shape)."""
        raise NotImplementedError

    def normal_basis(self, point: np.ndarray) -> np.ndarray:
        """Directions in which the domain does not extend, scaled to the point: (r, *shape), q + r the size."""
        return np.zeros((0, *np.shape(point)))

    def project(self, array: np.ndarray) -> np.ndarray:
        """Orthogonal projection on the tangent space (in the Frobenius inner product)."""
        return np.asarray(array, dtype=float)

    def contains(self, array: np.ndarray) -> bool:
        """Whether the array is a finite point of the domain."""
        return bool(np.all(np.isfinite(array)))

    def perturb(self, rng: np.random.Generator, point: np.ndarray, size: float) -> np.ndarray:
        """The point with every entry moved by at most about `size`, relative to its row and column; zeros move too."""
        point = np.asarray(point, dtype=float)
        noise = rng.uniform(-1.0, 1.0, size=point.shape) * size
        lengths = np.abs(point)
        smallest = np.min(lengths, where=lengths > 0, initial=np.inf)
        scales = np.where(lengths > 0, lengths, smallest if np.isfinite(smallest) else 1.0)
        if point.ndim < 2:
            return point + noise * scales
        rows, columns = scales.max(-1, keepdims=True, initial=0.0), scales.max(-2, keepdims=True, initial=0.0)
        return point + self.project(noise * np.sqrt(rows) * np.sqrt(columns))


@dataclass(frozen=True)
class Vector(Domain):
    """Any vector (or any array, taken entry by entry)."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - a vector has no condition number
        """Standard normal entries times scale."""
        return scale * rng.normal(size=shape)

    def tangent_basis(self, point):
        """One direction an entry, as long as the entry (no less than a tenth of a typical one)."""
        point = np.asarray(point, dtype=float)
        return _entry_basis(point, _entry_scales(point))


@dataclass(frozen=True)
class Scalar(Vector):
    """Any real number."""


@dataclass(frozen=True)
class Positive(Domain):
    """Positive numbers: an array of them, entry by entry."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002
        """Log-uniform within a factor of three about scale."""
        return np.asarray(scale * np.exp(rng.uniform(-1.1, 1.1, size=shape)))

    def tangent_basis(self, point):
        """Multiplicative: one direction an entry, as long as the entry."""
        point = np.asarray(point, dtype=float)
        return _entry_basis(point, np.abs(point))

    def perturb(self, rng, point, size):
        """Every entry moved by at most `size`, relative to itself."""
        return np.asarray(point, dtype=float) * (1 + rng.uniform(-1.0, 1.0, size=np.shape(point)) * size)

    def contains(self, array):
        """Finite and positive."""
        return super().contains(array) and bool(np.all(np.asarray(array) > 0))


@dataclass(frozen=True)
class General(Domain):
    """Any array; matrices are drawn well away from symmetric ones, and do not commute with each other."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """U diag(s) V' with U, V random orthogonal and s log-spaced of the condition number; rectangular too."""
        if len(shape) < 2:
            return scale * rng.normal(size=shape)
        m, n = shape[-2:]
        out = np.empty(shape)
        for index in np.ndindex(*shape[:-2]):
            r = min(m, n)
            u, v = _orthogonal(rng, m, r), _orthogonal(rng, n, r)
            out[index] = scale * (u * _spectrum(rng, r, condition)) @ v.T if r else np.zeros((m, n))
        return out

    def tangent_basis(self, point):
        """U sqrt(s) E sqrt(s) V' over the unit matrices E (X = U s V'); large or higher arrays entry by entry."""
        point = np.asarray(point, dtype=float)
        if point.ndim != 2 or point.size > 64 or not np.all(np.isfinite(point)) or not point.size:
            return _entry_basis(point, _entry_scales(point))
        m, n = point.shape
        u, s, vt = np.linalg.svd(point)
        s = _floored(s)
        middle = float(np.exp(np.mean(np.log(s))))
        left = u * np.sqrt(np.concatenate([s, np.full(m - len(s), middle)]))
        right = vt.T * np.sqrt(np.concatenate([s, np.full(n - len(s), middle)]))
        return np.einsum("ai,bj->ijab", left, right).reshape(m * n, m, n)


@dataclass(frozen=True)
class Symmetric(Domain):
    """Symmetric matrices (..., d, d), definite or not."""

    is_symmetric: ClassVar[bool] = True

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Q diag(s) Q', Q random orthogonal, s log-spaced with random signs."""
        return self._sample(rng, shape, condition, scale, signs=True)

    def _sample(self, rng, shape, condition, scale, signs):
        d = _square(shape, type(self).__name__)
        out = np.empty(shape)
        for index in np.ndindex(*shape[:-2]):
            q = _orthogonal(rng, d) if d else np.zeros((0, 0))
            s = _spectrum(rng, d, condition) if d else np.zeros(0)
            if signs:
                s = s * rng.choice([-1.0, 1.0], size=d)
            m = scale * (q * s) @ q.T
            out[index] = m / 2 + m.T / 2
        return out

    def _factor(self, m: np.ndarray) -> np.ndarray:
        """F with F F' = |M|: the Cholesky factor of a positive definite matrix, Q sqrt|s| otherwise."""
        try:
            return np.linalg.cholesky(m)
        except np.linalg.LinAlgError:
            s, q = np.linalg.eigh(m / 2 + m.T / 2)
            return q * np.sqrt(_floored(np.abs(s)))

    def tangent_basis(self, point):
        """F E F', E the orthonormal basis of the symmetric matrices and F F' = |S|: dS = L E L' where definite."""
        return self._basis(point, 1.0)

    def normal_basis(self, point):
        """F E F', E the orthonormal basis of the skew-symmetric matrices."""
        return self._basis(point, -1.0)

    def _basis(self, point, sign):
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, type(self).__name__)
        flat = point.reshape(-1, d, d)
        directions = []
        for m in flat:
            f = self._factor(m)
            units = []
            for j in range(d):
                for i in range(j, d):
                    if i == j:
                        if sign > 0:
                            units.append(_unit((d, d), (i, i)))
                    else:
                        units.append((_unit((d, d), (i, j)) + sign * _unit((d, d), (j, i))) / np.sqrt(2))
            basis = f @ _stack(units, (d, d)) @ f.T
            directions.append((basis + sign * np.swapaxes(basis, -1, -2)) / 2)
        return _spread(directions, point.shape)

    def project(self, array):
        """sym(G) = (G + G')/2."""
        array = np.asarray(array, dtype=float)
        return array / 2 + np.swapaxes(array, -1, -2) / 2

    def contains(self, array):
        """Finite, and symmetric up to rounding."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        scale = np.sqrt(np.abs(np.diagonal(array, axis1=-2, axis2=-1)))
        size = np.maximum(scale[..., :, None] * scale[..., None, :], np.abs(array))
        return bool(np.all(np.abs(array - np.swapaxes(array, -1, -2)) <= np.sqrt(np.finfo(float).eps) * size))


@dataclass(frozen=True)
class PositiveDefinite(Symmetric):
    """Symmetric positive definite matrices (..., d, d)."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Q diag(s) Q', Q random orthogonal, s log-spaced: exactly symmetric, of this condition number."""
        return self._sample(rng, shape, condition, scale, signs=False)

    def perturb(self, rng, point, size):
        """S_ij moved by at most about size * sqrt(S_ii S_jj), as the rounding of a Cholesky factorisation does."""
        point = np.asarray(point, dtype=float)
        scale = np.sqrt(np.abs(np.diagonal(point, axis1=-2, axis2=-1)))
        noise = rng.uniform(-1.0, 1.0, size=point.shape) * size
        return point + self.project(noise * scale[..., :, None] * scale[..., None, :])

    def contains(self, array):
        """Finite, symmetric up to rounding, and the Cholesky factorisation succeeds."""
        if not super().contains(array):
            return False
        try:
            np.linalg.cholesky(Symmetric.project(self, array))
        except np.linalg.LinAlgError:
            return False
        return True


@dataclass(frozen=True)
class Correlation(PositiveDefinite):
    """Correlation matrices: positive definite, the diagonal fixed at 1."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - the diagonal sets the scale
        """A positive definite draw, scaled to a unit diagonal."""
        m = super().sample(rng, shape, condition=condition)
        root = np.sqrt(np.diagonal(m, axis1=-2, axis2=-1))
        out = m / (root[..., :, None] * root[..., None, :])
        index = np.arange(shape[-1])
        out[..., index, index] = 1.0
        return out

    def tangent_basis(self, point):
        """One direction a pair i > j, scaled to whitened length 1."""
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, type(self).__name__)
        directions = []
        for m in point.reshape(-1, d, d):
            inverse = np.linalg.inv(self._factor(m))
            units = [_unit((d, d), (i, j)) + _unit((d, d), (j, i)) for j in range(d) for i in range(j + 1, d)]
            directions.append(_stack([e / np.linalg.norm(inverse @ e @ inverse.T, 2) for e in units], (d, d)))
        return _spread(directions, point.shape)

    def normal_basis(self, point):
        """The diagonal, and the skew-symmetric matrices."""
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, type(self).__name__)
        units = [_unit((d, d), (i, i)) for i in range(d)]
        units += [
            (_unit((d, d), (i, j)) - _unit((d, d), (j, i))) / np.sqrt(2) for j in range(d) for i in range(j + 1, d)
        ]
        return _spread([_stack(units, (d, d))] * int(np.prod(point.shape[:-2], dtype=int)), point.shape)

    def project(self, array):
        """sym(G) without its diagonal."""
        array = super().project(array).copy()
        index = np.arange(array.shape[-1])
        array[..., index, index] = 0.0
        return array

    def contains(self, array):
        """Positive definite, with a unit diagonal up to rounding."""
        diagonal = np.diagonal(np.asarray(array), axis1=-2, axis2=-1) if np.ndim(array) >= 2 else np.zeros(1)
        return bool(np.all(np.abs(diagonal - 1) <= np.sqrt(np.finfo(float).eps))) and super().contains(array)


@dataclass(frozen=True)
class LowerTriangular(Domain):
    """Lower-triangular matrices with a positive diagonal: Cholesky factors."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """L with L L' = Q diag(s^2) Q' of this condition number, s log-spaced: by QR, without squaring it."""
        d = _square(shape, "LowerTriangular")
        out = np.zeros(shape)
        for index in np.ndindex(*shape[:-2]):
            r = np.linalg.qr((_orthogonal(rng, d) * _spectrum(rng, d, condition**0.5)).T)[1] if d else np.zeros((0, 0))
            out[index] = scale * np.tril((r * np.where(np.diag(r) < 0, -1.0, 1.0)[:, None]).T)
        return out

    def tangent_basis(self, point):
        """L E over the lower-triangular unit matrices E: keeps the triangle, scales with the diagonal."""
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, type(self).__name__)
        units = _stack([_unit((d, d), (i, j)) for j in range(d) for i in range(j, d)], (d, d))
        directions = [(m if np.all(np.diag(m)) else np.eye(d)) @ units for m in point.reshape(-1, d, d)]
        return _spread([np.tril(e) for e in directions], point.shape)

    def normal_basis(self, point):
        """The entries above the diagonal."""
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, type(self).__name__)
        out = []
        for m in point.reshape(-1, d, d):
            scale = np.sqrt(_entry_scales(np.diag(m)))
            out.append(
                _stack([_unit((d, d), (i, j)) * scale[i] * scale[j] for j in range(d) for i in range(j)], (d, d))
            )
        return _spread(out, point.shape)

    def perturb(self, rng, point, size):
        """L moved so that S = L L' moves by at most about size * sqrt(S_ii S_jj), and its entries by `size` of theirs.

        Whatever takes a factor forms L L': its rounding counts, cond(L) times that of the entries of L.
        """
        point = np.asarray(point, dtype=float)
        out = point + self.project(point * rng.uniform(-1.0, 1.0, size=point.shape) * size)
        scale = np.sqrt(np.sum(point**2, axis=-1))
        noise = Symmetric.project(self, rng.uniform(-1.0, 1.0, size=point.shape) * size)
        noise = noise * scale[..., :, None] * scale[..., None, :]
        inner = np.linalg.solve(point, np.swapaxes(np.linalg.solve(point, noise), -1, -2))
        half = np.tril(inner) - inner * np.eye(point.shape[-1]) / 2  # dL = L Phi(L^-1 dS L^-T)
        return out + point @ half

    def project(self, array):
        """The lower triangle."""
        return np.tril(np.asarray(array, dtype=float))

    def contains(self, array):
        """Finite, nothing above the diagonal, a positive diagonal."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        return not np.any(np.triu(array, 1)) and bool(np.all(np.diagonal(array, axis1=-2, axis2=-1) > 0))


@dataclass(frozen=True)
class Diagonal(Domain):
    """Diagonal matrices with a positive diagonal, as square arrays."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """A log-spaced diagonal of this condition number."""
        d = _square(shape, "Diagonal")
        out = np.zeros(shape)
        for index in np.ndindex(*shape[:-2]):
            np.fill_diagonal(out[index], scale * _spectrum(rng, d, condition))
        return out

    def tangent_basis(self, point):
        """One direction a diagonal entry, as long as the entry."""
        return self._units(point, diagonal=True)

    def normal_basis(self, point):
        """The entries off the diagonal."""
        return self._units(point, diagonal=False)

    def _units(self, point, diagonal):
        point = np.asarray(point, dtype=float)
        d = _square(point.shape, "Diagonal")
        out = []
        for m in point.reshape(-1, d, d):
            scale = np.sqrt(np.abs(np.diag(m)))
            scale = scale if np.all(scale) else np.sqrt(_entry_scales(np.diag(m)))
            pairs = [(i, j) for i in range(d) for j in range(d) if (i == j) == diagonal]
            out.append(_stack([_unit((d, d), (i, j)) * scale[i] * scale[j] for i, j in pairs], (d, d)))
        return _spread(out, point.shape)

    def project(self, array):
        """The diagonal, as a matrix."""
        array = np.asarray(array, dtype=float)
        return array * np.eye(array.shape[-1])

    def contains(self, array):
        """Finite, nothing off the diagonal, a positive diagonal."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        diagonal = np.diagonal(array, axis1=-2, axis2=-1)
        return bool(np.all(diagonal > 0)) and not np.any(array * (1 - np.eye(array.shape[-1])))


def default_domain(shape: tuple[int, ...]) -> Domain:
    """By rank, and by rank alone: Scalar, Vector, General."""
    if len(shape) == 0:
        return Scalar()
    return Vector() if len(shape) == 1 else General()
