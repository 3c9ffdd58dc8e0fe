"""Tokens to a syntax tree.

The parser is written by hand, by precedence, and needs no library: `|` both opens and closes, `'` is postfix,
juxtaposition is a product, `tr` may go without brackets; and a message must point at the character, say what was
expected, and come before anything heavy is imported. A grammar file for a parser generator gives none of these for
free, and the whole grammar is this:

    sum      = product (("+" | "-") product)*
    product  = sign* operand ((`*` | "/" | "∘" | "⊗" | nothing) sign* operand)*     from left to right: a/b c = (a/b) c
    operand  = atom ("'" | "^" exponent)*                                           -x^2 = -(x^2), S^-1' = (S^-1)'
    exponent = sign* atom ["^" exponent]                                            S^-1/2 = (S^-1)/2, a^b^c = a^(b^c)
    atom     = number | name | "(" sum ")" | "|" sum "|" | function "(" sum, ... ")" | function operand

A∘B C is read by some as (A∘B) C and by others as A∘(B C): it is refused, unless C is a scalar; A B∘C is (A B)∘C.
The same holds for `tr A B`: brackets are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NoReturn, TypeGuard

from gdiff.derivation.cursor import CLOSERS, Cursor
from gdiff.derivation.errors import did_you_mean
from gdiff.derivation.tokens import Token, tokenize
from gdiff.derivation.tree import (
    Call,
    Extent,
    Node,
    Number,
    Operator,
    Power,
    Product,
    Symbol,
    add,
    at,
    depth,
    inverse,
    number,
    product,
    scale,
    transpose,
)
from gdiff.derivation.vocabulary import CONSTANTS, FUNCTIONS, GREEK_WORDS, SIZED, identity_size, is_word

MAX_DEPTH = 100
MAX_EXPONENT = 64
MAX_NAME = 40  # of a name in a message
MAX_BITS = 1000  # of a number: 1e300, so that it is a float

_PRODUCTS = frozenset({"*", "/", ".*", "./", "kron"})
_BARS = {"|": "bars", "|(": "bars", "‖": "norm", "‖(": "norm", "||": "norm"}
_OPERAND = "a name, a number, a function or an opening bracket"

# Functions that are only another way to write something.
_MEANINGS: dict[str, Callable[..., Node]] = {
    "t": transpose,
    "inv": inverse,
    "solve": lambda a, b=None: inverse(a) if b is None else product(1, (inverse(a), b)),
    "logdet": lambda a: Call("log", (Call("det", (a,)),)),
    "outer": lambda x, y=None: product(1, (x, transpose(x if y is None else y))),
    "dot": lambda x, y: product(1, (transpose(x), y)),
    "crossprod": lambda x, y=None: product(1, (transpose(x), x if y is None else y)),
    "sym": lambda a: product(Fraction(1, 2), (add((a, transpose(a))),)),
}


@dataclass(frozen=True)
class Syntax:
    """What was read: the text, its tree, and remarks on how ambiguous notation was taken."""

    text: str
    node: Node
    notes: tuple[str, ...] = ()


def out_of_bounds(value: Fraction) -> bool:
    """Whether a number, or its reciprocal, is too long to be a float."""
    return max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS


def read(text: str, declared: Collection[str] = (), *, differentials: bool = False) -> Syntax:
    """Read a text into a tree; `declared` names are single names whatever they look like.

    With `differentials`, d is the differential of what follows: d(S^-1), d log|S|.

    >>> read("2x' S^-1").node == read("2 * t(x) * inv(S)").node
    True
    """
    parser = _Parser(text, declared, differentials)
    node = parser.whole()
    return Syntax(text, node, tuple(dict.fromkeys(parser.notes)))


class _Parser(Cursor):
    def __init__(self, text: str, declared: Collection[str], differentials: bool) -> None:
        super().__init__(text, tokenize(text, declared))
        self.declared, self.differentials = declared, differentials
        self.level = 0
        self.notes: list[str] = []

    # --- the grammar, from the loosest operator to the tightest ---------------------------------------------------

    def whole(self) -> Node:
        if self.token.kind == "end":
            self.refuse("the text is empty", "an expression", "For example: log(det(S)) + x'*inv(S)*x")
        node = self.sum()
        if self.token.kind in (")", "]", "}", ")|", ")‖"):
            self.refuse(f"`{self.token.text}` closes a bracket that was not opened", "an operator or the end")
        if self.token.kind == ",":
            self.refuse("a comma outside a function", "an operator or the end", "Give one expression at a time.")
        if self.token.kind != "end":
            self.refuse(self.got(), "an operator or the end")
        if depth(node) > MAX_DEPTH:
            self.refuse("the expression is nested too deeply", f"at most {MAX_DEPTH} levels", at=0)
        return node

    def sum(self) -> Node:
        start = self.token.at
        terms, operators = [self.product()], [Operator()]
        while self.token.kind in ("+", "-"):
            sign = self.advance()
            operators.append(Operator(sign.text, sign.at))
            term = self.product()
            terms.append(term if sign.kind == "+" else scale(-1, term))
        return add(terms, operators, start)

    def product(self) -> Node:
        start = self.token.at
        coefficient, factors, operators = Fraction(1), list[Node](), list[Operator]()
        kind, operator = "*", Operator("", start)
        divided = ""  # the denominator just read, for the remark on a/b c
        while True:
            coefficient *= self.sign()
            first = self.token
            node = self.operand()
            if kind == "kron" and len(factors) > 1:
                advice = "Write (A*B)⊗C or A*(B⊗C)."
                self.refuse("a product and then `⊗` can be read in two ways", "brackets", advice, operator.at)
            if kind in ("/", "./") and node == number(0):
                self.refuse("division by zero", at=first.at)
            if isinstance(node, Number):
                coefficient = coefficient / node.value if kind in ("/", "./") else coefficient * node.value
                self.bounded(coefficient, first.at)
            elif kind == "/":
                factors.append(inverse(node, operator.at))
                operators.append(operator)
            elif kind == "*" and first.kind == "frac" and _is_flat_fraction(node):
                factors.extend(rest := node.factors[isinstance(node.factors[0], Number) :])
                operators.extend(Operator(operator.spelling, operator.at) for _ in rest)
                coefficient *= node.coefficient
            elif kind == "*" or not factors:
                node = Call("hadpow", (node, number(-1)), at=operator.at) if kind == "./" else node
                factors.append(node)
                operators.append(operator)
            else:
                right = Call("hadpow", (node, number(-1)), at=operator.at) if kind == "./" else node
                left = product(1, factors, operators, start)
                made = Call("kron" if kind == "kron" else "had", (left, right), at=operator.at, bare=True)
                factors, operators = [made], [Operator("", start)]
            divided = self.text[first.at : self.token.at].strip() if kind == "/" else ""
            if self.token.kind in _PRODUCTS:
                kind, operator = self.token.kind, Operator(self.token.text, self.token.at)
                self.index += 1
            elif self.starts_operand():
                if self.token.kind == "number":
                    self.refuse(f"the number {self.token.text} directly after an operand", "an operator", "Write `*`.")
                if divided and (not isinstance(node, Number) or not self.token.spaced) and self.token.kind == "name":
                    pair = f"/{divided} {self.token.text}"
                    self.notes.append(f"`{pair}` is read from left to right: only {divided} divides")
                kind, operator = "*", Operator("", self.token.at)
            else:
                return product(coefficient, factors, operators, start)

    def sign(self) -> int:
        sign = 1
        while self.token.kind in ("+", "-"):
            sign = -sign if self.advance().kind == "-" else sign
        return sign

    def operand(self) -> Node:
        self.level += 1
        if self.level > MAX_DEPTH:
            self.refuse("the expression is nested too deeply", f"at most {MAX_DEPTH} levels")
        first = self.token
        node = self.atom()
        while True:
            token = self.token
            if token.kind in ("'", "top"):
                node = self.transpose(node, self.advance().at)
            elif token.kind == "superscript":
                node = self.superscript(node)
            elif token.kind == "^":
                self.index += 1
                node = self.transposed(node) or self.raised(node, token.at, bare=first.kind == "name")
            elif token.kind == ".^":
                self.index += 1
                node = Call("hadpow", (node, self.exponent()), at=token.at)
            else:
                self.level -= 1
                return node

    def transposed(self, base: Node) -> Node | None:
        r"""Read ^T, ^\top, ^{\top}, ^{-T} ... if that is what stands here."""
        start = self.index
        braced = self.token.kind == "{"
        self.index += braced
        inverted = self.token.kind == "-"
        self.index += inverted
        mark = self.token
        if mark.kind in ("'", "top") or (mark.kind == "name" and mark.text == "T"):
            self.index += 1
            if not braced or self.token.kind == "}":
                self.index += braced
                return self.transpose(inverse(base, mark.at) if inverted else base, mark.at)
        self.index = start
        return None

    def transpose(self, base: Node, at: int) -> Node:
        """Transpose; 1' is the row of ones, as in 1'x, and other numbers have no transpose."""
        if isinstance(base, Number):
            if base.value != 1:
                self.refuse("the transpose of a number", "a vector or a matrix before it", at=at)
            base = Call("ones", at=base.at)
        return transpose(base, at)

    def superscript(self, base: Node) -> Node:
        token = self.advance()
        if token.text.endswith("T"):
            return self.transpose(inverse(base, token.at) if token.text == "-T" else base, token.at)
        return self.power(base, number(int(token.text), token.at), token.at)

    def raised(self, base: Node, at: int, bare: bool) -> Node:
        """Read the exponent; (e)^2 is the square of a name."""
        exponent = self.exponent()
        if bare and base == Symbol("e") and "e" not in self.declared:
            self.notes.append("`e^` is read as the exponential function")
            return Call("exp", (exponent,), at=base.at)
        return self.power(base, exponent, at)

    def exponent(self) -> Node:
        self.level += 1
        if self.level > MAX_DEPTH:
            self.refuse("the expression is nested too deeply", f"at most {MAX_DEPTH} levels")
        sign = self.sign()
        node = self.atom()
        if self.token.kind == "^":
            at = self.advance().at
            node = self.power(node, self.exponent(), at)
        self.level -= 1
        return scale(sign, node)

    def power(self, base: Node, exponent: Node, at: int) -> Node:
        if isinstance(exponent, Number):
            value = exponent.value
            if abs(value) > MAX_EXPONENT:
                problem = "this exponent is out of bounds"
                self.refuse(problem, f"one between -{MAX_EXPONENT} and {MAX_EXPONENT}", at=exponent.at)
            if value == 1:
                return base
            if isinstance(base, Number) and value.denominator == 1:
                if base.value == 0 and value < 0:
                    self.refuse("division by zero", at=base.at)
                return number(self.bounded(base.value ** int(value), at), base.at)
        return Power(base, exponent, at=at)

    def bounded(self, value: Fraction, at: int) -> Fraction:
        if out_of_bounds(value):
            self.refuse("this number is out of bounds", "one between 1e-300 and 1e300", at=at)
        return value

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.index += 1
            return number(self.bounded(Fraction(token.text), token.at), token.at)
        if token.kind == "name":
            return self.name()
        if token.kind == "frac":
            self.index += 1
            above, below = self.fraction_argument(), self.fraction_argument()
            if below == number(0):
                self.refuse("division by zero", at=below.at)
            if isinstance(below, Number):
                return scale(1 / below.value, above)
            return inverse(below, token.at) if above == number(1) else product(1, (above, inverse(below)), (), token.at)
        if token.kind in ("(", "[", "{"):
            following = self.ahead(1).kind, self.ahead(2).kind
            if token.kind == "[" and following in (("number", "]"), ("number", ",")) and not token.spaced:
                self.refuse("entries and lists are not read", _OPERAND, "Brackets [ ] only group, as ( ) do.")
            return self.bracketed(token.kind)
        if token.kind in _BARS and not self.closes():
            kind = "||" if self.double_bar() else token.kind
            return Call(_BARS[kind], (self.bracketed(kind),), at=token.at)
        if token.kind == "'":
            self.refuse("a transpose with nothing before it", _OPERAND, "A transpose follows its operand: x'.")
        if token.kind in _PRODUCTS | {"^", ".^"}:
            self.refuse(f"`{token.text}` with nothing before it", _OPERAND)
        if token.kind == "superscript":
            self.refuse("a superscript with nothing before it", _OPERAND)
        return self.refuse(self.got(), _OPERAND)

    def fraction_argument(self) -> Node:
        r"""Read what \frac takes: a group in braces or one character, so that \frac12 is a half."""
        token = self.token
        if token.kind == "number" and len(token.text) > 1 and token.text[0].isdigit() and token.text[1].isdigit():
            self.tokens[self.index] = Token("number", token.text[1:], token.at + 1)
            return number(int(token.text[0]), token.at)
        if token.kind not in ("{", "number", "name"):
            self.refuse(self.got(), r"an argument of \frac in braces")
        return self.atom()

    def bracketed(self, kind: str) -> Node:
        opening = self.open(kind)
        node = self.sum()
        if self.token.kind == "," and kind == "[":
            self.refuse("entries and lists are not read", "`]`", "Brackets [ ] only group, as ( ) do.")
        self.close(opening, kind)
        return replace(node, bare=False) if isinstance(node, Call) else node

    # --- names and functions --------------------------------------------------------------------------------------

    def name(self) -> Node:
        token = self.advance()
        name, following = token.text, self.token
        called = following.kind == "(" and not following.spaced
        if name == "d" and self.differentials and (following.kind == "(" or self.starts_operand()):
            inner = self.bracketed("(") if following.kind == "(" else self.bare_argument(token)
            return Call("d", (inner,), at=token.at)
        if name in FUNCTIONS and not (name in self.declared and not called) and (name != "t" or called):
            return self.function(token)
        if name in self.declared:
            return Symbol(name, at=token.at)
        if name in CONSTANTS:
            return Call(name, at=token.at)
        size = identity_size(name)
        if size is not None:
            extents = (Extent(int(size) if size.isdigit() else size, at=token.at),) if size else ()
            return Call("eye", extents, at=token.at)
        if not is_word(name):
            self.unknown(token, called)
        if called and self.ahead(1).kind == "name" and self.ahead(2).kind == ")":
            inside = self.ahead(1).text
            advice = f"If it is a product, write {name}*{inside}; if it is a function, write out what it does."
            self.refuse(f"`{name}({inside})` is not a function that is known here", "an operator", advice, token.at)
        return Symbol(name, at=token.at)

    def unknown(self, token: Token, called: bool) -> NoReturn:
        name = token.text if len(token.text) <= MAX_NAME else token.text[:MAX_NAME] + "…"
        if called:
            advice = did_you_mean(name, FUNCTIONS) or "Known: " + ", ".join(sorted(w for w in FUNCTIONS if len(w) > 1))
            self.refuse(f"unknown function `{name}`", "a function that is known here", advice, token.at)
        advice = did_you_mean(name, (*FUNCTIONS, *GREEK_WORDS)) if len(name) > 3 else ""
        if not advice and len(name) <= 4 and name.isalpha():
            apart = "*".join(name)
            advice = f"Letters written together are one name: write `{apart}`, or declare the shape of `{name}`."
        advice = advice or f"If it is a name, declare its shape: --shape {name}=3,3 (in Python, shapes={{...}})."
        self.refuse(f"unknown name `{name}`", "a letter, a Greek letter or a function", advice, token.at)

    def function(self, token: Token) -> Node:
        meaning, fewest, most = FUNCTIONS[token.text]
        following = self.token
        if following.kind == "[" and meaning == "sqrt":
            self.refuse("roots of other orders are not read", "`(`", "Write x^(1/3).")
        if following.kind in ("(", "[", "{"):
            arguments = self.arguments()
        elif fewest == 0:
            arguments = []
        else:
            arguments = [self.bare_argument(token)]
        if not fewest <= len(arguments) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            given = len(arguments)
            self.refuse(f"`{token.text}` with {given} arguments", f"{wanted}", at=token.at)
        if meaning in ("inv", "solve") and arguments[0] == number(0):
            self.refuse("division by zero", at=arguments[0].at)
        if meaning in SIZED:
            return Call(meaning, tuple(self.extent(a) for a in arguments), at=token.at)
        if meaning in _MEANINGS:
            return at(_MEANINGS[meaning](*arguments), token.at)
        return Call(meaning, tuple(arguments), at=token.at)

    def arguments(self) -> list[Node]:
        kind = self.token.kind
        opening = self.open(kind)
        if self.token.kind == CLOSERS[kind]:
            self.close(opening, kind)
            return []
        arguments = [self.sum()]
        while self.token.kind == ",":
            self.index += 1
            arguments.append(self.sum())
        self.close(opening, kind)
        return arguments

    def bare_argument(self, function: Token) -> Node:
        r"""Read log|S|, log det S, \det\Sigma: one operand, and nothing that might belong to it."""
        first = self.token
        if not self.starts_operand():
            self.refuse(self.got(), f"the argument of `{function.text}`, in brackets")
        argument = self.operand()
        delimited = first.kind in _BARS or first.text in FUNCTIONS
        if not delimited and (self.token.kind in _PRODUCTS or self.starts_operand()):
            problem = f"where the argument of `{function.text}` ends can be read in two ways"
            self.refuse(problem, f"brackets: {function.text}(...)", at=first.at)
        return argument

    def extent(self, node: Node) -> Extent:
        if isinstance(node, Number) and node.value.denominator == 1 and 0 < node.value < 10**6:
            return Extent(int(node.value), at=node.at)
        if isinstance(node, Symbol):
            return Extent(node.name, at=node.at)
        return self.refuse("this is not a size", "a positive integer or the name of a dimension", at=node.at)


def _is_flat_fraction(node: Node) -> TypeGuard[Product]:
    r"""Whether \frac{n}{2 s} can join the product around it: with one factor above, no order of products changes."""
    if not isinstance(node, Product):
        return False
    above = [f for f in node.factors if not isinstance(f, Number) and not (isinstance(f, Power) and f.is_inverse)]
    return len(above) <= 1
