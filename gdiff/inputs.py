"""From a caller's arguments to a formula: shapes checked, values judged, what is invalid marked.

Each checker returns (inputs, name, matrix): the inputs by name, and the one square matrix with the name that the caller
knows it by. `apply` takes those to a formula of stand-ins that are valid.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gdiff.arrays import ArrayLike
from gdiff.blocks import PairProducts
from gdiff.statistics import SufficientStatistics, sample_moments
from gdiff.validity import as_floats, check_square, finite_status, guard, raise_if_invalid, stand_in, worst

Data = Array | SufficientStatistics
Checked = tuple[dict[str, Any], str, Array]


@partial(jax.jit, static_argnames=("formula", "judge"))
def _evaluate(formula: Callable, judge: Callable, inputs: dict[str, Any], matrix: Array) -> tuple[Any, Array]:
    """formula(**inputs, s=judge(matrix)), NaN where either is invalid, and the status."""
    s = judge(matrix)
    arguments = [(leaf, leaf.ndim) for leaf in (*jax.tree.leaves(inputs), matrix)]
    if "data" in inputs:
        inputs = inputs | {"data": summarise(inputs["data"])}
    status = worst(*(finite_status(leaf, leaf.ndim) for leaf in jax.tree.leaves(inputs)), s.status)
    safe = jax.tree.map(lambda leaf: stand_in(leaf, status), inputs)

    def guarded(out: Any) -> Array:
        return out.guarded(status, *arguments) if isinstance(out, PairProducts) else guard(out, status, *arguments)

    result = formula(**safe, s=s)
    return jax.tree.map(guarded, result, is_leaf=lambda out: isinstance(out, PairProducts)), status


def summarise(data: Data) -> Data:
    """A sample of more observations than dimensions by its statistics, formed once; a smaller one by its rows.

    Statistics are not finite where the data is not.
    """
    if isinstance(data, SufficientStatistics) or len(data) <= data.shape[1]:
        return data
    return SufficientStatistics(*sample_moments(data))


def apply(formula: Callable, judge: Callable, inputs: dict[str, Any], name: str, matrix: Array) -> Any:
    """formula(**inputs, s=judge(matrix)); ValueError where something is invalid, NaN where that is traced."""
    result, status = _evaluate(formula, judge, inputs, matrix)
    raise_if_invalid(status, **inputs, **{name: matrix})
    return result


def sample_floats(data: ArrayLike | SufficientStatistics, **others: ArrayLike) -> tuple[Data, list[Array]]:
    """A sample (an array or statistics) and other arguments, all in one dtype."""
    if not isinstance(data, SufficientStatistics):
        rows, *rest = as_floats(data=data, **others)
        return rows, rest
    leaves = {"count of data": data.count, "mean of data": data.mean, "scatter of data": data.scatter}
    count, mean, scatter, *rest = as_floats(**leaves, **others)
    return SufficientStatistics(count, mean, scatter), rest


def sample_and_matrix(data: ArrayLike | SufficientStatistics, mean: ArrayLike, name: str, matrix: ArrayLike) -> Checked:
    """Checked shapes: ({data, mean}, name, matrix)."""
    sample, (mu, s) = sample_floats(data, mean=mean, **{name: matrix})
    check_square(name, s.shape)
    d = s.shape[-1]
    if mu.shape != (d,):
        raise ValueError(f"mean: got shape {mu.shape}, wanted ({d},) to match {name} of shape {s.shape}.")
    shape = sample.mean.shape if isinstance(sample, SufficientStatistics) else sample.shape
    if len(shape) not in (1, 2):
        raise ValueError(f"data: got shape {shape}, wanted (d,) or (n, d); use jax.vmap for batches of samples.")
    if shape[-1] != d:
        hint = " For d = 1 a sample is an (n, 1) array: data[:, None]." if d == 1 and len(shape) == 1 else ""
        raise ValueError(
            f"data: got shape {shape}, wanted ({d},) or (n, {d}) to match {name} of shape {s.shape}.{hint}"
        )
    rows = sample if isinstance(sample, SufficientStatistics) else jnp.atleast_2d(sample)
    return {"data": rows, "mean": mu}, name, s


def vector_and_matrix(x: ArrayLike, matrix: ArrayLike, name: str, **others: ArrayLike) -> Checked:
    """Checked shapes for one vector (d,): ({x, ...}, name, matrix)."""
    *inputs, s = as_floats(x=x, **others, matrix=matrix)
    check_square(name, s.shape)
    named = dict(zip(("x", *others), inputs, strict=True))
    for key, v in named.items():
        if v.shape != s.shape[:1]:
            raise ValueError(f"{key}: got shape {v.shape}, wanted {s.shape[:1]} to match {name} of shape {s.shape}.")
    return named, name, s


def square_matrix(matrix: ArrayLike, name: str, **scalars: ArrayLike) -> Checked:
    """Checked shapes for one matrix (d, d) and numbers: ({number, ...}, name, matrix)."""
    *numbers, s = as_floats(**scalars, matrix=matrix)
    check_square(name, s.shape)
    named = dict(zip(scalars, numbers, strict=True))
    for key, v in named.items():
        if v.shape:
            raise ValueError(f"{key}: got shape {v.shape}, wanted a number.")
    return named, name, s
