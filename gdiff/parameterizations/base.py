"""What every parameterization can do: shapes checked, values judged, what is invalid marked."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gdiff.arrays import ArrayLike
from gdiff.symmetric.coordinates import lower_indices, symmetrize, vech_size
from gdiff.validity import (
    Status,
    as_floats,
    check_square,
    definite_factor,
    finite_status,
    guard,
    is_traced,
    raise_if_invalid,
    stand_in,
    worst,
)

_UNREACHED = -1  # beside the `Status` of a matrix: a covariance, but not one that the parameterization reaches


def strict_lower(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the entries below the diagonal, column by column: `vech` without the diagonal."""
    rows, columns = lower_indices(d)
    below = rows > columns
    return rows[below], columns[below]


@dataclass(frozen=True)
class Parameterization:
    """Covariances Sigma(theta). Subclasses say the formulas, for arguments that are valid, and the number of theta."""

    def size(self, d: int) -> int:
        """The number of parameters of a d x d covariance: k = d(d+1)/2, or fewer where the class says so."""
        return vech_size(self._count(d))

    def dimension(self, size: int) -> int:
        """d from the number of parameters, the inverse of `size`; ValueError where there is none."""
        d = self._fewest()
        while self.size(d) < size:
            d += 1
        if self.size(d) != size:
            near = [n for n in (d - 1, d) if n >= self._fewest()]
            wanted = " or ".join(f"{self.size(n)} (d = {n})" for n in near)
            raise ValueError(
                f"params: got {size} parameters for {self}, wanted a number that fits a d, such as {wanted}."
            )
        return d

    def covariance(self, params: ArrayLike) -> Float[Array, "d d"]:
        """Sigma(theta), exactly symmetric: (size,) -> (d, d)."""
        theta = self._vector(params)
        value, status = _covariance(self, theta)
        raise_if_invalid(status, params=theta)
        return value

    def parameters(self, cov: ArrayLike) -> Float[Array, " size"]:
        """theta with Sigma(theta) = cov, to rounding: (d, d) -> (size,)."""
        (s,) = as_floats(cov=cov)
        check_square("cov", s.shape)
        self._check_reach(len(s))
        value, status = _parameters(self, s)
        if not is_traced(status, s) and int(status) == _UNREACHED:
            raise ValueError(f"cov: {self} does not reach it: {self._reach()}")
        raise_if_invalid(status, cov=s)
        return value

    def log_det_jacobian(self, params: ArrayLike) -> Float[Array, ""]:
        """log|det d vech(Sigma) / d theta|, in closed form: what a density of Sigma gains as one of theta."""
        theta = self._vector(params)
        self._check_square_map(self.dimension(len(theta)))
        value, status = _log_det_jacobian(self, theta)
        raise_if_invalid(status, params=theta)
        return value

    # What subclasses say.

    def _covariance(self, theta: Array, d: int) -> Array:
        raise NotImplementedError

    def _parameters(self, s: Array) -> Array:
        raise NotImplementedError

    def _log_det_jacobian(self, theta: Array, d: int) -> Array:
        raise NotImplementedError

    def _judged(self, theta: Array, d: int) -> tuple[Array, Array]:
        """Parameters that are valid, theta itself where it is, and the status of theta."""
        del d
        status = finite_status(theta, 1)
        return stand_in(theta, status), status

    def _reached(self, s: Array) -> Array:
        """Whether a covariance has parameters."""
        del s
        return jnp.ones((), bool)

    def _reach(self) -> str:
        """What is wrong with a covariance that has none, and what to do."""
        return ""

    def _fewest(self) -> int:
        """The smallest d."""
        return 0

    def _check_reach(self, d: int) -> None:
        """Raise ValueError where no d x d covariance has its parameters found."""
        self.size(d)

    def _check_square_map(self, d: int) -> None:
        """Raise ValueError where the map from theta to vech(Sigma) has no determinant."""
        if self.size(d) != vech_size(d):
            raise ValueError(
                f"log_det_jacobian: {self} has {self.size(d)} parameters and vech(Sigma) {vech_size(d)} entries at "
                f"d = {d}, so the Jacobian is not square and has no determinant; put the prior on the parameters."
            )

    # Checks.

    def _count(self, d: int) -> int:
        if d < self._fewest():
            raise ValueError(f"d: got {d} for {self}, wanted {self._fewest()} or more.")
        return d

    def _vector(self, params: ArrayLike) -> Array:
        (theta,) = as_floats(params=params)
        if theta.ndim != 1:
            raise ValueError(f"params: got shape {theta.shape}, wanted (size,); use jax.vmap for batches.")
        self.dimension(len(theta))
        return theta


@partial(jax.jit, static_argnums=0)
def _covariance(which: Parameterization, theta: Array) -> tuple[Array, Array]:
    d = which.dimension(len(theta))
    safe, status = which._judged(theta, d)
    return guard(which._covariance(safe, d), status, (theta, 1)), status


@partial(jax.jit, static_argnums=0)
def _log_det_jacobian(which: Parameterization, theta: Array) -> tuple[Array, Array]:
    d = which.dimension(len(theta))
    safe, status = which._judged(theta, d)
    return guard(which._log_det_jacobian(safe, d), status, (theta, 1)), status


@partial(jax.jit, static_argnums=0)
def _parameters(which: Parameterization, s: Array) -> tuple[Array, Array]:
    # What is not valid is replaced on the way in, which also stops what is not finite on the way back.
    eye = jnp.eye(len(s), dtype=s.dtype)
    definite = definite_factor(lax.stop_gradient(s)).status
    safe = jnp.where(definite == Status.OK, symmetrize(s), eye)
    reached = which._reached(lax.stop_gradient(safe))
    status = worst(definite, jnp.where(reached, Status.OK, _UNREACHED))
    return guard(which._parameters(jnp.where(reached, safe, eye)), status, (s, 2)), status
