"""Assertions for test suites, in the manner of numpy.testing: the failure message is the diagnosis.

>>> import jax.numpy as jnp
>>> from gdiff.testing import assert_gradient
>>> assert_gradient(lambda x: jnp.sum(x**2), lambda x: 2 * x, [1.0, 2.0])
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gdiff.verify import verify_differential, verify_gradient, verify_hessian, verify_jacobian


def _arrays(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists of numbers as arrays; everything else as it is."""
    return tuple(np.asarray(a, dtype=float) if isinstance(a, list) else a for a in args)


def assert_gradient(f: Callable[..., Any], claimed: Any, *args: Any, **options: Any) -> None:
    """Raise AssertionError, with the diagnosis, unless `claimed` is the gradient of f: see `gdiff.verify_gradient`."""
    verify_gradient(f, claimed, *_arrays(args), **options).raise_unless_holds()


def assert_hessian(f: Callable[..., Any], claimed: Any, *args: Any, **options: Any) -> None:
    """Raise AssertionError, with the diagnosis, unless `claimed` is the Hessian of f: see `gdiff.verify_hessian`."""
    verify_hessian(f, claimed, *_arrays(args), **options).raise_unless_holds()


def assert_jacobian(f: Callable[..., Any], claimed: Any, *args: Any, **options: Any) -> None:
    """Raise AssertionError, with the diagnosis, unless `claimed` is the Jacobian of f: see `gdiff.verify_jacobian`."""
    verify_jacobian(f, claimed, *_arrays(args), **options).raise_unless_holds()


def assert_differential(f: Callable[..., Any], claimed: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Raise AssertionError, with the diagnosis, unless `claimed(*args, *tangents)` is the differential of f."""
    verify_differential(f, claimed, *_arrays(args), **options).raise_unless_holds()
