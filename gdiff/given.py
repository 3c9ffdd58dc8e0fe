"""What a person hands over: an expression, names, and what is declared of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gdiff.derivation import Expression, ReadError, from_sympy, parse_together
from gdiff.derivation.structure import SQUARE, Structure
from gdiff.derivation.vocabulary import ascii_name

Shapes = Mapping[str, Sequence[int | str] | int]

# the word for what a domain is
STRUCTURE_OF: dict[str, str] = {
    **{"Scalar": "", "Vector": "", "General": "", "Positive": "positive", "Symmetric": "symmetric"},
    **{"PositiveDefinite": "positive_definite", "Correlation": "positive_definite", "Diagonal": "diagonal"},
    **{"LowerTriangular": "lower_triangular", "Orthogonal": "orthogonal"},
}


def name_of(symbol: Any) -> str:
    """The name of a SymPy symbol, or of a text."""
    name = symbol if isinstance(symbol, str) else getattr(symbol, "name", None)
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"got {symbol!r} for a name, want a text such as 'S', or a SymPy symbol")
    return ascii_name(name)


def structure_of(assume: Mapping[Any, Any] | None) -> Structure:
    """The declared structure, by name; a domain such as PositiveDefinite() says it as well as a word."""
    if not isinstance(assume or {}, Mapping):
        raise TypeError(f"assume={assume!r}: want a mapping, as in {{'S': 'positive_definite'}}")
    words = {}
    for key, value in (assume or {}).items():
        word = value if isinstance(value, str) else STRUCTURE_OF.get(type(value).__name__, repr(value))
        words[name_of(key)] = word.strip().replace(" ", "_").replace("-", "_") or "general"
    return Structure(words)


def read_expression(expression: Any, structure: Structure, shapes: Shapes | None, wrt: str) -> Expression:
    """An expression from a text (a scalar, if it can be), a SymPy expression, or as it is, with what is declared."""
    if isinstance(expression, Expression):
        return replace(expression, symmetric=expression.symmetric | structure.symmetric)
    if not isinstance(expression, str):
        if not hasattr(expression, "free_symbols"):
            got = type(expression).__name__
            raise TypeError(
                f'got {got}, want a text such as "x\'*A*x", a SymPy expression, or what gdiff.parse returns'
            )
        return from_sympy(expression, symmetric=structure.symmetric)
    squares = [name for name, word in structure.of.items() if word in SQUARE]
    (f,) = parse_together([expression], shapes=shapes, symmetric=squares)
    if f.shape != ():
        try:
            (scalar,) = parse_together([expression], shapes=shapes, symmetric=squares, wrt=wrt)
        except ReadError:
            scalar = f
        # a'*X*b: a scalar letter may turn out to be a vector for it, but no matrix a vector, and no vector a scalar
        if scalar.shape == () and all(len(scalar.shapes[name]) >= len(shape) for name, shape in f.shapes.items()):
            f = scalar
    return replace(f, symmetric=structure.symmetric)
