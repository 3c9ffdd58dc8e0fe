"""A value computed in one way, and its derivatives in another."""

from collections.abc import Callable
from typing import Any

import jax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array


def differentiated_as(function: Callable) -> Callable:
    """Of two functions that are equal, the decorated one gives the value, and `function` all derivatives."""

    def decorate(value_only: Callable) -> Callable:
        def rule(primals: tuple, tangents: tuple) -> tuple:
            moving = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)]

            def of_moving(*arguments: Array) -> Any:
                return function(*(dict(enumerate(primals)) | dict(zip(moving, arguments, strict=True))).values())

            return jax.jvp(of_moving, [primals[i] for i in moving], [tangents[i] for i in moving])

        result = jax.custom_jvp(value_only)
        result.defjvp(rule, symbolic_zeros=True)
        return result

    return decorate
