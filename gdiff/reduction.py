"""Every kind of claim as one about a first or second derivative of a real function of real arrays.

A value F is the gradient of <w, F> in w. A differential is the Jacobian of its columns, one for each direction. A
complex argument is two real ones, its real and imaginary parts, and a complex function two real functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Claim
from gdiff.domains import Complex, Domain, Vector
from gdiff.oracles import Evaluation, judging
from gdiff.wirtinger import derivative_in_parts, pair_in_parts


@dataclass(frozen=True)
class Problem:
    """A derivative and a claim about it, at arguments of given shapes; `point` makes them of the claim's own."""

    function: Callable[..., Any]
    derivative: Callable[..., Any]
    names: tuple[str, ...]
    domains: tuple[Domain, ...]
    wrt: tuple[int, ...]
    order: int
    convention: str | None
    point: Callable[[Sequence[Any]], tuple[Any, ...]]
    evaluation: Evaluation | None = None  # of F, in a problem about <w, F>


def problem(claim: Claim, like: Sequence[Any], dtype: Any = np.float64) -> Problem:
    """What a claim says at points of these shapes, the arithmetic of its derivative in `dtype`."""
    return _problem(claim, tuple((np.shape(x), np.result_type(x).str) for x in like), np.dtype(dtype).str)


@lru_cache(maxsize=64)
def _problem(claim: Claim, shapes: tuple[tuple[tuple[int, ...], str], ...], dtype: str) -> Problem:
    assert claim.derivative is not None
    like = [jax.ShapeDtypeStruct(shape, np.dtype(kind)) for shape, kind in shapes]
    derivative = _in_dtype(claim.derivative, dtype)
    if any(isinstance(a.domain, Complex) for a in claim.arguments):
        return _in_parts(claim, derivative, like)
    function, arguments = claim.function, claim.arguments
    convention = claim.convention
    if claim.kind == "value":
        return _weighted(function, derivative, [(a.name, a.domain) for a in arguments], tuple)
    if claim.kind == "differential":
        derivative = _columns(derivative, claim.wrt, [a.domain for a in arguments])
        convention = "full" if any(arguments[i].domain.is_symmetric for i in claim.wrt) else None
    names, domains = tuple(a.name for a in arguments), tuple(a.domain for a in arguments)
    return Problem(function, derivative, names, domains, claim.wrt, claim.order, convention, tuple)


def _in_dtype(derivative: Callable[..., Any], dtype: Any) -> Callable[..., Any]:
    complex_dtype = np.result_type(dtype, np.complex64)

    def cast(array: Any) -> Any:
        array = jnp.asarray(array)
        return array.astype(complex_dtype if jnp.iscomplexobj(array) else dtype)

    def claimed(*args: Any) -> Any:
        # constants within, an identity matrix say, may have made the result wider than its arguments
        return jax.tree.map(cast, derivative(*map(cast, args)))

    return claimed


def _weighted(
    function: Callable[..., Any],
    derivative: Callable[..., Any],
    arguments: Sequence[tuple[str, Domain]],
    parts: Callable[[Sequence[Any]], tuple[Any, ...]],
) -> Problem:
    """F as the gradient of sum(w * F) in w; a complex F as its two parts."""
    known: dict[str, Any] = {}

    def real(value: Any) -> Any:
        value = jnp.asarray(value)
        known.setdefault("of complex", jnp.iscomplexobj(value))
        return jnp.stack([jnp.real(value), jnp.imag(value)]) if known["of complex"] else value

    evaluation = Evaluation(lambda *args: real(function(*args)))

    def point(args: Sequence[Any]) -> tuple[Any, ...]:
        """With a weight of one on every entry; their number is known once F was evaluated."""
        leaves = tuple(np.asarray(x, dtype=float) for x in parts(args))
        if "shape" not in known:
            with judging(), np.errstate(all="ignore"):
                known["shape"] = evaluation.shape(leaves)
        return (np.ones(known["shape"]), *leaves)

    return Problem(
        lambda w, *args: jnp.sum(w * real(function(*args))),
        lambda _, *args: real(derivative(*args)),
        ("w", *(name for name, _ in arguments)),
        (Vector(), *(domain for _, domain in arguments)),
        (0,),
        1,
        None,
        point,
        evaluation,
    )


def _columns(derivative: Callable[..., Any], wrt: Sequence[int], domains: Sequence[Domain]) -> Callable[..., Any]:
    """A differential as the Jacobian that it is of: one column for each entry, along the directions of the domain."""

    def jacobian(*args: Any) -> Any:
        out = []
        for slot, i in enumerate(wrt):
            shape = args[i].shape
            units = jnp.asarray(domains[i].project(np.eye(args[i].size).reshape(-1, *shape)), args[i].dtype)

            def along(unit: Any, slot: int = slot) -> Any:
                return derivative(*args, *(unit if k == slot else jnp.zeros_like(args[j]) for k, j in enumerate(wrt)))

            columns = jax.vmap(along)(units)
            out.append(jnp.moveaxis(columns, 0, -1).reshape(*columns.shape[1:], *shape))
        return out[0] if len(out) == 1 else tuple(out)

    return jacobian


def whole_arguments(claim: Claim, real: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of a claim from real arrays, those that are complex from two."""
    rest = iter(real)
    return tuple(next(rest) + 1j * next(rest) if isinstance(a.domain, Complex) else next(rest) for a in claim.arguments)


def _in_parts(claim: Claim, derivative: Callable[..., Any], like: Sequence[Any]) -> Problem:
    """A claim about complex arguments as one about their real and imaginary parts."""
    arguments: list[tuple[str, Domain]] = []
    first: list[int] = []
    for argument, value in zip(claim.arguments, like, strict=True):
        first.append(len(arguments))
        if isinstance(argument.domain, Complex):
            pair = argument.domain.parts(np.shape(value))
            arguments += [(f"{part} {argument.name}", d) for part, d in zip(("Re", "Im"), pair, strict=True)]
        else:
            arguments.append((argument.name, argument.domain))

    def parts(point: Sequence[Any]) -> tuple[Any, ...]:
        out: list[Any] = []
        for value, argument in zip(point, claim.arguments, strict=True):
            out += [np.real(value), np.imag(value)] if isinstance(argument.domain, Complex) else [value]
        return tuple(out)

    def whole(real: Sequence[Any]) -> tuple[Any, ...]:
        return whole_arguments(claim, real)

    if claim.kind == "value":
        return _weighted(
            lambda *real: claim.function(*whole(real)), lambda *real: derivative(*whole(real)), arguments, parts
        )
    with judging():
        out = jax.eval_shape(claim.function, *like)
    of_complex = jnp.issubdtype(out.dtype, jnp.complexfloating)

    def function(*real: Any) -> Any:
        value = claim.function(*whole(real))
        return jnp.stack([jnp.real(value), jnp.imag(value)]) if of_complex else value

    def claimed(*real: Any) -> Any:
        value = derivative(*whole(real))
        return pair_in_parts(value) if of_complex else derivative_in_parts(value, str(claim.convention))

    (chosen,) = claim.wrt
    domains = tuple(d for _, d in arguments)
    wrt = (first[chosen], first[chosen] + 1)
    convention = "full" if any(domains[i].is_symmetric for i in wrt) else None
    return Problem(function, claimed, tuple(n for n, _ in arguments), domains, wrt, 1, convention, parts)
