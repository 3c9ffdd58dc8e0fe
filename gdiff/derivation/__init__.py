"""Expressions from text: read, printed, evaluated, differentiated, and turned into efficient functions.

The siblings are floors of their own. To read: `tree`, `errors`, `vocabulary`, `tokens`, `cursor`, `grammar`,
`printer`, `dimensions`, `roles`, `shapes`, `evaluate` (loads JAX), `matrix_expressions` and `symbolic` (load SymPy),
`reader`. To derive: `structure`, `powers`, `constants`, `arithmetic`, `algebra`, `rules`, `tidy`, `readoff`,
`differential`, `lines`, `terms`. To run: `steps`, `chains`, `monomials`, `plan`, `compiled` (loads JAX), `writer`,
`source`.
"""

from gdiff.derivation.reader import Expression, ReadError, from_sympy, parse, parse_together

__all__ = ["Expression", "ReadError", "from_sympy", "parse", "parse_together"]
