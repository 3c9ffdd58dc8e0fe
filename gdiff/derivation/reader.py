"""Reading expressions: text in, an `Expression` out that knows its shapes, prints, evaluates and turns into SymPy.

Text is never evaluated as code, and text that cannot be read is answered before JAX or SymPy loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from gdiff.derivation.errors import ReadError
from gdiff.derivation.grammar import Syntax, out_of_bounds, read
from gdiff.derivation.printer import shape_text, size_text, to_latex, to_text, to_typeset
from gdiff.derivation.shapes import infer
from gdiff.derivation.tree import (
    SCALAR,
    Node,
    Number,
    Product,
    Shape,
    Sum,
    add,
    number,
    product,
    scale,
    split,
    symbols,
    walk,
)
from gdiff.derivation.vocabulary import ascii_name

if TYPE_CHECKING:
    import jax

# () for a scalar, (n,) for a vector, (m, n) for a matrix; a size is a number or a name.
PublicShape: TypeAlias = tuple[int | str, ...]


@dataclass(frozen=True)
class Expression:
    """An expression that was read.

    Two are equal if they are the same formula, however they were spelled.

    >>> parse("log|Σ| + x^T Σ^{-1} x") == parse("logdet(Sigma) + x' * solve(Sigma, x)")
    False
    >>> parse("log|Σ| + x^T Σ^{-1} x") == parse("logdet(Sigma) + x' * solve(Sigma) * x")
    True
    """

    node: Node
    source: str = field(default="", compare=False)
    all_shapes: Mapping[str, Shape] = field(default_factory=dict, compare=False, repr=False)
    symmetric: frozenset[str] = field(default=frozenset(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    @property
    def text(self) -> str:
        r"""The expression as gdiff prints it, and reads it.

        >>> parse(r"-\frac12 Σ⁻¹ + 0.5 Σ⁻¹ x x^T Σ⁻¹").text
        "-1/2*inv(Sigma) + 1/2*inv(Sigma)*x*x'*inv(Sigma)"
        """
        return to_text(self.node)

    def latex(self) -> str:
        r"""Print as LaTeX, which gdiff reads as well.

        >>> print(parse("logdet(Sigma) + x'*inv(Sigma)*x").latex())
        \log\left|\Sigma\right| + x^\top \Sigma^{-1} x
        """
        return to_latex(self.node)

    def typeset(self) -> str:
        r"""Print as a book has it, to look at: fractions, dX, S_0 for S0.

        >>> print(parse("inv(S)*x/(x'*inv(S)*x)").typeset())
        \frac{S^{-1} x}{x^\top S^{-1} x}
        """
        return to_typeset(self.node)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names in it, in order of appearance."""
        return symbols(self.node)

    @property
    def shape(self) -> PublicShape:
        """The shape of its value."""
        return _public(self.node.shape)

    @property
    def shapes(self) -> dict[str, PublicShape]:
        """The shapes as read, also of the names in texts that were read together with this one.

        >>> parse("y - X*b").shapes
        {'y': ('n',), 'X': ('n', 'p'), 'b': ('p',)}
        """
        return {name: _public(shape) for name, shape in self.all_shapes.items()}

    def describe_shapes(self) -> str:
        """Say the shapes as read in one line.

        >>> parse("logdet(S) + x'*inv(S)*x", symmetric=["S"]).describe_shapes()
        'S: d x d (symmetric), x: d'
        """
        marks = {name: " (symmetric)" for name in self.symmetric}
        return ", ".join(f"{name}: {shape_text(s)}{marks.get(name, '')}" for name, s in self.all_shapes.items())

    @cached_property
    def sympy(self) -> Any:
        """The same as a SymPy expression; the sizes are SymPy symbols or integers."""
        from gdiff.derivation.symbolic import to_sympy  # SymPy loads here, if it is needed at all

        try:
            return to_sympy(self.node)
        except RecursionError:
            raise ValueError("the expression is nested too deeply for SymPy; split it") from None

    def function(self, names: Sequence[str] | None = None) -> Callable[..., jax.Array]:
        """Make a JAX function of arrays, called with the names as keywords, or by position in the order of `names`.

        Every entry of every argument is free, symmetric or not. A vector is `(d,)` or `(d, 1)`; results are `()`,
        `(d,)` or `(m, n)`. Names that do not occur are accepted.

        >>> import numpy as np
        >>> float(parse("x'*inv(S)*x").function()(S=np.diag([1.0, 2.0]), x=np.array([1.0, 2.0])))
        3.0
        """
        from gdiff.derivation.evaluate import function_of  # JAX loads here

        return function_of(self.node, self.all_shapes, names)

    def numpy_function(self, names: Sequence[str] | None = None) -> Callable[..., Any]:
        """Make the same function of NumPy arrays: nothing is compiled, where a few values are all that is wanted.

        >>> float(parse("x'*inv(S)*x").numpy_function()(S=[[1.0, 0.0], [0.0, 2.0]], x=[1.0, 2.0]))
        3.0
        """
        import numpy

        from gdiff.derivation.evaluate import function_of

        return function_of(self.node, self.all_shapes, names, numpy)

    def terms(self) -> tuple[tuple[Fraction, Expression], ...]:
        """Split into additive terms, each with the number in front; a number before a bracket is multiplied out.

        >>> [(str(c), t.text) for c, t in parse("-1/2*(inv(S) - inv(S)*x*x'*inv(S))").terms()]
        [('-1/2', 'inv(S)'), ('1/2', "inv(S)*x*x'*inv(S)")]
        """
        return tuple((coefficient, self._with(node)) for coefficient, node in _terms(Fraction(1), self.node))

    def scalars(self) -> tuple[Expression, ...]:
        """List the parts that are scalars and not numbers, each once, outermost first.

        >>> [part.text for part in parse("nu*log(1 + x'*inv(S)*x/nu)").scalars()]
        ["nu*log(1 + x'*inv(S)*x/nu)", 'nu', "log(1 + x'*inv(S)*x/nu)", ..., "x'*inv(S)*x", '1/nu']
        """
        found = [part for node in walk(self.node) for part in (node, *_runs(node)) if part.is_scalar]
        return tuple(self._with(part) for part in dict.fromkeys(found) if not isinstance(part, Number))

    def combine(self, terms: Iterable[tuple[Fraction | int, str | Expression]]) -> Expression:
        """Build an expression of this one's shape and names from terms with numbers in front.

        >>> parse("inv(S)").combine([(1, "inv(S)"), (Fraction(-1, 2), "had(inv(S), I)")]).text
        'inv(S) - 1/2*had(inv(S), I)'
        """
        made = [scale(Fraction(c), (read(t, self.all_shapes) if isinstance(t, str) else t).node) for c, t in terms]
        node = add(made) if made else number(0)
        if node == number(0) and self.node.shape != SCALAR:
            node = product(0, (self.node,))
        (result,) = _expressions([Syntax("", node)], self.all_shapes, None, self.symmetric, self.node.shape)
        return result

    def _with(self, node: Node) -> Expression:
        return Expression(node, "", self.all_shapes, self.symmetric)


def parse(
    text: str, *, shapes: Mapping[str, Sequence[int | str] | int] | None = None, symmetric: Iterable[str] = ()
) -> Expression:
    """Read an expression from text: what people write in text-books, R, NumPy, MATLAB and LaTeX.

    Shapes go by letter (a to g scalars, h to z vectors, A to Z matrices), unless the expression or `shapes` says
    otherwise: `shapes={"x": (3, 1), "A": ("n", "p"), "m": ()}`. What cannot be read raises ReadError, which points
    at the character.

    >>> parse("2 S⁻¹ - diag(S^-1)").text
    '2*inv(S) - ddiag(inv(S))'
    >>> parse("log(det(S)) + S")
    Traceback (most recent call last):
    ...
    gdiff.derivation.errors.ReadError: ...
    """
    return parse_together([text], shapes=shapes, symmetric=symmetric)[0]


def parse_together(
    texts: Sequence[str],
    *,
    shapes: Mapping[str, Sequence[int | str] | int] | None = None,
    wrt: str | None = None,
    symmetric: Iterable[str] = (),
    differentials: bool = False,
) -> tuple[Expression, ...]:
    """Read texts that share their names, so that what one says of a shape holds in all.

    With `wrt`, the first is an expression to be differentiated and the others are claims about its derivative: it is
    read as a scalar and they in the shape of `wrt` (else that of a Hessian), as far as possible. With `differentials`,
    d is the differential of what follows it: d(S^-1).

    >>> value, claim = parse_together(["n/2*logdet(S)", "n/2*inv(S)"], wrt="S")
    >>> value.shape, claim.shape, claim.shapes
    ((), ('d', 'd'), {'n': (), 'S': ('d', 'd')})
    """
    declared = {ascii_name(name): _private(name, shape) for name, shape in (shapes or {}).items()}
    structured = [ascii_name(name) for name in ([symmetric] if isinstance(symmetric, str) else symmetric)]
    variable = None if wrt is None else ascii_name(wrt)
    words = {*declared, *structured, *((variable,) if variable else ())}
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"got {type(text).__name__}, want text")
    try:
        syntaxes = [read(text, words, differentials=differentials) for text in texts]
        return _expressions(syntaxes, declared, variable, structured)
    except RecursionError:  # the caller has used up the stack: the depth that is read otherwise is bounded
        raise ReadError(texts[0], 0, "the expression is nested too deeply") from None


def from_sympy(expression: Any, *, symmetric: Iterable[str] = ()) -> Expression:
    """Take a SymPy matrix expression, for its text, its LaTeX and its JAX function.

    >>> import sympy as sp
    >>> S, x = sp.MatrixSymbol("S", 3, 3), sp.MatrixSymbol("x", 3, 1)
    >>> from_sympy(sp.log(sp.Determinant(S)) + sp.Trace(x.T * S.inv() * x)).text
    "log(det(S)) + x'*inv(S)*x"
    """
    from gdiff.derivation import symbolic

    declared = symbolic.declared_in(expression)
    syntax = Syntax("", symbolic.from_sympy(expression))
    return _expressions([syntax], declared, None, tuple(symmetric))[0]


def _expressions(
    syntaxes: Sequence[Syntax],
    declared: Mapping[str, Shape],
    wrt: str | None,
    symmetric: Iterable[str],
    expected: Shape | None = None,
) -> tuple[Expression, ...]:
    structured = frozenset(symmetric)
    reading = infer(syntaxes, declared, wrt, sorted(structured), expected)
    for syntax, node in zip(syntaxes, reading.nodes, strict=True):
        for part in walk(node):  # numbers in front of brackets were multiplied
            if isinstance(part, Number) and out_of_bounds(part.value):
                raise ReadError(syntax.text, part.at, "a number is out of bounds", "one between 1e-300 and 1e300")
    shapes = {**reading.shapes, **{n: s for n, s in declared.items() if n not in reading.shapes}}
    pairs = zip(syntaxes, reading.nodes, strict=True)
    return tuple(Expression(node, syntax.text, shapes, structured, reading.notes) for syntax, node in pairs)


def _terms(coefficient: Fraction, node: Node) -> Iterable[tuple[Fraction, Node]]:
    factor, rest = split(node)
    coefficient *= factor
    if rest is None:
        yield coefficient, number(1)
    elif isinstance(rest, Sum):
        for term in rest.terms:
            yield from _terms(coefficient, term)
    else:
        yield coefficient, rest


def _runs(node: Node) -> Iterable[Node]:
    """Scalars within a product: the x'*A*x of `B*(...)`, `x'*A*x*y` and `a*x'*A*x`."""
    if not isinstance(node, Product):
        return
    run: list[Node] = []
    for factor in node.factors:
        if factor.is_scalar:
            continue
        run.append(factor)
        if run[0].shape[0] == 1 and factor.shape[1] == 1:
            yield product(1, tuple(run))
            run = []


def _private(name: str, shape: Sequence[int | str] | int) -> Shape:
    given = (shape,) if isinstance(shape, int | str) else tuple(shape)
    for size in given:
        if isinstance(size, bool) or not isinstance(size, int | str) or (isinstance(size, int) and size < 1):
            raise ValueError(f"the shape of `{name}` has a size {size!r}; want positive integers or names")
    if len(given) > 2:
        raise ValueError(f"the shape of `{name}` is {given}; want at most two sizes, as in (3, 1)")
    rows, columns = (*given, 1, 1)[:2] if given else (1, 1)
    return rows, columns


def _public(shape: Shape) -> PublicShape:
    rows, columns = (size if isinstance(size, int) else size_text(size) for size in shape)
    return () if shape == SCALAR else (rows,) if columns == 1 else (rows, columns)


__all__ = ["Expression", "ReadError", "from_sympy", "parse", "parse_together"]
