"""Numbers, vectors, and matrices whose entries are free."""

from dataclasses import dataclass

import numpy as np

from gdiff.domains.base import Domain, entry_basis, entry_scales, floored, orthogonal, spectrum, square_points


@dataclass(frozen=True)
class Vector(Domain):
    """Any vector (or any array, taken entry by entry)."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - a vector has no condition number
        """Standard normal entries times scale."""
        return scale * rng.normal(size=shape)

    def tangent_basis(self, point):
        """One direction an entry, as long as the entry (no less than a tenth of a typical one)."""
        point = np.asarray(point, dtype=float)
        return entry_basis(point, entry_scales(point))

    def degenerate(self, shape):
        """Zero; one entry zero; all entries equal."""
        ones = np.ones(shape)
        if ones.size < 2:
            return {"0": 0 * ones, "1": ones}
        one_zero = np.arange(ones.size).reshape(shape) / 2.0
        return {"0": 0 * ones, "with a zero entry": one_zero, "of equal entries": ones}


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
        return entry_basis(point, np.abs(point))

    def perturb(self, rng, point, size, draws=()):
        """Every entry moved by at most `size`, relative to itself."""
        return np.asarray(point, dtype=float) * (1 + rng.uniform(-1.0, 1.0, size=(*draws, *np.shape(point))) * size)

    def degenerate(self, shape):
        """All entries one."""
        return {"1" if shape == () else "of equal entries": np.ones(shape)}

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
            u, v = orthogonal(rng, m, r), orthogonal(rng, n, r)
            out[index] = scale * (u * spectrum(rng, r, condition)) @ v.T if r else np.zeros((m, n))
        return out

    def tangent_basis(self, point):
        """U sqrt(s) E sqrt(s) V' over the unit matrices E (X = U s V'); large or higher arrays entry by entry."""
        point = np.asarray(point, dtype=float)
        if point.ndim != 2 or point.size > 64 or not np.all(np.isfinite(point)) or not point.size:
            return entry_basis(point, entry_scales(point))
        m, n = point.shape
        u, s, vt = np.linalg.svd(point)
        s = floored(s)
        middle = float(np.exp(np.mean(np.log(s))))
        left = u * np.sqrt(np.concatenate([s, np.full(m - len(s), middle)]))
        right = vt.T * np.sqrt(np.concatenate([s, np.full(n - len(s), middle)]))
        return np.einsum("ai,bj->ijab", left, right).reshape(m * n, m, n)

    def degenerate(self, shape):
        """Zero and rank one; for square matrices symmetric, orthogonal and diagonal ones too."""
        if len(shape) != 2 or min(shape) < 2:
            return Vector().degenerate(shape)
        m, n = shape
        out = {"0": np.zeros(shape), "of rank 1": np.outer(1.0 + np.arange(m), 1.0 / (1.0 + np.arange(n)))}
        if m == n:
            rotation = np.eye(n)[:, ::-1] * np.where(np.arange(n) % 2, -1.0, 1.0)
            out |= square_points(n) | {"orthogonal": rotation}
        return out


@dataclass(frozen=True)
class Singular(General):
    """Matrices one short of full rank; every direction is one to step in."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """As General, the last singular value zero."""
        out = super().sample(rng, shape, condition=condition, scale=scale)
        u, s, vt = np.linalg.svd(out, full_matrices=False)
        s[..., -1:] = 0.0
        return (u * s[..., None, :]) @ vt

    def tangent_basis(self, point):
        """One direction an entry, as long as the entry."""
        point = np.asarray(point, dtype=float)
        return entry_basis(point, entry_scales(point))
