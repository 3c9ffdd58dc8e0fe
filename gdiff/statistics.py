"""Sufficient statistics of a sample for a Gaussian: count, mean, and scatter about the mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gdiff import linalg
from gdiff.arrays import ArrayLike
from gdiff.differentiation import differentiated_as
from gdiff.native import Kernel
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import as_floats, finite_status, is_traced, stand_in

# Dimensions up to which the kernel forms the scatter. Its time over that of its twin, at 300, 600 and 1000, is 0.5, 0.5
# and 0.5 in float64, and 0.7, 0.9 and 1.1 in float32, where a product of matrices keeps more in the caches.
BY_KERNEL = 512


@partial(jax.tree_util.register_dataclass, data_fields=["count", "mean", "scatter"], meta_fields=[])
@dataclass(frozen=True)
class SufficientStatistics:
    """n, xbar and C = sum_i (x_i - xbar)(x_i - xbar)': all that a Gaussian likelihood needs to know of a sample.

    A pytree, so statistics pass through jit, vmap, grad and scan. `a + b` merges two samples; the statistics of no
    observations (count 0, zeros) are the neutral element. Sums over observations become
    sum_i (x_i - mu)(x_i - mu)' = C + n (xbar - mu)(xbar - mu)'.
    """

    count: Array
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, data: ArrayLike, weights: ArrayLike | None = None) -> "SufficientStatistics":
        """Of an (n, d) array, or of one observation (d,); for d = 1 data is (n, 1).

        `weights` (n,) are frequencies, w_i >= 0: row i counts w_i times. `count` is a float of the data's dtype.
        The mean is corrected once by the mean of the residuals, and the scatter with it (corrected two-pass).

        Raises ValueError for entries that are not finite; traced ones give NaN, as arithmetic does.

        >>> SufficientStatistics.of([[0., 1.], [2., 3.]]).mean.tolist()
        [1.0, 2.0]
        """
        rows, w = _rows(data, weights)
        if w is None:
            moments = _MOMENTS if rows.shape[1] <= BY_KERNEL else _moments_by_two_passes
            return cls(jnp.asarray(len(rows), rows.dtype), *moments(rows))
        return cls(jnp.sum(w), *_moments_by_two_passes(rows, w))

    @classmethod
    def of_batches(cls, batches: Iterable[ArrayLike]) -> "SufficientStatistics":
        """Of a stream of (m, d) arrays that need not fit in memory together; empty batches are welcome.

        Accumulates in float64 NumPy whatever the dtype of the batches (float32 loses integers above 16.7 million), and
        leaves `count` in float64, `mean` and `scatter` in the dtype of the first batch.
        """
        total, dtype = None, None
        for batch in batches:
            rows, _ = _rows(batch, None)
            dtype = dtype or rows.dtype
            x = np.asarray(batch, np.float64).reshape(rows.shape)
            mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
            centred = x - mean
            part = cls(np.float64(len(x)), mean, centred.T @ centred)  # type: ignore[arg-type] # NumPy leaves
            total = part if total is None else total + part
        if total is None:
            raise ValueError("of_batches: got no batches, wanted at least one (m, d) array, which may have m = 0.")
        scatter = np.asarray(total.scatter)
        return cls(total.count, np.asarray(total.mean, dtype), np.asarray(scatter / 2 + scatter.T / 2, dtype))  # type: ignore[arg-type]

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """The statistics of both samples together (Chan, Golub and LeVeque 1979): stable, in any order."""
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"got statistics in {self.mean.shape[-1]} and {other.mean.shape[-1]} dimensions.")
        count = self.count + other.count
        fraction = other.count / (count + (count == 0))
        step = other.mean - self.mean
        between = self.count * fraction * (step[:, None] * step[None, :])
        return SufficientStatistics(count, self.mean + fraction * step, self.scatter + other.scatter + between)

    @property
    def dimension(self) -> int:
        """d, the number of variables."""
        return self.mean.shape[-1]

    @property
    def covariance(self) -> Array:
        """C / n, the maximum likelihood estimate of the covariance."""
        return self.scatter / self.count


def _rows(data: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array | None]:
    rows, *w = as_floats(data=data) if weights is None else as_floats(data=data, weights=weights)
    if rows.ndim == 1:
        rows = rows[None, :]
    if rows.ndim != 2:
        raise ValueError(
            f"data: got shape {rows.shape}, wanted (n, d), or (d,) for one observation; "
            "use jax.vmap for batches of samples."
        )
    _check_finite("data", rows)
    if not w:
        return rows, None
    if w[0].shape != rows.shape[:1]:
        raise ValueError(f"weights: got shape {w[0].shape}, wanted ({rows.shape[0]},), one frequency for each row.")
    _check_finite("weights", w[0])
    if not is_traced(w[0]) and bool(jnp.any(w[0] < 0)):
        raise ValueError("weights: got negative numbers, wanted frequencies, at least 0.")
    return rows, w[0]


def _check_finite(name: str, a: Any) -> None:
    if is_traced(a) or bool(jnp.all(jnp.isfinite(a))):
        return
    place = [int(i) for i in np.argwhere(~np.isfinite(np.asarray(a)))[0]]
    raise ValueError(
        f"{name}: got {np.asarray(a)[tuple(place)]} at {place}, wanted finite numbers. Drop the row, or keep it with "
        "gdiff.multivariate_normal.log_likelihood(..., mask=), where True marks what was observed."
    )


def _moments_by_two_passes(rows: Array, w: Array | None = None) -> tuple[Array, Array]:
    """xbar and C of (..., n, d), the second pass correcting the first.

    By steps from an origin among the rows: compilers join the product that a mean ends with and the difference from it
    in one rounding, in some places and not in others, and an origin far nearer than zero leaves no trace of that.
    """
    n = jnp.asarray(rows.shape[-2], rows.dtype) if w is None else jnp.sum(w)
    divisor = jnp.where(n > 0, n, 1)

    def weighted(a: Array) -> Array:
        return a if w is None else w[:, None] * a

    origin = jnp.where(n > 0, _origin(rows), 0)
    steps = rows - origin[..., None, :]
    mean = jnp.sum(weighted(steps), axis=-2) / divisor
    centred = steps - mean[..., None, :]
    correction = jnp.sum(weighted(centred), axis=-2) / divisor
    scatter = linalg.matmul(weighted(centred).mT, centred) - n * linalg.outer(correction, correction)
    return origin + (mean + correction), symmetrize(scatter)


def _origin(rows: Array) -> Array:
    """The median of the first, the middle and the last row, column by column; 0 of none."""
    n = rows.shape[-2]
    if n == 0:
        return jnp.zeros_like(rows, shape=(*rows.shape[:-2], rows.shape[-1]))
    first, middle, last = (lax.stop_gradient(rows[..., k, :]) for k in (0, n // 2, n - 1))
    return jnp.maximum(jnp.minimum(first, middle), jnp.minimum(jnp.maximum(first, middle), last))


_MOMENTS = Kernel(
    "moments", _moments_by_two_passes, lambda rows: ((*rows[:-2], rows[-1]), (*rows[:-2], rows[-1], rows[-1]))
)


def _moments_of_finite(rows: Array) -> tuple[Array, ...]:
    finite = finite_status(rows, 2)
    s = SufficientStatistics.of(stand_in(rows, finite))
    return s.count, jnp.where(finite == Status.OK, s.mean, jnp.nan), s.scatter


@differentiated_as(_moments_of_finite)
def sample_moments(rows: Array) -> tuple[Array, ...]:
    """n, xbar and C, not finite where an entry of the rows is not: no pass over them is spent on asking."""
    s = SufficientStatistics.of(rows)
    return s.count, s.mean, s.scatter
