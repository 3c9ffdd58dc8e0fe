"""Array types. Shapes are written with the same letters everywhere.

`n` observations, `d` dimensions, `k = d(d+1)/2` distinct entries of a symmetric d x d matrix; `*batch` leads.
"""

from collections.abc import Sequence
from typing import Any

import jax.typing

ArrayLike = jax.typing.ArrayLike | Sequence[Any]  # what `jnp.asarray` takes: arrays, numbers, nested lists of numbers
