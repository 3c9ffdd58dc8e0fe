"""Trees to SymPy matrix expressions and back. It imports SymPy: load it when needed.

SymPy refuses to add a scalar and a 1 x 1 matrix, so that a product such as x'*inv(S)*x becomes its trace; on the way
back the trace is dropped again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions import MatrixExpr
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower

from gdiff.derivation.matrix_expressions import (
    Commutation,
    Duplication,
    LowerTriangle,
    PseudoInverse,
    Vec,
    Vech,
)
from gdiff.derivation.tree import (
    SCALAR,
    Call,
    Extent,
    Node,
    Number,
    Power,
    Product,
    Shape,
    Size,
    Sum,
    Symbol,
    add,
    number,
    product,
    scale,
    split,
    transpose,
)

_MAX_BITS = 10_000  # of a power of two numbers, which SymPy works out


# --- to SymPy -----------------------------------------------------------------------------------------------------

_ENTRYWISE: dict[str, Callable[[Any], Any]] = {"exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "abs": sp.Abs}
_OF_MATRIX: dict[str, Callable[[Any], Any]] = {
    "t": sp.Transpose,
    "tr": sp.Trace,
    "det": sp.Determinant,
    "diag": DiagMatrix,
    "ddiag": DiagonalMatrix,
    "diagonal": DiagonalOf,
    "vec": Vec,
    "vech": Vech,
    "pinv": PseudoInverse,
    "tril": LowerTriangle,
    "norm": lambda x: sp.sqrt(sp.Trace(sp.MatMul(sp.Transpose(x), x))),
}


def to_size(size: Size) -> Any:
    """Turn a size into a SymPy integer or positive integer symbol."""
    match size:
        case int():
            return sp.Integer(size)
        case str():
            return sp.Symbol(size, integer=True, positive=True)
        case ("triangle", d):
            return to_size(d) * (to_size(d) + 1) / 2
        case ("plus", *parts):
            return sp.Add(*(to_size(part) for part in parts))
    return sp.Mul(*(to_size(part) for part in size[1:]))


def to_sympy(node: Node) -> Any:
    """Turn a tree with shapes into a SymPy expression, as typed: nothing is simplified but numbers."""
    match node:
        case Number(value):
            return sp.Rational(value.numerator, value.denominator)
        case Symbol(name):
            if node.is_scalar:
                return sp.Symbol(name, real=True)
            return sp.MatrixSymbol(name, *(to_size(size) for size in node.shape))
        case Sum(terms):
            return (sp.Add if node.is_scalar else sp.MatAdd)(*(to_sympy(term) for term in terms))
        case Product(factors):
            return _product(factors)
        case Power(base, exponent):
            return _power(to_sympy(base), to_sympy(exponent), node)
        case Call():
            return _call(node)
    raise TypeError(f"{type(node).__name__} is not an expression")


def _product(factors: Sequence[Node]) -> Any:
    scalars: list[Any] = []
    run: list[Any] = []  # matrices since the last point where the product was a scalar
    shape: Shape = SCALAR
    for factor in factors:
        if factor.is_scalar:
            scalars.append(to_sympy(factor))
            continue
        run.append(to_sympy(factor))
        shape = (shape[0] if len(run) > 1 else factor.shape[0], factor.shape[1])
        if shape == SCALAR:
            scalars.append(sp.Trace(sp.MatMul(*run)))
            run = []
    coefficient = sp.Mul(*scalars)
    if not run:
        return coefficient
    matrices = run if coefficient == 1 else [coefficient, *run]
    return sp.MatMul(*matrices) if len(matrices) > 1 else run[0]


def _power(base: Any, exponent: Any, node: Power) -> Any:
    if not node.base.is_scalar:
        return sp.Inverse(base) if node.is_inverse else sp.MatPow(base, exponent)
    if base.is_Rational and exponent.is_Rational:
        bits = max(base.p.bit_length(), base.q.bit_length()) * abs(exponent)
        if bits > _MAX_BITS:
            raise ValueError(f"a power of numbers with {bits} binary digits is out of bounds; write it as a decimal")
    return base**exponent


def _call(node: Call) -> Any:
    name, arguments = node.function, node.arguments
    if name == "pi":
        return sp.pi
    if name in ("eye", "ones", "zeros"):
        if node.is_scalar:
            return sp.Integer(name != "zeros")
        rows, columns = (to_size(size) for size in node.shape)
        if name == "eye":
            return sp.Identity(rows)
        return (sp.OneMatrix if name == "ones" else sp.ZeroMatrix)(rows, columns)
    if name in ("commutation", "duplication"):
        sizes = [to_size(a.size) for a in arguments if isinstance(a, Extent)]
        return Commutation(sizes[0], sizes[-1]) if name == "commutation" else Duplication(*sizes)
    if name in ("cbind", "rbind"):
        blocks = [to_sympy(a) * sp.OneMatrix(1, 1) if a.is_scalar else to_sympy(a) for a in arguments]
        return sp.BlockMatrix([blocks] if name == "cbind" else [[block] for block in blocks])
    first, *rest = (to_sympy(argument) for argument in arguments)
    if name in _ENTRYWISE:
        if not node.is_scalar:
            return first.applyfunc(_ENTRYWISE[name])
        # exp(n*log(2)) would be worked out, whatever n
        return sp.exp(first, evaluate=False) if name == "exp" and first.is_number else _ENTRYWISE[name](first)
    if name == "sum":
        rows, columns = (to_size(size) for size in arguments[0].shape)
        ends = (sp.OneMatrix(1, rows),), (sp.OneMatrix(columns, 1),)
        left, right = ends[0] if rows != 1 else (), ends[1] if columns != 1 else ()
        return sp.Trace(sp.MatMul(*left, first, *right))
    if name == "had":
        return sp.HadamardProduct(first, *rest)
    if name == "hadpow":
        return HadamardPower(first, *rest)
    if name == "kron":
        return sp.KroneckerProduct(first, *rest)
    return _OF_MATRIX[name](first)


# --- from SymPy ---------------------------------------------------------------------------------------------------

_FUNCTIONS: list[tuple[Any, str]] = [
    (sp.Determinant, "det"),
    (DiagMatrix, "diag"),
    (DiagonalMatrix, "ddiag"),
    (DiagonalOf, "diagonal"),
    (Vec, "vec"),
    (Vech, "vech"),
    (PseudoInverse, "pinv"),
    (LowerTriangle, "tril"),
    (sp.exp, "exp"),
    (sp.log, "log"),
    (sp.Abs, "abs"),
]


def declared_in(expression: Any) -> dict[str, Shape]:
    """List the symbols of a SymPy expression with their shapes."""
    shapes: dict[str, Shape] = {}
    for symbol in sorted(expression.atoms(sp.MatrixSymbol), key=str):
        shapes[symbol.name] = _extent(symbol.shape[0]), _extent(symbol.shape[1])
    for symbol in sorted(_scalars(expression), key=str):
        shapes[symbol.name] = SCALAR
    for name in shapes:
        if not name.isidentifier():
            raise ValueError(f"got a symbol called {name!r}, want a name of letters, digits and underscores")
    return shapes


def _scalars(expression: Any) -> set[Any]:
    """The scalar symbols, not those that are sizes of matrices only."""
    if isinstance(expression, sp.Symbol):
        return {expression}
    if isinstance(expression, sp.MatrixSymbol | sp.Identity | sp.OneMatrix | sp.ZeroMatrix | Commutation | Duplication):
        return set()
    return {symbol for part in expression.args for symbol in _scalars(part)}


def from_sympy(expression: Any) -> Node:
    """Turn a SymPy expression into a tree, shapes still to be found."""
    match expression:
        case sp.Rational():
            return number(Fraction(int(expression.p), int(expression.q)))
        case sp.Float():
            return number(Fraction(str(expression)))
        case sp.Symbol() | sp.MatrixSymbol():
            return Symbol(expression.name)
        case sp.Add():
            return _sum(expression.as_ordered_terms())
        case sp.MatAdd():
            return _sum(expression.args)
        case sp.Mul() | sp.MatMul():
            return _flat(expression.args)
        case sp.Pow() | sp.MatPow():
            base, exponent = expression.args
            if exponent == sp.S.Half:
                return Call("sqrt", (from_sympy(base),))
            return Power(from_sympy(base), from_sympy(exponent)) if exponent != 1 else from_sympy(base)
        case sp.Transpose():
            return transpose(from_sympy(expression.arg))
        case sp.Trace():
            return _trace(expression.arg)
        case sp.HadamardProduct() | sp.KroneckerProduct():
            name = "had" if isinstance(expression, sp.HadamardProduct) else "kron"
            first, *rest = (from_sympy(argument) for argument in expression.args)
            for argument in rest:
                first = Call(name, (first, argument))
            return first
        case HadamardPower():
            return Call("hadpow", tuple(from_sympy(argument) for argument in expression.args))
        case ElementwiseApplyFunction():
            return _entrywise(expression)
        case sp.Identity():
            return Call("eye", (Extent(_extent(expression.shape[0])),))
        case Commutation() | Duplication():
            name = "commutation" if isinstance(expression, Commutation) else "duplication"
            return Call(name, tuple(Extent(_extent(size)) for size in expression.args))
        case sp.BlockMatrix():
            return _blocks(expression)
        case sp.OneMatrix() | sp.ZeroMatrix():
            return _constant(expression)
    if expression == sp.pi:
        return Call("pi")
    if expression == sp.E:
        return Call("exp", (number(1),))
    for kind, name in _FUNCTIONS:
        if isinstance(expression, kind):
            return Call(name, (from_sympy(expression.args[0]),))
    kind_name = type(expression).__name__
    raise TypeError(f"SymPy's {kind_name} is not in the language that gdiff reads and prints; got {expression}")


def _extent(size: Any) -> int | str:
    return int(size) if size.is_Integer else str(size)


def _sum(terms: Sequence[Any]) -> Node:
    return add([from_sympy(term) for term in terms])


def _flat(factors: Sequence[Any]) -> Node:
    """Make one product: the number, other scalars, what divides, then the matrices."""
    coefficient = Fraction(1)
    scalars, divisors, matrices = list[Node](), list[Node](), list[Node]()
    for factor in factors:
        value, rest = split(from_sympy(factor))
        coefficient *= value
        parts = rest.factors if isinstance(rest, Product) else () if rest is None else (rest,)
        if isinstance(factor, MatrixExpr):
            matrices.extend(parts)
        elif parts and all(isinstance(part, Power) and part.is_inverse for part in parts):
            divisors.extend(parts)
        else:
            scalars.extend(parts)
    return product(coefficient, scalars + divisors + matrices)


def _trace(argument: Any) -> Node:
    if isinstance(argument, sp.MatMul):
        scalars, matrices = argument.as_coeff_matrices()
        if matrices and matrices[0].shape[0] == 1:
            coefficient = from_sympy(scalars)
            ends = [isinstance(end, sp.OneMatrix) for end in (matrices[0], matrices[-1])]
            column = matrices[-1].shape[1] == 1
            if len(matrices) > 1 and ends[0]:
                inner = matrices[1:-1] if ends[1] and len(matrices) > 2 else matrices[1:]
                made: Node = Call("sum", (_flat(inner),))
            elif len(matrices) > 1 and ends[1] and column:
                made = Call("sum", (_flat(matrices[:-1]),))
            else:
                made = _flat(matrices)
            value, rest = split(coefficient)
            return scale(value, made if rest is None else product(1, (rest, made)))
    return Call("tr", (from_sympy(argument),))


def _entrywise(expression: Any) -> Node:
    function, argument = expression.function, from_sympy(expression.expr)
    variable = sp.Dummy()
    body = function(variable)
    if isinstance(body, sp.Pow) and body.base == variable and body.exp != sp.S.Half:
        return Call("hadpow", (argument, from_sympy(body.exp)))
    for name, known in _ENTRYWISE.items():
        if body == known(variable):
            return Call(name, (argument,))
    raise TypeError(f"the entrywise function {function} is not in the language that gdiff reads and prints")


def _blocks(expression: Any) -> Node:
    """Rows of blocks, one below the other."""
    grid = expression.blocks
    rows = [[from_sympy(grid[i, j]) for j in range(grid.cols)] for i in range(grid.rows)]
    bands = [row[0] if len(row) == 1 else Call("cbind", tuple(row)) for row in rows]
    return bands[0] if len(bands) == 1 else Call("rbind", tuple(bands))


def _constant(expression: Any) -> Node:
    name = "ones" if isinstance(expression, sp.OneMatrix) else "zeros"
    rows, columns = expression.shape
    if columns == 1:
        return Call(name, (Extent(_extent(rows)),))
    if rows == 1:
        return transpose(Call(name, (Extent(_extent(columns)),)))
    return Call(name, (Extent(_extent(rows)), Extent(_extent(columns))))
