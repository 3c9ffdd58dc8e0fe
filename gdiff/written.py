"""Claims from text: an expression and what its derivative is said to be, in the notation that `gdiff check` reads."""

from collections.abc import Mapping, Sequence

from gdiff.claim import Argument, Claim, Hypothesis, Kind, Source, Standing
from gdiff.derivation import Expression, parse_together
from gdiff.derivation.printer import to_typeset
from gdiff.derivation.tree import Call, Power, Symbol
from gdiff.domains import Domain, default_domain
from gdiff.symmetric.coordinates import check_convention

_OPERATOR = {"gradient": r"\frac{{\partial}}{{\partial {0}}}", "jacobian": r"\frac{{\partial}}{{\partial {0}^\top}}"}
_ONE_WORD = {"t", "tr", "det", "log", "vec"}  # what a d before it is not read as a part of
_OF = {
    "gradient": "gradient of {0} in {1}",
    "hessian": "Hessian of {0} in {1}",
    "jacobian": "Jacobian of {0} in {1}",
    "differential": "differential of {0}",
    "value": "{0} = {2}",
}


def identity(
    name: str,
    expression: str,
    claim: str,
    wrt: str | Sequence[str] = (),
    *,
    kind: Kind = "gradient",
    source: Source | str = "",
    title: str = "",
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    domains: Mapping[str, Domain] | None = None,
    convention: str | None = None,
    hypotheses: Sequence[str] = (),
    holds_if: Mapping[str, Mapping[str, Domain | Sequence[int | str] | Argument]] | None = None,
    fails_unless: Mapping[str, Mapping[str, Domain | Sequence[int | str] | Argument]] | None = None,
    expected: Standing = "holds",
    instead: str = "",
    note: str = "",
    dimensions: Sequence[int] = (),
) -> Claim:
    r"""An identity written as text: `claim` is the derivative of `expression` with respect to `wrt`.

    `shapes` and `domains` say what the names are, where their letters do not: by default a to g are scalars, h to z
    vectors, A to Z matrices, and every entry is free. A "differential" has `dX` for the step in X, a "value" no `wrt`.
    `holds_if` and `fails_unless` are hypotheses left unsaid, each with the domains or shapes that decide it (or
    both, as an argument), as in `gdiff.claim.Claim`; a plain text is a `source` with no equation number.

    >>> from gdiff.domains import Symmetric
    >>> identity("ridge", "(y - X*b)'*(y - X*b) + c*b'*b", "2*c*b - 2*X'*(y - X*b)", "b").title
    "gradient of (y - X*b)'*(y - X*b) + c*b'*b in b"
    >>> identity("form", "x'*W*x", "2*W*x", "x", domains={"W": Symmetric()}, hypotheses=["W symmetric"]).statement
    '\\frac{\\partial}{\\partial x} x^\\top W x = 2 W x'

    Raises ReadError, which points at the character, for text that cannot be read.
    """
    variables = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    spaces = dict(domains or {})
    symmetric = [n for n, d in spaces.items() if d.is_symmetric]
    reads_as_gradient = kind in ("gradient", "hessian") and len(variables) == 1
    f, derivative = parse_together(
        [expression, claim], shapes=shapes, wrt=variables[0] if reads_as_gradient else None, symmetric=symmetric
    )
    steps = [f"d{v}" for v in variables] if kind == "differential" else []
    read = {*f.symbols, *derivative.symbols}
    names = [n for n in f.all_shapes if n in read and n not in steps]
    unknown = [v for v in (*variables, *spaces) if v not in names]
    if unknown:
        raise ValueError(f"{name}: {', '.join(unknown)} is not in the texts; they have {', '.join(names)}.")
    arguments = {n: _argument(f, n, spaces.get(n)) for n in names}
    if convention is not None and symmetric:
        check_convention(convention)
    return Claim(
        name=name,
        title=title or _OF[kind].format(f.text, " and ".join(variables), derivative.text),
        statement=_statement(kind, f, derivative, variables, convention),
        function=f.function(names),
        derivative=derivative.function([*names, *steps]),
        arguments=tuple(arguments.values()),
        wrt=tuple(names.index(v) for v in variables),
        source=Source(source, source) if isinstance(source, str) else source,
        kind=kind,
        convention=convention,
        hypotheses=tuple(hypotheses),
        holds_if=_hypotheses(arguments, holds_if),
        fails_unless=_hypotheses(arguments, fails_unless),
        expected=expected,
        instead=instead,
        note=note,
        text=(f.text, derivative.text),
        dimensions=tuple(dimensions),
    )


def _argument(f: Expression, name: str, domain: Domain | None) -> Argument:
    shape = f.shapes[name]
    return Argument(name, domain or default_domain(tuple(1 for _ in shape)), shape)


def _hypotheses(
    arguments: Mapping[str, Argument], said: Mapping[str, Mapping[str, Domain | Sequence[int | str] | Argument]] | None
) -> tuple[Hypothesis, ...]:
    out = []
    for text, changes in (said or {}).items():
        changed = []
        for name, change in changes.items():
            own = arguments[name]
            if isinstance(change, Argument):
                changed.append(change)
            elif isinstance(change, Domain):
                changed.append(Argument(name, change, own.shape))
            else:
                changed.append(Argument(name, own.domain, tuple(change)))
        out.append(Hypothesis(text, tuple(changed)))
    return tuple(out)


def _statement(
    kind: Kind, f: Expression, derivative: Expression, variables: Sequence[str], convention: str | None
) -> str:
    """The claim in LaTeX."""
    left, right = f.typeset(), derivative.typeset()
    if kind == "value":
        return f"{left} = {right}"
    if kind == "differential":
        alone = isinstance(f.node, Symbol | Power) or (isinstance(f.node, Call) and f.node.function in _ONE_WORD)
        return rf"\mathrm{{d}} {left} = {right}" if alone else rf"\mathrm{{d}} \left({left}\right) = {right}"
    bracketed = left if len(f.terms()) == 1 and not left.startswith("-") else rf"\left[{left}\right]"
    (variable,) = variables
    symbol = to_typeset(Symbol(variable))
    if kind == "hessian":
        return rf"\nabla^2_{{{symbol}}} {bracketed} = {right}"
    if convention == "full":
        return rf"\nabla_{{{symbol}}} {bracketed} = {right}"
    return rf"{_OPERATOR[kind].format(symbol)} {bracketed} = {right}"
