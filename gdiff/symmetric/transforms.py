"""Derivatives with respect to symmetric matrices, by JAX through the lower triangle.

Each transform here writes a symmetric argument as unvech(v), v the k = d(d+1)/2 entries of its lower triangle, and lets
JAX differentiate in v. Sigma_ij and Sigma_ji then are one variable, so that for every scalar f the result is
the Hadamard-corrected derivative: B = 2A - A∘I where `jax.grad` gives A (Matrix Cookbook 138, 2012-11-15).

An array of rank two or more among the chosen arguments is a symmetric matrix (or a batch of them), because the caller
said so by calling this module; scalars and vectors are differentiated as they are. Arguments may be pytrees.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff.arrays import ArrayLike
from gdiff.symmetric.coordinates import asymmetry, symmetrize, unvech, vech

Argnums = int | Sequence[int]


def _lower(leaf: ArrayLike) -> Array:
    """Coordinates of one leaf: `vech` of a matrix, NaN where that matrix is not symmetric; else the leaf."""
    leaf = jnp.asarray(leaf)
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        leaf = leaf.astype(jnp.result_type(float))
    if leaf.ndim < 2:
        return leaf
    if leaf.shape[-1] != leaf.shape[-2]:
        raise ValueError(
            f"got an argument of shape {leaf.shape}, wanted symmetric matrices (..., d, d); "
            "for an argument that is not symmetric use jax.grad or jax.hessian."
        )
    worst, limit = asymmetry(leaf), np.sqrt(jnp.finfo(leaf.dtype).eps)
    if not isinstance(leaf, jax.core.Tracer) and leaf.size and float(worst.max()) > limit:
        raise ValueError(
            "got a matrix that is not symmetric: |M_ij - M_ji| reaches "
            f"{float(worst.max()):.2g} of its scale, wanted at most sqrt(eps) = {limit:.1g}. "
            "For an argument with free entries use jax.grad or jax.hessian."
        )
    return jnp.where((worst <= limit)[..., None], vech(symmetrize(leaf)), jnp.nan)


class _Through(NamedTuple):
    """A function of the coordinates of the chosen arguments, those coordinates, and which leaves are matrices."""

    function: Callable
    coordinates: tuple
    matrices: tuple

    def restore(self, derivative: Any) -> Any:
        """Lay a derivative in the coordinates out like the arguments."""
        return jax.tree.map(lambda g, is_matrix: unvech(g) if is_matrix else g, derivative, self.matrices)


def _through_lower_triangle(f: Callable, argnums: Argnums, args: tuple, kwargs: dict) -> _Through:
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for argnum in chosen:
        if not -len(args) <= argnum < len(args):
            raise ValueError(f"argnums={argnums!r}: got {len(args)} positional arguments, so there is no {argnum}.")
    matrices = jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, tuple(args[i] for i in chosen))
    coordinates = jax.tree.map(_lower, tuple(args[i] for i in chosen))

    def function(*coordinates: Any) -> Any:
        moved = list(args)
        for argnum, value, is_matrix in zip(chosen, coordinates, matrices, strict=True):
            moved[argnum] = jax.tree.map(lambda v, matrix: unvech(v) if matrix else v, value, is_matrix)
        return f(*moved, **kwargs)

    return _Through(function, coordinates, matrices)


def value_and_grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The value of a scalar f, and its derivative in the symmetric convention: `grad` says which.

    As `jax.value_and_grad`, with `has_aux` for an f that returns (value, auxiliary data).
    """

    @wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        through = _through_lower_triangle(f, argnums, args, kwargs)
        positions = tuple(range(len(through.coordinates)))
        value, gradient = jax.value_and_grad(through.function, positions, has_aux=has_aux)(*through.coordinates)
        gradient = through.restore(gradient)
        return value, gradient[0] if isinstance(argnums, int) else gradient

    return derivative


def grad(f: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """B = 2A - A∘I: the partial derivatives of a scalar f with respect to the distinct entries of a symmetric matrix.

    `grad(f, argnums)(*args)` has the shape of the argument: entry (i, j) is the derivative of f when S_ij and S_ji move
    together, entry (i, i) when S_ii does (Matrix Cookbook 138). Vectors and scalars among the arguments are
    differentiated as `jax.grad` does.

    Raises ValueError for a concrete argument that is not symmetric; a traced one gives NaN.

    >>> import jax.numpy as jnp
    >>> weights = jnp.array([[1., 2.], [3., 4.]])
    >>> grad(lambda s: jnp.sum(weights * s))(jnp.eye(2)).tolist()  # Matrix Cookbook 139: A + A' - A∘I
    [[1.0, 5.0], [5.0, 4.0]]
    """
    value_and_gradient = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        value, gradient = value_and_gradient(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derivative


def hessian(f: Callable, argnums: Argnums = 0) -> Callable:
    """The k x k Hessian of a scalar f in vech coordinates, D' H D, for one symmetric matrix argument.

    With a tuple of argnums, the blocks are nested as `jax.hessian` nests them: for a mean (d,) and a covariance (d, d),
    ((d x d, d x k), (k x d, k x k)).

    Raises ValueError for a concrete argument that is not symmetric; a traced one gives NaN.
    """

    @wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        through = _through_lower_triangle(f, argnums, args, kwargs)
        positions = tuple(range(len(through.coordinates)))
        blocks = jax.hessian(through.function, positions)(*through.coordinates)
        return blocks[0][0] if isinstance(argnums, int) else blocks

    return derivative
