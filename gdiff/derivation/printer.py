r"""A tree to text and to LaTeX, in the notation that the reader reads: whatever is printed reads back as the same tree.

The tree must carry shapes: a power -1 prints as `inv(S)` for a matrix and as `1/s` for a scalar.
"""

from __future__ import annotations

import re
from fractions import Fraction

from gdiff.derivation.tree import (
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
)
from gdiff.derivation.vocabulary import GREEK_COMMANDS, differential_of

# How tightly the printed text of a node binds.
_SUM, _PRODUCT, _POWER, _ATOM = range(4)

_DECIMAL_FROM = 1000  # denominators from here on print as decimals, where these are exact


def size_text(size: Size) -> str:
    """Print a size: `3`, `d`, `d*(d+1)/2`."""
    if isinstance(size, tuple):
        parts = [size_text(part) for part in size[1:]]
        if size[0] == "plus":
            return f"({'+'.join(parts)})"
        return f"{parts[0]}*({parts[0]}+1)/2" if size[0] == "triangle" else "*".join(parts)
    return str(size)


def shape_text(shape: Shape) -> str:
    """Print a shape as people say it: `scalar`, `d`, `n x d`."""
    rows, columns = shape
    if columns == 1:
        return "scalar" if rows == 1 else size_text(rows)
    return f"{size_text(rows)} x {size_text(columns)}"


def to_text(node: Node) -> str:
    """Print as plain text: `-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)`."""
    return _Text().print(node)


def to_plain(node: Node) -> str:
    """Print as a person writes: `-1/2 (S^-1 - S^-1 x x' S^-1)`, `log|S|`, `A∘B`."""
    return _Plain().print(node)


def to_latex(node: Node) -> str:
    r"""Print as LaTeX: `-\frac{1}{2} \Sigma^{-1} + \frac{1}{2} \Sigma^{-1} x x^\top \Sigma^{-1}`."""
    return _Latex().print(node)


def to_typeset(node: Node) -> str:
    r"""Print as a book has it, \frac{x x^\top}{c} and \mathrm{d}X: to look at, where `to_latex` is to be read again."""
    return _Typeset().print(node)


def number_text(value: Fraction) -> str:
    """Print a rational exactly: `1/3`, `2`, and `0.0001` where the denominator is long and the decimal ends."""
    two_five = value.denominator
    for prime in (2, 5):
        while two_five % prime == 0:
            two_five //= prime
    if two_five > 1 or value.denominator < _DECIMAL_FROM:
        return str(value)
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    digits = str(abs(value * 10**places).numerator)
    sign = "-" if value < 0 else ""
    text = digits.rjust(places + 1, "0")
    decimal = f"{sign}{text[:-places]}.{text[-places:]}"
    return decimal if len(decimal) < 20 else f"{sign}{digits}e-{places}" if len(digits) < 40 else str(value)


class _Text:
    """What the notations share is here; the others replace the words."""

    times = "*"

    def print(self, node: Node, level: int = _SUM) -> str:
        text, own = self.of(node)
        return text if own >= level else self.brackets(text)

    def brackets(self, text: str) -> str:
        return f"({text})"

    def of(self, node: Node) -> tuple[str, int]:
        match node:
            case Number(value):
                plain = value >= 0 and value.denominator == 1
                return self.number(value), _ATOM if plain else _SUM if value < 0 else _PRODUCT
            case Symbol(name):
                return self.name(name), _ATOM
            case Extent(size):
                return str(size), _ATOM
            case Sum(terms):
                return self.sum(terms), _SUM
            case Product():
                return self.product(node)
            case Power():
                return self.power(node)
            case Call():
                return self.call(node)
        raise TypeError(f"{type(node).__name__} is not a node that prints")

    def sum(self, terms: tuple[Node, ...]) -> str:
        text = ""
        for term in terms:
            printed = self.print(term, _PRODUCT) if isinstance(term, Sum) else self.print(term)
            if not text:
                text = printed
            else:
                text += f" - {printed[1:]}" if printed.startswith("-") else f" + {printed}"
        return text

    def product(self, node: Product) -> tuple[str, int]:
        factors = node.factors[1:] if isinstance(node.factors[0], Number) else node.factors
        text = self.front(node.coefficient, factors[0])
        for index, factor in enumerate(factors):
            text = self.join(text, factor, first=index == 0)
        return text, _SUM if text.startswith("-") else _PRODUCT

    def number(self, value: Fraction) -> str:
        return number_text(value)

    def name(self, name: str) -> str:
        return name

    def front(self, coefficient: Fraction, first: Node) -> str:
        if _is_reciprocal(first):
            return number_text(coefficient)
        if abs(coefficient) == 1:
            return "" if coefficient == 1 else "-"
        return f"{number_text(coefficient)}{self.times}"

    def join(self, text: str, factor: Node, first: bool) -> str:
        if _is_reciprocal(factor):
            assert isinstance(factor, Power)
            return f"{text}/{self.print(factor.base, _POWER)}"
        return text + ("" if first else self.times) + self.print(factor, _POWER)

    def power(self, node: Power) -> tuple[str, int]:
        if node.is_inverse and not node.base.is_scalar:
            return f"inv({self.print(node.base)})", _ATOM
        if node.is_inverse:
            return f"1/{self.print(node.base, _POWER)}", _PRODUCT
        return f"{self.base(node.base)}^{self.exponent(node.exponent)}", _POWER

    def exponent(self, exponent: Node) -> str:
        bare = isinstance(exponent, Symbol) or (isinstance(exponent, Number) and exponent.value.denominator == 1)
        return self.print(exponent) if bare else self.brackets(self.print(exponent))

    def base(self, base: Node) -> str:
        """Print the base of a power: x', S^2 and so on are put in brackets, though x'^2 would do."""
        text, own = self.of(base)
        return text if own >= _ATOM and text != "e" else self.brackets(text)  # e^2 is the exponential

    def call(self, node: Call) -> tuple[str, int]:
        name, arguments = node.function, node.arguments
        if name == "t":
            return f"{self.base(arguments[0])}'", _POWER
        if name == "hadpow":
            return f"{self.base(arguments[0])}.^{self.exponent(arguments[1])}", _POWER
        if name == "eye" and not arguments:
            return "I", _ATOM
        if not arguments:
            return name, _ATOM
        return f"{name}({', '.join(self.print(argument) for argument in arguments)})", _ATOM


class _Plain(_Text):
    times = " "

    def product(self, node: Product) -> tuple[str, int]:
        if len(node.factors) == 2 and node.coefficient == -1 and not _is_reciprocal(node.factors[1]):
            return f"-{self.print(node.factors[1], _PRODUCT)}", _SUM  # -A∘B needs no brackets
        front = node.factors[: isinstance(node.factors[0], Number)]
        first, *others = node.factors[len(front) :]
        if isinstance(first, Product) and first.is_scalar and others and all(map(_is_reciprocal, others)):
            node = Product((*front, *first.factors, *others), shape=node.shape)  # nor does x' x/a
        return super().product(node)

    def power(self, node: Power) -> tuple[str, int]:
        if node.is_inverse and not node.base.is_scalar:
            return f"{self.base(node.base)}^-1", _POWER
        return super().power(node)

    def call(self, node: Call) -> tuple[str, int]:
        name, arguments = node.function, node.arguments
        inner = arguments[0] if arguments else None
        if name == "t" and isinstance(inner, Power) and inner.is_inverse and not inner.base.is_scalar:
            return f"{self.base(inner.base)}^-T", _POWER
        if name in ("had", "kron"):
            sign = "∘" if name == "had" else "⊗"
            second = arguments[1]
            if isinstance(second, Call) and second.function == "hadpow" and second.arguments[1] == Number(Fraction(-1)):
                return f"{self.print(arguments[0], _POWER)}./{self.print(second.arguments[0], _POWER)}", _PRODUCT
            return f"{self.print(arguments[0], _POWER)}{sign}{self.print(arguments[1], _POWER)}", _PRODUCT
        if name == "log" and isinstance(inner, Call) and inner.function == "det":
            bars = self.call(inner)[0]
            return f"log{bars}" if bars.startswith("|") else f"log({bars})", _ATOM
        if name in ("det", "abs", "norm"):
            bar = "‖" if name == "norm" else "|"
            inside = self.print(arguments[0])
            nested = {"|", "‖"} & set(inside)
            return f"{name}({inside})" if nested else f"{bar}{inside}{bar}", _ATOM
        return super().call(node)


class _Latex(_Text):
    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)"

    def number(self, value: Fraction) -> str:
        if value.denominator == 1 or "/" not in number_text(value):
            return number_text(value)
        return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"

    def name(self, name: str) -> str:
        base, _, subscript = name.partition("_")
        shown = rf"\{base}" if base in GREEK_COMMANDS else base if len(base) == 1 else ""
        if not shown or not re.fullmatch("[A-Za-z0-9]*", subscript):
            return rf"\mathrm{{{name}}}".replace("_", r"\_") if name.count("_") > 1 else rf"\mathrm{{{name}}}"
        return f"{shown}_{{{subscript}}}" if subscript else shown

    def front(self, coefficient: Fraction, first: Node) -> str:
        if abs(coefficient) == 1:
            return "" if coefficient == 1 else "-"
        return self.number(coefficient) + (r" \cdot " if self.print(first, _POWER)[0].isdigit() else " ")

    def join(self, text: str, factor: Node, first: bool) -> str:
        printed = self.print(factor, _POWER)
        separator = "" if first else r" \cdot " if printed[0].isdigit() else " "
        return text + separator + printed

    def power(self, node: Power) -> tuple[str, int]:
        if node.is_inverse and node.base.is_scalar:
            return rf"\frac{{1}}{{{self.print(node.base)}}}", _POWER
        return f"{self.base(node.base)}^{{{self.print(node.exponent)}}}", _POWER

    def call(self, node: Call) -> tuple[str, int]:
        name, arguments = node.function, node.arguments
        if name == "t":
            inner = arguments[0]
            if isinstance(inner, Power) and inner.is_inverse and not inner.base.is_scalar:
                return rf"{self.base(inner.base)}^{{-\top}}", _POWER
            return rf"{self.base(inner)}^\top", _POWER
        if name in ("had", "kron"):
            sign = r"\circ" if name == "had" else r"\otimes"
            return f"{self.print(arguments[0], _POWER)} {sign} {self.print(arguments[1], _POWER)}", _SUM
        if name == "hadpow":
            return f"{self.base(arguments[0])}.^{{{self.print(arguments[1])}}}", _POWER
        if name in ("det", "abs"):
            return rf"\left|{self.print(arguments[0])}\right|", _ATOM
        if name == "norm":
            return rf"\left\|{self.print(arguments[0])}\right\|", _ATOM
        if name == "sqrt":
            return rf"\sqrt{{{self.print(arguments[0])}}}", _ATOM
        if name == "pi":
            return r"\pi", _ATOM
        if name == "eye" and not arguments:
            return "I", _ATOM
        if name == "eye" and arguments:
            return f"I_{{{self.print(arguments[0])}}}", _ATOM
        if name == "log" and isinstance(arguments[0], Call) and arguments[0].function == "det":
            return rf"\log{self.print(arguments[0])}", _POWER
        command = rf"\{name}" if name in ("log", "exp") else rf"\operatorname{{{name}}}"
        if not arguments:
            return command, _ATOM
        return command + self.brackets(", ".join(self.print(argument) for argument in arguments)), _ATOM


class _Typeset(_Latex):
    def call(self, node: Call) -> tuple[str, int]:
        """Print a call; a differential that is not worked out yet, and the matrices that have letters."""
        name, arguments = node.function, node.arguments
        if name == "d":
            return rf"\mathrm{{d}}{self.brackets(self.print(arguments[0]))}", _ATOM
        if name in ("commutation", "duplication"):
            letter = "K" if name == "commutation" else "D"
            return f"{letter}_{{{', '.join(map(self.print, arguments))}}}", _ATOM
        if name in ("cbind", "rbind"):
            separator = " & " if name == "cbind" else r" \\ "
            blocks = separator.join(map(self.print, arguments))
            return rf"\begin{{bmatrix}} {blocks} \end{{bmatrix}}", _ATOM
        if name == "pinv":
            return f"{self.base(arguments[0])}^{{+}}", _POWER
        return super().call(node)

    def name(self, name: str) -> str:
        stepped = None if name in GREEK_COMMANDS else differential_of(name)
        if stepped:
            return rf"\mathrm{{d}}{self.name(stepped)}"
        numbered = re.fullmatch(r"([A-Za-z])(\d+)", name)
        return f"{numbered[1]}_{{{numbered[2]}}}" if numbered else super().name(name)

    def product(self, node: Product) -> tuple[str, int]:
        """Print a product; one that ends in the reciprocal of a scalar as a fraction."""
        *front, last = node.factors
        if not _is_reciprocal(last) or any(map(_is_reciprocal, front)):
            return super().product(node)
        assert isinstance(last, Power)
        above = front[0] if len(front) == 1 else Product(tuple(front))
        text = self.print(above)
        sign = "-" if text.startswith("-") else ""
        return rf"{sign}\frac{{{text[len(sign) :]}}}{{{self.print(last.base)}}}", _SUM if sign else _PRODUCT


def _is_reciprocal(node: Node) -> bool:
    return isinstance(node, Power) and node.is_inverse and node.base.is_scalar
