r"""The rules of the differential, one small function each, beside its source.

A rule takes an operation apart: the differential of `inv(X)` in terms of d(X). `d` stands for the differential of a
part that is not worked out yet; of a part without the variable it is 0. Sources are the equations of Petersen and
Pedersen, *The Matrix Cookbook* (2012); the pseudo-inverse is that of Golub and Pereyra (1973).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from gdiff.derivation.algebra import LINEAR, Algebra
from gdiff.derivation.constants import shaped, zeros
from gdiff.derivation.tree import Call, Node, Number, Power, Product, Sum, number

Differential = Callable[[Node], Node]  # of a part
_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Rule:
    """One rule: its name, where it is printed, what it says in words, which operations it is about, what it does."""

    name: str
    source: str
    words: str
    applies: Callable[[Node], bool]
    apply: Callable[[Node, Algebra, Differential], Node]


def _is(*names: str) -> Callable[[Node], bool]:
    return lambda node: isinstance(node, Call) and node.function in names


def _sum(node: Node, a: Algebra, d: Differential) -> Node:
    """d(X + Y) = dX + dY."""
    assert isinstance(node, Sum)
    return a.add(*(shaped(d(term), node.shape) for term in node.terms))


def _linear(node: Node, a: Algebra, d: Differential) -> Node:
    """d f(X) = f(dX) for a linear f: transpose, trace, sum of entries, diag, vec."""
    assert isinstance(node, Call)
    return a.call(node.function, d(node.arguments[0]))


def _blocks(node: Node, a: Algebra, d: Differential) -> Node:
    """d [X, Y] = [dX, dY]; a block without the variable has the differential 0."""
    assert isinstance(node, Call)
    blocks = []
    for block in node.arguments:
        step = d(block)
        blocks.append(_zeros_like(block) if step == number(0) else step)
    return a.call(node.function, *blocks)


def _zeros_like(block: Node) -> Node:
    """A block of zeros; of blocks for a block of blocks, whose size has no name."""
    if isinstance(block, Call) and block.function in ("cbind", "rbind"):
        return Call(block.function, tuple(map(_zeros_like, block.arguments)), shape=block.shape)
    return zeros(block.shape)


def _product(node: Node, a: Algebra, d: Differential) -> Node:
    """d(X Y Z) = dX Y Z + X dY Z + X Y dZ."""
    assert isinstance(node, Product)
    parts = a.parts(node)
    terms = [a.times(*parts[:i], d(part), *parts[i + 1 :]) for i, part in enumerate(parts)]
    return a.add(*(shaped(term, node.shape) for term in terms))


def _entrywise_product(node: Node, a: Algebra, d: Differential) -> Node:
    """d(X∘Y) = dX∘Y + X∘dY; the Kronecker product likewise."""
    assert isinstance(node, Call)
    x, y = node.arguments
    return a.add(shaped(a.call(node.function, d(x), y), node.shape), shaped(a.call(node.function, x, d(y)), node.shape))


def _inverse(node: Node, a: Algebra, d: Differential) -> Node:
    """d X^-1 = -X^-1 dX X^-1."""
    assert isinstance(node, Power)
    return a.times(-1, node, d(node.base), node)


def _power(node: Node, a: Algebra, d: Differential) -> Node:
    """d X^k = sum_i X^i dX X^(k-1-i); d X^-k = -sum_i X^-(i+1) dX X^-(k-i)."""
    assert isinstance(node, Power)
    assert isinstance(node.exponent, Number)
    k, x = int(node.exponent.value), node.base
    if k > 0:
        return a.add(*(a.times(a.power(x, i), d(x), a.power(x, k - 1 - i)) for i in range(k)))
    return a.times(-1, a.add(*(a.times(a.power(x, -i - 1), d(x), a.power(x, k + i)) for i in range(-k))))


def _pseudo_inverse(node: Node, a: Algebra, d: Differential) -> Node:
    """d X^+ = -X^+ dX X^+ + X^+ X^+' dX' (I - X X^+) + (I - X^+ X) dX' X^+' X^+, at constant rank."""
    assert isinstance(node, Call)
    x, step, turned = node.arguments[0], d(node.arguments[0]), a.t(node)
    left, right = a.left_complement(x), a.right_complement(x)
    return a.add(
        a.times(-1, node, step, node),
        a.times(node, turned, a.t(step), left),
        a.times(right, a.t(step), turned, node),
    )


def _log_determinant(node: Node, a: Algebra, d: Differential) -> Node:
    """d log|X| = tr(X^-1 dX)."""
    x = _of_log(node).arguments[0]
    return a.call("tr", a.times(a.inverse(x), d(x)))


def _determinant(node: Node, a: Algebra, d: Differential) -> Node:
    """d|X| = |X| tr(X^-1 dX)."""
    assert isinstance(node, Call)
    x = node.arguments[0]
    return a.times(node, a.call("tr", a.times(a.inverse(x), d(x))))


def _scalar_power(node: Node, a: Algebra, d: Differential) -> Node:
    """d a^k = k a^(k-1) da, and + a^k log(a) dk where the exponent varies."""
    assert isinstance(node, Power)
    base, k = node.base, node.exponent
    lowered = a.power(base, number(k.value - 1) if isinstance(k, Number) else a.add(k, number(-1)))
    terms = [a.times(k, lowered, d(base))]
    if d(k) != number(0):
        terms.append(a.times(node, a.call("log", base), d(k)))
    return a.add(*terms)


def _log(node: Node, a: Algebra, d: Differential) -> Node:
    """d log a = da/a, and d log|a| = da/a, entry by entry."""
    assert isinstance(node, Call)
    x = _of_log(node)
    if x.is_scalar:
        return a.times(a.inverse(x), d(x))
    return a.call("had", a.call("hadpow", x, number(-1)), d(x))


def _exp(node: Node, a: Algebra, d: Differential) -> Node:
    """d exp(a) = exp(a) da, entry by entry."""
    assert isinstance(node, Call)
    step = d(node.arguments[0])
    return a.times(node, step) if node.is_scalar else a.call("had", node, step)


def _sqrt(node: Node, a: Algebra, d: Differential) -> Node:
    """d sqrt(a) = da/(2 sqrt(a)), entry by entry."""
    assert isinstance(node, Call)
    step = d(node.arguments[0])
    if node.is_scalar:
        return a.times(_HALF, a.inverse(node), step)
    return a.times(_HALF, a.call("had", a.call("hadpow", node, number(-1)), step))


def _abs(node: Node, a: Algebra, d: Differential) -> Node:
    """d|a| = a/|a| da, a not 0, entry by entry."""
    assert isinstance(node, Call)
    x = node.arguments[0]
    if node.is_scalar:
        return a.times(x, a.inverse(node), d(x))
    return a.call("had", a.call("had", node, a.call("hadpow", x, number(-1))), d(x))


def _entrywise_power(node: Node, a: Algebra, d: Differential) -> Node:
    """d X.^k = k X.^(k-1)∘dX."""
    assert isinstance(node, Call)
    x, k = node.arguments
    lowered = a.call("hadpow", x, number(k.value - 1) if isinstance(k, Number) else a.add(k, number(-1)))
    terms = [a.times(k, a.call("had", lowered, d(x)))]
    if d(k) != number(0):
        terms.append(a.times(d(k), a.call("had", node, a.call("log", x))))
    return a.add(*terms)


def _norm(node: Node, a: Algebra, d: Differential) -> Node:
    """d‖X‖ = tr(X' dX)/‖X‖, ‖X‖ not 0: the Frobenius norm, of a vector the Euclidean one."""
    assert isinstance(node, Call)
    x = node.arguments[0]
    return a.times(a.inverse(node), a.call("tr", a.times(a.t(x), d(x))))


def _of_log(node: Node) -> Call:
    """What the logarithm is of; without the bars of an absolute value, which do not change its differential."""
    inner = node.arguments[0]  # type: ignore[attr-defined]
    return inner.arguments[0] if _is("abs")(inner) else inner


def _is_log_determinant(node: Node) -> bool:
    return _is("log")(node) and _is("det")(_of_log(node))


def _is_matrix_power(node: Node) -> bool:
    return isinstance(node, Power) and not node.is_scalar


LINEARITY = (
    Rule("sum", "Cookbook (35)", "A sum is differentiated term by term.", lambda node: isinstance(node, Sum), _sum),
    Rule(
        "linear function",
        "Cookbook (36), (44)",
        "A transpose, a trace, a sum of entries is linear: its differential is that of what is inside.",
        _is(*LINEAR),
        _linear,
    ),
    Rule("blocks", "linearity", "A block matrix is differentiated block by block.", _is("cbind", "rbind"), _blocks),
)
PRODUCT = Rule(
    "product",
    "Cookbook (37)",
    "In a product one factor moves at a time, and the order of the factors is kept.",
    lambda node: isinstance(node, Product),
    _product,
)
OPERATIONS = (
    PRODUCT,
    Rule(
        "Hadamard product",
        "Cookbook (38)",
        "The entrywise product follows the product rule.",
        _is("had"),
        _entrywise_product,
    ),
    Rule(
        "Kronecker product",
        "Cookbook (39)",
        "The Kronecker product follows the product rule.",
        _is("kron"),
        _entrywise_product,
    ),
    Rule(
        "inverse",
        "Cookbook (40)",
        "From X X^-1 = I: the differential of an inverse has the inverse on both sides, and a minus.",
        lambda node: _is_matrix_power(node) and node.is_inverse,  # type: ignore[attr-defined]
        _inverse,
    ),
    Rule("matrix power", "Cookbook (90)", "Each of the k factors moves in turn.", _is_matrix_power, _power),
    Rule(
        "pseudo-inverse",
        "Golub and Pereyra (1973)",
        "Where the rank does not change, the pseudo-inverse has a differential of three terms.",
        _is("pinv"),
        _pseudo_inverse,
    ),
    Rule(
        "log-determinant",
        "Cookbook (43)",
        "log|X| changes by the trace of X^-1 times the change of X.",
        _is_log_determinant,
        _log_determinant,
    ),
    Rule(
        "determinant",
        "Cookbook (42)",
        "A determinant changes by itself times the trace of X^-1 dX.",
        _is("det"),
        _determinant,
    ),
    Rule(
        "power",
        "chain rule",
        "A scalar to the power k changes by k times its power k-1.",
        lambda node: isinstance(node, Power) and node.is_scalar,
        _scalar_power,
    ),
    Rule("logarithm", "chain rule", "A logarithm changes by the change over the value.", _is("log"), _log),
    Rule(
        "exponential",
        "chain rule",
        "An exponential changes by itself times the change of its exponent.",
        _is("exp"),
        _exp,
    ),
    Rule("square root", "chain rule", "A square root changes by the change over twice the root.", _is("sqrt"), _sqrt),
    Rule(
        "absolute value", "chain rule", "An absolute value changes with the sign of what is inside.", _is("abs"), _abs
    ),
    Rule(
        "entrywise power",
        "chain rule",
        "Every entry to the power k changes by k times its power k-1.",
        _is("hadpow"),
        _entrywise_power,
    ),
    Rule(
        "norm", "Cookbook (129)", "A norm changes by the inner product of X and dX, over the norm.", _is("norm"), _norm
    ),
)
