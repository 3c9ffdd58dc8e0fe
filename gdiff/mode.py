"""The maximum of a function of a vector, and what its neighbourhood says about it: search, then judgement.

The search climbs with optimistix' BFGS to the neighbourhood of a maximum, and from there by Newton steps with the exact
Hessian H, which find it to all digits: along the eigenvectors v of H by v'g / |l|, so upwards also where H is
indefinite, and shorter where the function would not rise. Lengths are in standard deviations, 1/sqrt|l|: nothing
depends on the units of the parameters but what `resolved` says about them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from gdiff import linalg
from gdiff.ascent import ascend, nearness, not_there
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize

Function = Callable[[Array], Array]

_COARSE = 1e-3  # where BFGS hands over: its last step, relative; Newton steps double the digits from there
_RESOLVED = 32.0  # an eigenvalue below 32 p eps of the largest is rounding
_NEAR = 0.1  # standard deviations from a maximum, where its curvature must still be there
_NEARER = 1 / 16  # of that distance, where a kink is told from a quartic
_CHANGED = 2.0  # how much the curvature may change on the way there
_NOISE = 1e3  # eps times the largest curvature and the parameters: what rounding makes of a slope that is 0


class Bounds(NamedTuple):
    """Lower and upper bounds (p,), infinite where there are none."""

    lower: Array
    upper: Array

    def outside(self, x: Array) -> Array:
        """Whether a point is beyond a bound."""
        return jnp.any((x < self.lower) | (x > self.upper), axis=-1)

    def blocks(self, x: Array, slope: Array) -> Array:
        """The parameters (p,) that are on a bound which the slope points beyond."""
        return ((x <= self.lower) & (slope < 0)) | ((x >= self.upper) & (slope > 0))

    def inside(self, u: Array) -> Array:
        """Any u (p,) to a point within the bounds: (l + h)/2 + (h - l)/2 sin u, l - 1 + sqrt(1 + u^2), or u itself.

        A bound is reached at a finite u, at which the derivative is 0: a maximum there is a stationary point in u.
        """
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        low, high = jnp.where(below, self.lower, 0), jnp.where(above, self.upper, 0)
        side = jnp.sqrt(1 + u * u) - 1
        one_sided = jnp.where(below, low + side, jnp.where(above, high - side, u))
        return jnp.where(below & above, (low + high) / 2 + (high - low) / 2 * jnp.sin(u), one_sided)

    def undo(self, x: Array) -> Array:
        """A u with inside(u) = x, or near it for an x on a bound, where u would not leave it."""
        below, above = jnp.isfinite(self.lower), jnp.isfinite(self.upper)
        low, high = jnp.where(below, self.lower, 0), jnp.where(above, self.upper, 0)
        away = jnp.where(below, x - low, jnp.where(above, high - x, 0))
        side = jnp.sqrt((1 + jnp.maximum(away, 1e-3)) ** 2 - 1)
        middle = jnp.where(below & above, (x - (low + high) / 2) / jnp.where(high > low, (high - low) / 2, 1), 0)
        return jnp.where(below & above, jnp.arcsin(jnp.clip(middle, -0.999, 0.999)), jnp.where(below | above, side, x))


class Point(NamedTuple):
    """A function at a point, to second order: H = V diag(l) V' restricted to the parameters that are free to move."""

    x: Array
    value: Array
    gradient: Array  # (p,)
    hessian: Array  # (p, p)
    free: Array  # (p,), whether no bound blocks a parameter
    eigenvalues: Array  # of -H, ascending
    eigenvectors: Array
    floor: Array  # what an eigenvalue must exceed in size not to be rounding

    @property
    def slope(self) -> Array:
        """The gradient (p,), 0 for what a bound blocks."""
        return jnp.where(self.free, self.gradient, 0)

    @property
    def along(self) -> Array:
        """V'g, the slope along each eigenvector."""
        return linalg.matvec(self.eigenvectors.T, self.slope)

    @property
    def step(self) -> Array:
        """V diag(1/|l|) V'g: the Newton step, upwards whatever the signs of l."""
        return linalg.matvec(self.eigenvectors, self.along / self.size)

    @property
    def distance(self) -> Array:
        """sqrt(g' |H|^-1 g), the length of the Newton step in standard deviations (the Newton decrement)."""
        return jnp.sqrt(jnp.sum(self.along**2 / self.size))

    @property
    def size(self) -> Array:
        """|l|, or what is resolved of it."""
        size = jnp.maximum(jnp.abs(self.eigenvalues), self.floor)
        return jnp.where(size > 0, size, 1)

    @property
    def finite(self) -> Array:
        """Whether value, gradient and Hessian are finite."""
        return jnp.isfinite(self.value) & jnp.all(jnp.isfinite(self.gradient)) & jnp.all(jnp.isfinite(self.hessian))


def resolved(eigenvalues: Array) -> Array:
    """32 p eps times the largest in size: eigenvalues of a Hessian below it are rounding."""
    eps = jnp.finfo(eigenvalues.dtype).eps
    return _RESOLVED * eigenvalues.shape[-1] * eps * jnp.max(jnp.abs(eigenvalues), axis=-1, initial=0)


def expand(f: Function, x: Array, bounds: Bounds) -> Point:
    """f at x to second order."""

    def first(x: Array) -> tuple[Array, tuple[Array, Array]]:
        value, gradient = jax.value_and_grad(f)(x)
        return gradient, (value, gradient)

    hessian, (value, gradient) = jax.jacfwd(first, has_aux=True)(x)
    free = ~bounds.blocks(x, gradient)
    eigenvalues, eigenvectors = linalg.eigh(restricted(-symmetrize(hessian), free))
    return Point(x, value, gradient, symmetrize(hessian), free, eigenvalues, eigenvectors, resolved(eigenvalues))


def restricted(m: Array, free: Array) -> Array:
    """A matrix with the rows and columns of I for what is not free."""
    return jnp.where(free[:, None] & free, m, jnp.diag((~free).astype(m.dtype)))


def find(f: Function, start: Array, bounds: Bounds, max_steps: int, rtol: float) -> tuple[Point, Array]:
    """The maximum that is reached from a start, and the number of steps made; `judge` says what it is.

    Raises ImportError without optimistix.
    """
    try:
        import optimistix as optx  # an extra: a second of import that only this needs
    except ImportError as error:
        raise ImportError(
            "gdiff.laplace finds the mode with optimistix, which is not installed: pip install gdiff[fit]"
        ) from error
    coarse: Any = optx.minimise(
        lambda u, _: -f(bounds.inside(u)),
        optx.BFGS(_COARSE, _COARSE),
        bounds.undo(start),
        max_steps=max_steps,
        throw=False,
    )
    reached = bounds.inside(coarse.value)
    better = f(reached) >= f(start)  # it is: but where nothing was accepted, a start on a bound stays there
    return ascend(
        f,
        lambda x: expand(f, x, bounds),
        jnp.where(better, reached, start),
        steps=jnp.asarray(coarse.stats["num_steps"], jnp.int32),
        max_steps=max_steps,
        enough=nearness(rtol, start.dtype),
        clip=lambda x: jnp.clip(x, bounds.lower, bounds.upper),
    )


def polished(f: Function, found: Point, bounds: Bounds) -> Array:
    """One Newton step more, x - H^-1 g, where x is near a maximum: a search is not differentiated, and this step is.

    At a stationary point its derivative is -H^-1 dg, that of the maximum (the implicit function theorem).
    """
    x = lax.stop_gradient(found.x)
    slope = jnp.where(found.free, jax.grad(f)(x), 0)
    curvature = lax.stop_gradient(restricted(-found.hessian, found.free))
    last = x + linalg.solve_symmetric(curvature, slope[:, None])[:, 0]
    near = (found.distance <= _NEAR) & jnp.all(found.eigenvalues > found.floor)
    return jnp.where(near & jnp.isfinite(f(last)) & ~bounds.outside(last), last, x)


class Judgement(NamedTuple):
    """What a point is, and the eigenvectors (as columns) that say so: a mask (p,)."""

    status: Array
    offending: Array


def judge(f: Function, point: Point, bounds: Bounds, rtol: float) -> Judgement:
    """The status of what a search has reached, from the eigenvalues of -H and from f a tenth of an sd away.

    Stationary is not enough: -x^4 at 0, a kink, a maximum on a wall and a plateau are stationary too. Along each
    eigenvector the slope is read at +-h and +-h/16, h a tenth of a standard deviation: the differences of slopes give
    the curvature, which must be within a factor of 2 of the eigenvalue. Towards a kink it grows as 1/h.
    """
    eps = float(jnp.finfo(point.x.dtype).eps)
    values, floor = point.eigenvalues, point.floor
    positive = values > floor
    scale = 1e-2 * (1 + jnp.max(jnp.abs(point.x), initial=0))
    reach = jnp.where(positive, _NEAR / jnp.sqrt(jnp.where(positive, values, 1)), scale)
    lengths = reach[:, None] * jnp.array([1, -1, _NEARER, -_NEARER], reach.dtype)
    ends = point.x + lengths[..., None] * point.eigenvectors.T[:, None, :]  # (p, 4, p)
    heights, slopes = lax.map(jax.value_and_grad(f), ends.reshape(-1, len(point.x)))
    heights, slopes = heights.reshape(lengths.shape), slopes.reshape(ends.shape)
    walled = ~jnp.all(jnp.isfinite(heights[:, :2]), axis=1) | jnp.any(bounds.outside(ends[:, :2]), axis=1)
    along = linalg.einsum("pij,jp->pi", slopes, point.eigenvectors)
    near, nearer = (along[:, 1] - along[:, 0]) / (2 * reach), (along[:, 3] - along[:, 2]) / (2 * _NEARER * reach)
    size = jnp.maximum(jnp.abs(values), floor)
    changed = ~(near <= _CHANGED * size) | ~(near >= values / _CHANGED)
    jump = nearer * reach * _NEARER * 2  # of the slope, over the shorter distance
    noise = _NOISE * eps * jnp.max(size, initial=0) * (1 + jnp.max(jnp.abs(point.x), initial=0))
    kink = (~positive | changed) & (nearer > _CHANGED * near) & (jump > noise)
    far = not_there(point.distance, rtol)
    everywhere = jnp.ones_like(positive)
    rules = (  # the last that applies is the one that is said first
        (jnp.any(~positive | changed), Status.FLAT_DIRECTION, ~positive | changed),
        (jnp.any(values < -floor), Status.SADDLE, values < -floor),
        (jnp.any(kink), Status.NOT_CONVERGED, kink),
        (far, Status.NOT_CONVERGED, jnp.abs(point.along) / jnp.sqrt(point.size) > point.distance / 2),
        (jnp.any(~point.free) | jnp.any(walled), Status.AT_BOUND, walled),
        (~point.finite, Status.NOT_FINITE, everywhere),
        (jnp.isposinf(point.value), Status.NOT_CONVERGED, everywhere),  # it rises without end
    )
    status, offending = jnp.asarray(Status.OK, jnp.int32), jnp.zeros_like(positive)
    for applies, reason, which in rules:
        status = jnp.where(applies, reason, status)
        offending = jnp.where(applies, which, offending)
    return Judgement(status, offending)
