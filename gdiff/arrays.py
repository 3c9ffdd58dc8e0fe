"""Array types, with the shape letters used everywhere.

`n` observations, `d` dimensions, `k = d(d+1)/2` distinct entries of a symmetric d x d matrix.
"""

from jaxtyping import Array, Bool, Float, Int
from jaxtyping import ArrayLike as ArrayLike

Scalar = Float[Array, ""]
Vector = Float[Array, "d"]
Matrix = Float[Array, "d d"]
Rows = Float[Array, "n d"]
Vech = Float[Array, "k"]
Batch = Float[Array, "*batch"]
Flags = Bool[Array, "*batch"]
Codes = Int[Array, "*batch"]
