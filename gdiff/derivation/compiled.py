"""A plan to a JAX function: what the program says, step by step, so that it traces, batches and differentiates."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
from jax import Array
from jax.typing import ArrayLike, DTypeLike

from gdiff.derivation.evaluate import as_matrix, bind, check_made_sizes, size_of
from gdiff.derivation.steps import Plan, Step
from gdiff.linalg import diagonal, matmul
from gdiff.symmetric import commutation_matrix, duplication_matrix, symmetrize

Sizes: TypeAlias = Mapping[str, int]


def compile_function(plan: Plan, names: Sequence[str] | None = None) -> Callable[..., Array]:
    """Make the function; arguments go by name, or by position in the order of `names` (default: of the plan's shapes).

    A vector is an array `(d,)` or `(d, 1)`, a scalar one `()`; results are `()`, `(d,)` or `(m, n)`, in the dtype of
    the arguments. Names that the plan does not need are accepted. It works under jit, vmap, grad and hessian; entries
    of arguments with a declared structure move within it. Arguments that are missing or not known raise TypeError,
    shapes that do not fit ValueError; a matrix that is not positive definite but was declared to be gives NaN.

    >>> from gdiff.derivation import parse
    >>> from gdiff.derivation.plan import plan
    >>> formula = parse("logdet(S) + x'*inv(S)*x")
    >>> f = compile_function(plan(formula.node, formula.all_shapes, {"S": "positive_definite"}))
    >>> float(f(S=jnp.eye(2), x=jnp.ones(2)))
    2.0
    """
    names = tuple(plan.shapes) if names is None else tuple(names)
    used = frozenset(plan.arguments)

    def function(*args: ArrayLike, **kwargs: ArrayLike) -> Array:
        sizes: dict[str, int] = {}
        given = {
            name: as_matrix(name, array, plan.shapes[name], sizes, jnp)
            for name, array in bind(names, args, kwargs, used).items()
            if name in plan.shapes
        }
        check_made_sizes(given, plan.shapes, sizes)
        dtype = jnp.result_type(*given.values()) if given else jnp.result_type(float)
        values: list[Any] = []
        for step in plan.steps:
            if step.operation == "argument":
                array = given[step.detail[0]]
                values.append(array if step.rank == 2 else array.reshape(-1) if step.rank else array)
            else:
                values.append(_run(step, [values[operand] for operand in step.operands], sizes, dtype))
        return jnp.asarray(values[-1], dtype)

    return function


def _run(step: Step, operands: list[Any], sizes: Sizes, dtype: DTypeLike) -> Any:
    match step.operation, step.detail:
        case "number", (value,):
            return float(value)
        case "pi", _:
            return np.pi
        case "size", (size,):
            return size_of(size, sizes)
        case "eye", (size,):
            return jnp.eye(size_of(size, sizes), dtype=dtype)
        case "full", (entry, *extents):
            return jnp.full([size_of(extent, sizes) for extent in extents], entry, dtype)
        case "commutation" | "duplication", extents:
            make = commutation_matrix if step.operation == "commutation" else duplication_matrix
            return jnp.asarray(make(*(size_of(extent, sizes) for extent in extents)), dtype)
        case "linear", coefficients:
            return _linear(coefficients, operands)
        case "power", (exponent,):
            return operands[0] ** (int(exponent) if exponent.denominator == 1 else float(exponent))
        case "solve_triangular", (transposed,):
            lower, b = operands
            return jsl.solve_triangular(lower, b, trans=int(transposed), lower=True)
        case "lu_solve", (transposed,):
            factors, b = operands
            return jsl.lu_solve(factors, b, trans=int(transposed))
    return _OPERATIONS[step.operation](*operands)


def _linear(coefficients: Sequence[Fraction], operands: Sequence[Any]) -> Any:
    terms = [v if c == 1 else -v if c == -1 else float(c) * v for c, v in zip(coefficients, operands, strict=True)]
    return reduce(operator.add, terms)


def _log_prod(v: Array) -> Array:
    """Log of the product of the entries, NaN where that is not positive."""
    return jnp.where(jnp.prod(jnp.sign(v)) > 0, jnp.sum(jnp.log(jnp.abs(v))), jnp.nan)


def _log_det(a: Array) -> Array:
    sign, value = jnp.linalg.slogdet(a)
    return jnp.where(sign > 0, value, jnp.nan)


def _lu_pivots(factors: tuple[Array, Array]) -> Array:
    """The pivots, one more of them negative for every exchange of rows: their product is the determinant."""
    lu, order = factors
    pivots = diagonal(lu)
    return jnp.where(order == jnp.arange(len(pivots), dtype=order.dtype), pivots, -pivots)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "symmetrize": symmetrize,
    "tril": jnp.tril,
    "times": lambda a, b: a * b,
    "divide": jnp.divide,
    "power": lambda a, k: a**k,
    "exp": jnp.exp,
    "log": jnp.log,
    "sqrt": jnp.sqrt,
    "abs": jnp.abs,
    "transpose": lambda a: a.T,
    "total": jnp.sum,
    "row_sums": lambda a: a.sum(axis=1),
    "prod": jnp.prod,
    "log_prod": _log_prod,
    "trace": jnp.trace,
    "diagonal": diagonal,
    "diag_matrix": jnp.diag,
    "scale_rows": lambda v, a: v[:, None] * a,
    "scale_columns": lambda a, v: a * v,
    "matmul": matmul,
    "dot": matmul,
    "outer": jnp.outer,
    "cholesky": jnp.linalg.cholesky,
    "cholesky_solve": lambda lower, b: jsl.cho_solve((lower, True), b),
    "cholesky_inverse": lambda lower: jsl.cho_solve((lower, True), jnp.eye(len(lower), dtype=lower.dtype)),
    "lu": jsl.lu_factor,
    "lu_inverse": lambda factors: jsl.lu_solve(factors, jnp.eye(len(factors[0]), dtype=factors[0].dtype)),
    "lu_det": lambda factors: jnp.prod(_lu_pivots(factors)),
    "lu_log_det": lambda factors: _log_prod(_lu_pivots(factors)),
    "solve": jnp.linalg.solve,
    "inverse": jnp.linalg.inv,
    "det": jnp.linalg.det,
    "log_det": _log_det,
    "pinv": jnp.linalg.pinv,
    "kron": jnp.kron,
    "cbind": lambda *blocks: jnp.concatenate(blocks, axis=1),
    "rbind": lambda *blocks: jnp.concatenate(blocks, axis=0),
    "row": lambda v: v[None, :],
    "column": lambda v: v[:, None],
    "cell": lambda a: jnp.reshape(a, (1, 1)),
    "ravel": jnp.ravel,
    "vec": lambda a: a.T.ravel(),
    "vech": lambda a: a.T[jnp.triu_indices(len(a))],
}
