"""Expressions from text: read, printed, evaluated.

The siblings are floors of their own: `tree`, `errors`, `vocabulary`, `tokens`, `cursor`, `grammar`, `printer`,
`dimensions`, `roles`, `shapes`, `evaluate` (loads JAX), `symbolic` (loads SymPy), `reader`, `adjoint`.
"""

from gdiff.derivation.reader import Expression, ReadError, from_sympy, parse, parse_together

__all__ = ["Expression", "ReadError", "from_sympy", "parse", "parse_together"]
