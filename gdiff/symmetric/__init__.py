"""Symmetric matrices: coordinates and conventions, and derivatives in them.

The siblings are floors of their own: `coordinates` (linear maps), then `transforms` (JAX transformations).
"""

from gdiff.symmetric.coordinates import (
    apply_commutation,
    apply_duplication,
    apply_duplication_transpose,
    apply_elimination,
    commutation_matrix,
    duplication_matrix,
    elimination_matrix,
    symmetrize,
    to_full,
    to_symmetric,
    unvec,
    unvech,
    vec,
    vech,
    vech_size,
)
from gdiff.symmetric.transforms import grad, hessian, value_and_grad

__all__ = [
    "apply_commutation",
    "apply_duplication",
    "apply_duplication_transpose",
    "apply_elimination",
    "commutation_matrix",
    "duplication_matrix",
    "elimination_matrix",
    "grad",
    "hessian",
    "symmetrize",
    "to_full",
    "to_symmetric",
    "unvec",
    "unvech",
    "value_and_grad",
    "vec",
    "vech",
    "vech_size",
]
