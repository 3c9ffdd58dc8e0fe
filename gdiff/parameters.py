"""Any pytree of numbers as one vector, whose entries have names: their paths in the tree."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from gdiff.display import number
from gdiff.validity import as_floats

_ROOT = "theta"  # a tree that is one array has no path


def names_of(tree: Any) -> tuple[str, ...]:
    """A name for each entry, in the order of `ravel`.

    >>> names_of({"kernel": {"scale": 1.0}, "slopes": jnp.zeros(2)})
    ('kernel.scale', 'slopes[0]', 'slopes[1]')
    """
    names = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or _ROOT
        places = product(*map(range, jnp.shape(leaf)))
        names += [name + (f"[{', '.join(map(str, place))}]" if place else "") for place in places]
    return tuple(names)


def ravel(tree: Any, what: str) -> tuple[Array, Callable[[Array], Any]]:
    """The entries as a vector (p,) of one real floating dtype, and the way back; integers are promoted.

    Raises TypeError for complex, half-precision and non-numeric entries, ValueError for a tree without any. `what` is
    the name of the tree in messages.
    """
    leaves, structure = jax.tree.flatten(tree)
    if not sum(jnp.size(leaf) for leaf in leaves):
        raise ValueError(f"{what}: got no parameters, wanted a number, an array, or a tree of them.")
    floats = as_floats(**{f"{what} (leaf {i})": leaf for i, leaf in enumerate(leaves)})
    return ravel_pytree(jax.tree.unflatten(structure, floats))


def spread(tree: Any, like: Any, what: str) -> Array:
    """The entries of a prefix tree, each given to all entries of `like` below it, as a vector.

    A number stands for the whole tree, `None` nowhere. Raises ValueError where structures or shapes do not match.

    >>> spread({"a": 1.0, "b": 2.0}, {"a": jnp.zeros(2), "b": 0.0}, "sd").tolist()
    [1.0, 1.0, 2.0]
    """

    def fill(value: Any, below: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(jnp.asarray(value), jnp.shape(leaf)), below)

    try:
        full = jax.tree.map(fill, tree, like)
    except (ValueError, TypeError) as error:
        shapes = jax.tree.map(jnp.shape, like)
        raise ValueError(f"{what}: got {tree}, wanted numbers or arrays for the parameters {shapes}.") from error
    return ravel(full, what)[0]


def places(names: Sequence[str], wanted: str, what: str) -> list[int]:
    """Where a parameter stands in the vector: the entry of that name, or all entries below that path.

    Raises ValueError for a name that there is not.

    >>> places(("kernel.scale", "slopes[0]", "slopes[1]"), "slopes", "fixed")
    [1, 2]
    """
    below = (f"{wanted}[", f"{wanted}.")
    found = [i for i, name in enumerate(names) if name == wanted or name.startswith(below)]
    if not found:
        raise ValueError(f"{what}: got {wanted!r}, wanted one of the parameters {', '.join(names)}.")
    return found


def direction(vector: np.ndarray, names: Sequence[str], most: int = 4) -> str:
    """A unit vector, or its opposite, as a combination of the parameters that it moves most.

    >>> direction(np.array([0.6, -0.8, 1e-9]), ("a", "b", "c"))
    '0.8 b - 0.6 a'
    """
    vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
    order = [i for i in np.argsort(-np.abs(vector)) if abs(vector[i]) >= 0.05][:most]
    terms = [f"{'-' if vector[i] < 0 else '+'} {number(abs(vector[i]), 2)} {names[i]}" for i in order]
    return " ".join(terms).removeprefix("+ ")
