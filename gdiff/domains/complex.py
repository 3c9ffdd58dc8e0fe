"""Complex arrays, as their real and imaginary parts."""

from dataclasses import dataclass

import numpy as np

from gdiff.domains.arrays import General, Scalar, Vector
from gdiff.domains.base import Domain
from gdiff.domains.matrices import Skew, Symmetric


def default_domain(shape: tuple[int, ...]) -> Domain:
    """By rank, and by rank alone: Scalar, Vector, General."""
    if len(shape) == 0:
        return Scalar()
    return Vector() if len(shape) == 1 else General()


@dataclass(frozen=True)
class Complex(Domain):
    """Any complex array: a number, a vector, a matrix. Directions are real multiples: e and i e are two of them."""

    def parts(self, shape: tuple[int, ...]) -> tuple[Domain, Domain]:
        """The domains of the real part and of the imaginary one."""
        return (default_domain(shape),) * 2

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Real and imaginary part drawn apart, each of this condition number."""
        re, im = (d.sample(rng, shape, condition=condition, scale=scale) for d in self.parts(shape))
        return np.asarray(re + 1j * im)

    def tangent_basis(self, point):
        """Directions of the real part, then i times those of the imaginary one: (2q, *shape)."""
        point = np.asarray(point, dtype=complex)
        re, im = self.parts(point.shape)
        return np.concatenate([re.tangent_basis(point.real) + 0j, 1j * im.tangent_basis(point.imag)])

    def normal_basis(self, point):
        """Directions in which the parts do not extend."""
        point = np.asarray(point, dtype=complex)
        re, im = self.parts(point.shape)
        return np.concatenate([re.normal_basis(point.real) + 0j, 1j * im.normal_basis(point.imag)])

    def project(self, array):
        """Both parts projected."""
        array = np.asarray(array, dtype=complex)
        re, im = self.parts(array.shape)
        return re.project(array.real) + 1j * im.project(array.imag)

    def perturb(self, rng, point, size, draws=()):
        """Both parts moved by at most about `size`, relative to their rows and columns."""
        point = np.asarray(point, dtype=complex)
        re, im = self.parts(point.shape)
        return re.perturb(rng, point.real, size, draws) + 1j * im.perturb(rng, point.imag, size, draws)


@dataclass(frozen=True)
class Hermitian(Complex):
    """Hermitian matrices: the real part symmetric, the imaginary one skew."""

    def parts(self, shape):  # noqa: ARG002
        """Symmetric and Skew."""
        return Symmetric(), Skew()
