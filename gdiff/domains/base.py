"""What every domain can do, and the pieces that they are made of."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

_FLOOR = 1e-8  # singular values below this share of the largest do not set a scale


def orthogonal(rng: np.random.Generator, d: int, columns: int | None = None) -> np.ndarray:
    """A random orthogonal matrix, or that many columns of one."""
    q, r = np.linalg.qr(rng.normal(size=(d, d if columns is None else columns)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def spectrum(rng: np.random.Generator, d: int, condition: float) -> np.ndarray:
    """Log-spaced, in random order, about a number near 1 that is drawn: determinants of 1 would hide mistakes."""
    middle = np.exp(rng.uniform(-0.5, 0.5))
    return middle * rng.permutation(np.geomspace(condition**-0.5, condition**0.5, d) if d > 1 else np.ones(d))


def square(shape: tuple[int, ...], name: str) -> int:
    """d, of shapes (..., d, d)."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: got the shape {shape}, wanted square matrices (..., d, d).")
    return shape[-1]


def unit(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """Zeros with a one."""
    e = np.zeros(shape)
    e[index] = 1.0
    return e


def typical_entry(point: np.ndarray) -> float:
    """The root mean square of the entries; 1 where all is zero."""
    return float(np.sqrt(np.mean(point**2))) if np.any(point) else 1.0


def entry_scales(point: np.ndarray) -> np.ndarray:
    """|x_i|, but no less than a tenth of the root mean square; 1 where all is zero."""
    return np.maximum(np.abs(point), typical_entry(point) / 10) if np.any(point) else np.ones_like(point)


def entry_basis(point: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """One direction an entry, of these lengths."""
    basis = np.zeros((point.size, point.size))
    np.fill_diagonal(basis, scales.reshape(-1))
    return basis.reshape(point.size, *point.shape)


def square_points(d: int) -> dict[str, np.ndarray]:
    """The positive definite points that are degenerate for some formula: equal eigenvalues, no off-diagonals."""
    equal = np.eye(d) + np.ones((d, d)) if d > 1 else np.eye(d)
    return {"the identity": np.eye(d), "diagonal": np.diag(1.0 + np.arange(d)), "of equal eigenvalues": equal}


def stack(items: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The arrays of a shape, stacked; none at all too."""
    return np.stack(items) if items else np.zeros((0, *shape))


def floored(values: np.ndarray) -> np.ndarray:
    """Scales, none below a small share of the largest."""
    top = float(np.max(values, initial=0.0))
    return np.maximum(values, _FLOOR * top) if top > 0 else np.ones_like(values)


def spread(per_matrix: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
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

    def degenerate(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Points of this shape at which formulas break that hold elsewhere, by what they are: "0", "the identity"."""
        del shape
        return {}

    def perturb(
        self, rng: np.random.Generator, point: np.ndarray, size: float, draws: tuple[int, ...] = ()
    ) -> np.ndarray:
        """The point with every entry moved by at most about `size`, relative to its row and column; zeros move too.

        `draws` is a leading shape: so many points, each moved on its own.
        """
        point = np.asarray(point, dtype=float)
        noise = rng.uniform(-1.0, 1.0, size=(*draws, *point.shape)) * size
        lengths = np.abs(point)
        smallest = np.min(lengths, where=lengths > 0, initial=np.inf)
        scales = np.where(lengths > 0, lengths, smallest if np.isfinite(smallest) else 1.0)
        if point.ndim < 2:
            return point + noise * scales
        rows, columns = scales.max(-1, keepdims=True, initial=0.0), scales.max(-2, keepdims=True, initial=0.0)
        return point + self.project(noise * np.sqrt(rows) * np.sqrt(columns))
