"""Climbing a function by steps that somebody else proposes, each shortened until the function rises."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

_SHORTER = 1 / 4  # a step that did not rise, next time
_TRIES = 25  # before the function is said not to rise at all
_MET = 10.0  # times the distance at which a climb ends, within which it has arrived
_RISE = 1e-4  # of the rise that the slope promises, that a step must bring (Armijo)


class Point(Protocol):
    """What is known of the function at x (p,), and the step (p,) that it suggests: a NamedTuple of arrays."""

    @property
    def x(self) -> Array:
        """(p,)."""

    @property
    def value(self) -> Array:
        """f(x)."""

    @property
    def slope(self) -> Array:
        """The gradient (p,), 0 for parameters that stay."""

    @property
    def step(self) -> Array:
        """(p,), upwards."""

    @property
    def distance(self) -> Array:
        """sqrt(slope'step), the length of the step in standard deviations."""

    @property
    def finite(self) -> Array:
        """Whether all of it is."""


def nearness(rtol: float, dtype: Any) -> float:
    """The distance at which a climb ends: rtol, or the root of eps, below which rounding moves the maximum."""
    return max(rtol, float(jnp.finfo(dtype).eps) ** 0.5)


def not_there(distance: Array, rtol: float) -> Array:
    """Whether a climb ended well before the distance at which it should."""
    return distance > _MET * nearness(rtol, distance.dtype)


def ascend(
    f: Callable[[Array], Array],
    look: Callable[[Array], Any],
    start: Array,
    *,
    steps: Array | int,
    max_steps: int,
    enough: float,
    clip: Callable[[Array], Array] = lambda x: x,
    tell: Callable[..., None] | None = None,
) -> tuple[Any, Array]:
    """The `Point` where steps are shorter than `enough` or bring nothing, and their number (`steps` are behind us).

    A step is made of `look(x)`, which returns a `Point`, and shortened until f is finite and rises, to rounding.
    """
    eps, dtype = jnp.finfo(start.dtype).eps, start.dtype

    def shorten(point: Any) -> tuple[Array, Array]:
        """A part of the step that rises, and whether there is one."""

        def attempt(trial: tuple) -> tuple:
            tried, length, _, _ = trial
            x = clip(point.x + length * point.step)
            value = f(x)
            noise = 4 * eps * jnp.maximum(jnp.abs(value), jnp.abs(point.value))
            wanted = point.value + _RISE * jnp.sum(point.slope * (x - point.x)) - noise
            return tried + 1, _SHORTER * length, jnp.isfinite(value) & (value >= wanted), x

        begin = (jnp.zeros((), jnp.int32), jnp.ones((), dtype), point.distance <= enough, point.x)
        _, _, risen, x = lax.while_loop(lambda trial: ~trial[2] & (trial[0] < _TRIES), attempt, begin)
        return x, risen

    def move(state: tuple) -> tuple:
        best, x, looks, _ = state
        new = look(x)
        better = new.finite & ((new.value > best.value) | (new.distance < best.distance))  # else the rest is rounding
        best = jax.tree.map(partial(jnp.where, (looks == 0) | better), new, best)
        if tell is not None:
            jax.debug.callback(tell, looks, best.value, best.distance)
        x, risen = shorten(best)
        going = ((looks == 0) | better) & risen & best.finite & (best.distance > enough)
        return best, x, looks + 1, going

    def going(state: tuple) -> Array:
        _, _, looks, going = state
        return going & ((looks == 0) | (steps + looks <= max_steps))

    nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(look, start))
    state = (nothing, start, jnp.zeros((), jnp.int32), jnp.asarray(True))
    best, _, looks, _ = lax.while_loop(going, move, state)
    return best, steps + looks - 1
