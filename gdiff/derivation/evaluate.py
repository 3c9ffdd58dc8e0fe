"""A tree with shapes to a plain JAX or NumPy function: the formula as typed, every entry of every matrix free.

Nothing here symmetrises, and nothing factorises by Cholesky: this is the function that a claim is held against, and
what its derivative is depends on which entries are taken to move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gdiff.derivation.printer import shape_text
from gdiff.derivation.tree import SCALAR, Call, Extent, Node, Number, Power, Product, Shape, Size, Sum, Symbol, symbols
from gdiff.derivation.vocabulary import SIZED
from gdiff.symmetric import commutation_matrix, duplication_matrix

_ENTRYWISE = frozenset({"exp", "log", "sqrt", "abs"})


def function_of(
    node: Node, shapes: Mapping[str, Shape], names: Sequence[str] | None = None, xp: Any = jnp
) -> Callable[..., Any]:
    """Make the function; arguments go by name, or by position in the order of `names`.

    A vector is an array `(d,)` or `(d, 1)`, a scalar one `()`; results are `()`, `(d,)` or `(m, n)`. `xp` is
    jax.numpy or NumPy: the latter compiles nothing, where a formula is worked out at a few points and no more.
    """
    names = tuple(shapes) if names is None else tuple(names)
    used = frozenset(symbols(node))

    def function(*args: ArrayLike, **kwargs: ArrayLike) -> Any:
        given = bind(names, args, kwargs, used)
        sizes: dict[str, int] = {}
        values = {}
        for name, array in given.items():
            if name in shapes:
                values[name] = as_matrix(name, array, shapes[name], sizes, xp)
        check_made_sizes(values, shapes, sizes)
        value = xp.asarray(_Evaluator(values, sizes, xp).of(node))
        if node.shape[1] != 1:
            return value
        return value.reshape(()) if node.shape == SCALAR else value[:, 0]

    return function


def bind(
    names: Sequence[str], args: Sequence[ArrayLike], kwargs: Mapping[str, ArrayLike], used: frozenset[str]
) -> dict[str, ArrayLike]:
    """Match arguments by position and by keyword to names; TypeError where one of `used` is missing, or has no name."""
    if len(args) > len(names):
        raise TypeError(f"got {len(args)} arguments, want at most {len(names)}: {', '.join(names)}")
    given = dict(zip(names, args, strict=False))
    for name, array in kwargs.items():
        if name in given:
            raise TypeError(f"got two values for `{name}`")
        if name not in names and name not in used:
            known = ", ".join(dict.fromkeys((*names, *sorted(used))))
            raise TypeError(f"got an argument `{name}`, want some of: {known}")
        given[name] = array
    missing = sorted(used - given.keys())
    if missing:
        raise TypeError(f"missing arguments: {', '.join(missing)}")
    return given


def as_matrix(name: str, given: ArrayLike, shape: Shape, sizes: dict[str, int], xp: Any) -> Any:
    """Bring an argument to two axes (a scalar to none), learning the sizes that have a name."""
    array = xp.asarray(given)
    if not xp.issubdtype(array.dtype, xp.inexact):
        array = array.astype(xp.result_type(float))
    wanted = shape_text(shape)
    if shape == SCALAR:
        if array.size != 1 or array.ndim > 2:
            raise ValueError(f"`{name}` has shape {array.shape}; want a scalar, an array of shape ()")
        return array.reshape(())
    if array.ndim == 1 and 1 in shape:
        array = array[:, None] if shape[1] == 1 else array[None, :]
    if array.ndim != 2:
        raise ValueError(f"`{name}` has {array.ndim} axes, shape {array.shape}; want {wanted}; batches go by jax.vmap")
    for got, size in zip(array.shape, shape, strict=True):
        if isinstance(size, tuple):
            continue
        want = size if isinstance(size, int) else sizes.setdefault(size, got)
        if got != want:
            where = "" if isinstance(size, int) else f", with {size} = {want} from another argument"
            raise ValueError(f"`{name}` has shape {np.shape(given)}; want {wanted}{where}")
    return array


def check_made_sizes(values: Mapping[str, Any], shapes: Mapping[str, Shape], sizes: Mapping[str, int]) -> None:
    """Check shapes that are made of others, d*d, once those are known."""
    for name, array in values.items():
        if any(isinstance(size, tuple) for size in shapes[name]):
            want = tuple(size_of(size, sizes) for size in shapes[name])
            if array.shape != want:
                raise ValueError(f"`{name}` has shape {array.shape}; want {shape_text(shapes[name])} = {want}")


def size_of(size: Size, sizes: Mapping[str, int]) -> int:
    """Compute a size from those of the dimensions that have a name."""
    match size:
        case int():
            return size
        case str():
            if size not in sizes:
                raise ValueError(f"no argument has the dimension {size}, so its size is unknown; declare it by a shape")
            return sizes[size]
        case ("triangle", d):
            return size_of(d, sizes) * (size_of(d, sizes) + 1) // 2
        case ("plus", *parts):
            return sum(size_of(part, sizes) for part in parts)
    return prod(size_of(part, sizes) for part in size[1:])


class _Evaluator:
    """Values of nodes: arrays with no axis for scalars, with two for everything else."""

    def __init__(self, values: Mapping[str, Any], sizes: Mapping[str, int], xp: Any) -> None:
        self.values = values
        self.sizes = sizes
        self.xp = xp
        self.dtype = xp.result_type(*values.values()) if values else xp.result_type(float)
        self.precision: dict[str, Any] = {} if xp is np else {"precision": jax.lax.Precision.HIGHEST}

    def of(self, node: Node) -> Any:
        match node:
            case Number(value):
                return self.xp.asarray(float(value))
            case Symbol(name):
                return self.values[name]
            case Sum(terms):
                first, *rest = (self.of(term) for term in terms)
                for term in rest:
                    first = first + term
                return first
            case Product(factors):
                return self.product(factors)
            case Power(base, exponent):
                return self.power(base, exponent)
            case Call(function, arguments):
                return self.call(function, arguments, node.shape)
        raise TypeError(f"{type(node).__name__} has no value")

    def product(self, factors: Sequence[Node]) -> Any:
        value, shape = self.of(factors[0]), factors[0].shape
        for factor in factors[1:]:
            if shape == SCALAR or factor.is_scalar:
                value = value * self.of(factor)
                shape = factor.shape if shape == SCALAR else shape
                continue
            value = self.xp.matmul(value, self.of(factor), **self.precision)
            shape = shape[0], factor.shape[1]
            value = value.reshape(()) if shape == SCALAR else value
        return value

    def power(self, base: Node, exponent: Node) -> Any:
        value = self.of(base)
        if isinstance(exponent, Number) and exponent.value.denominator == 1:
            k = int(exponent.value)
            if base.is_scalar:
                return value**k
            return self.xp.linalg.inv(value) if k == -1 else self.xp.linalg.matrix_power(value, k)
        return value ** self.of(exponent)

    def call(self, function: str, arguments: Sequence[Node], shape: Shape) -> Any:
        if function == "log" and (log_det := self.log_det(arguments[0])) is not None:
            return log_det
        if function in SIZED or function == "pi":
            return self.constant(function, arguments, shape)
        first, *rest = (self.of(argument) for argument in arguments)
        if function in _ENTRYWISE:
            return getattr(self.xp, function)(first)
        match function:
            case "t":
                return first.T
            case "tr":
                return self.xp.trace(first)
            case "det":
                return self.xp.linalg.det(first)
            case "sum":
                return first.sum()
            case "norm":
                return self.xp.sqrt((first * first).sum())
            case "had":
                return first * rest[0]
            case "hadpow":
                k = arguments[1]
                whole = isinstance(k, Number) and k.value.denominator == 1
                return first ** (int(k.value) if isinstance(k, Number) and whole else rest[0])
            case "kron":
                return self.xp.kron(first, rest[0])
            case "diag":
                return self.xp.diagflat(first)
            case "pinv":
                return self.xp.linalg.pinv(first)
            case "tril":
                return self.xp.tril(first)
            case "cbind" | "rbind":
                blocks = [self.xp.atleast_2d(block) for block in (first, *rest)]  # numbers too
                return self.xp.concatenate(blocks, axis=int(function == "cbind"))
            case "ddiag":
                return self.xp.diag(self.xp.diag(first))
            case "diagonal":
                return self.xp.diag(first)[:, None]
            case "vec":
                return first.T.reshape(-1, 1)
            case "vech":
                columns, rows = np.triu_indices(first.shape[0])  # column by column of the lower triangle
                return first[rows, columns][:, None]
        raise TypeError(f"`{function}` has no value")

    def log_det(self, node: Node) -> Any | None:
        """Take log(det(S)^k) as k times the logarithm, which neither overflows nor underflows."""
        match node:
            case Call("det", (matrix,)):
                sign, value = self.xp.linalg.slogdet(self.of(matrix))
                return self.xp.where(sign > 0, value, self.xp.nan)
            case Power(Call("det", _) as det, Number(k)) if k.numerator % 2 or k.denominator != 1:
                value = self.log_det(det)
                return None if value is None else float(k) * value
        return None

    def constant(self, function: str, arguments: Sequence[Node], shape: Shape) -> Any:
        if function == "pi":
            return self.xp.asarray(float(np.pi))
        if shape == SCALAR:
            return self.xp.asarray(0.0 if function == "zeros" else 1.0)
        extents = [size_of(a.size, self.sizes) for a in arguments if isinstance(a, Extent)]
        if function == "commutation":
            return self.xp.asarray(commutation_matrix(extents[0], extents[-1]), self.dtype)
        if function == "duplication":
            return self.xp.asarray(duplication_matrix(*extents), self.dtype)
        rows, columns = (size_of(size, self.sizes) for size in shape)
        if function == "eye":
            return self.xp.eye(rows, dtype=self.dtype)
        return self.xp.full((rows, columns), 1.0 if function == "ones" else 0.0, self.dtype)
