"""Complex arrays, with real and imaginary parts free."""

from dataclasses import dataclass

import numpy as np

from gdiff.domains.arrays import General, Scalar, Vector
from gdiff.domains.base import Domain


@dataclass(frozen=True)
class Complex(Domain):
    """Any complex array: a number, a vector, a matrix. Directions are real multiples: e and i e are two of them."""

    def part(self, shape: tuple[int, ...]) -> Domain:
        """The domain of the real part, and of the imaginary one."""
        if len(shape) == 0:
            return Scalar()
        return Vector() if len(shape) == 1 else General()

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Real and imaginary part drawn apart, each of this condition number."""
        re, im = (self.part(shape).sample(rng, shape, condition=condition, scale=scale) for _ in range(2))
        return np.asarray(re + 1j * im)

    def tangent_basis(self, point):
        """Directions of the real part, then i times those of the imaginary one: (2q, *shape)."""
        point = np.asarray(point, dtype=complex)
        part = self.part(point.shape)
        return np.concatenate([part.tangent_basis(point.real) + 0j, 1j * part.tangent_basis(point.imag)])

    def normal_basis(self, point):
        """None: every direction stays in the domain."""
        return np.zeros((0, *np.shape(point)), dtype=complex)

    def project(self, array):
        """The array itself."""
        return np.asarray(array, dtype=complex)

    def perturb(self, rng, point, size):
        """Both parts moved by at most about `size`, relative to their rows and columns."""
        point = np.asarray(point, dtype=complex)
        part = self.part(point.shape)
        return part.perturb(rng, point.real, size) + 1j * part.perturb(rng, point.imag, size)
