"""A JAX function as a program that runs at once, primitive by primitive, in NumPy: nothing of it is compiled.

Judging evaluates many small formulas a few times each, and compiling one takes longer than running it so often. Plain
primitives have a rule in NumPy, as exact as XLA's; any other is handed to JAX, which compiles that one and keeps it for
every program that uses it again.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from gdiff.primitives import RULES, is_plain

_INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters that hold what a call calls
_CALLS = {
    "jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr",
}  # fmt: skip


def _called(equation: JaxprEqn, arguments: Sequence[Any]) -> tuple[Any, Sequence[Any]] | None:
    """The program that an equation does no more than call, with its arguments; None for anything else."""
    name, parameters = equation.primitive.name, equation.params
    if name in _CALLS:
        inside = next((parameters[key] for key in _INSIDE if key in parameters), None)
        return None if inside is None else (inside, arguments)
    if name == "cond":
        branches = parameters["branches"]
        return branches[min(max(int(arguments[0]), 0), len(branches) - 1)], arguments[1:]
    if name == "custom_linear_solve":
        lengths, programs = parameters["const_lengths"], parameters["jaxprs"]
        before = lengths.matvec + lengths.vecmat
        own = arguments[before : before + lengths.solve]
        return programs.solve, [*own, *arguments[before + lengths.solve + lengths.transpose_solve :]]
    return None


def _dtype(v: Any) -> Any:
    return v.aval.dtype


def _host(value: Any) -> Any:
    """As a NumPy array, where it is one of plain numbers."""
    dtype = getattr(value, "dtype", None)
    return value if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.extended) else np.asarray(value)


def _apply(equation: JaxprEqn, arguments: Sequence[Any]) -> list[Any]:
    name = equation.primitive.name
    called = _called(equation, arguments)
    if called is not None:
        return run(*called)
    if name == "scan":
        return _scan(equation.params, arguments)
    if is_plain(name, arguments, equation.params):
        out = RULES[name](*arguments, **equation.params)
        several = out if equation.primitive.multiple_results else [out]
        return [np.asarray(x, _dtype(v)) for x, v in zip(several, equation.outvars, strict=True)]
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # before and after JAX 0.10
    out = equation.primitive.bind(*functions, *arguments, **parameters)
    return [_host(x) for x in (out if equation.primitive.multiple_results else [out])]


def _scan(parameters: Any, arguments: Sequence[Any]) -> list[Any]:
    """lax.scan: the program inside, step by step, on slices of the stacked arguments."""
    consts, carries = parameters["num_consts"], parameters["num_carry"]
    inside, length = parameters["jaxpr"], parameters["length"]
    constants, carry, stacked = (
        arguments[:consts],
        list(arguments[consts : consts + carries]),
        arguments[consts + carries :],
    )
    steps = range(length)[::-1] if parameters["reverse"] else range(length)
    rows: dict[int, list[Any]] = {}
    for step in steps:
        out = run(inside, [*constants, *carry, *(x[step] for x in stacked)])
        carry, rows[step] = out[:carries], out[carries:]
    kinds = [v.aval for v in inside.jaxpr.outvars[carries:]]
    columns = [
        np.stack([rows[step][k] for step in range(length)]) if length else np.zeros((0, *aval.shape), aval.dtype)
        for k, aval in enumerate(kinds)
    ]
    return [*carry, *columns]


@lru_cache(maxsize=4096)
def _last_uses(program: Jaxpr) -> list[list[Any]]:
    """By equation, the variables that nothing after it needs."""
    kept = {v for v in program.outvars if not isinstance(v, Literal)}
    out: list[list[Any]] = []
    for equation in reversed(program.eqns):
        own = {v for v in (*equation.invars, *equation.outvars) if not isinstance(v, Literal)} - kept
        kept |= own
        out.append(list(own))
    return out[::-1]


def run(program: ClosedJaxpr | Jaxpr, arguments: Sequence[Any]) -> list[Any]:
    """The outputs of a program at these arguments."""
    jaxpr, constants = (program.jaxpr, program.consts) if isinstance(program, ClosedJaxpr) else (program, ())
    known = dict(zip(jaxpr.constvars, map(_host, constants), strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(v: Any) -> Any:
        return np.asarray(v.val, _dtype(v)) if isinstance(v, Literal) else known[v]

    for equation, done in zip(jaxpr.eqns, _last_uses(jaxpr), strict=True):
        out = _apply(equation, [read(v) for v in equation.invars])
        known |= dict(zip(equation.outvars, out, strict=True))
        for v in done:
            known.pop(v, None)
    return [read(v) for v in jaxpr.outvars]


class Program:
    """A function of arrays, traced once for the shapes of its first call, and run without compiling."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._traced: dict[Any, ClosedJaxpr] = {}

    def __call__(self, *arrays: Any) -> list[Any]:
        """The leaves of what the function returns."""
        given = [np.asarray(a) for a in arrays]
        key = tuple((a.shape, a.dtype) for a in given)
        if key not in self._traced:
            self._traced[key] = jax.make_jaxpr(self._function)(*given)
        with np.errstate(all="ignore"):
            return run(self._traced[key], given)
