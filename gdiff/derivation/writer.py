"""A plan to lines of code: what has a name, what is written in place, and the operators that languages share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, count
from textwrap import fill

from gdiff.derivation.printer import shape_text
from gdiff.derivation.steps import Plan, Step, Value
from gdiff.derivation.tree import Size

# How tightly a piece of code binds.
SUM, PRODUCT, MATMUL, POWER, ATOM = range(5)

_LONGEST = 60  # code that is written in place, characters
_WIDEST = 90  # a line of code
_LARGEST = 1000  # numerator or denominator that is written as one
_NAMED = frozenset({"cholesky", "lu", "solve", "inverse"})  # a step gets a name if its own has one of these words
_POOLS = ("qrsabcefghk", "uvwzgh", "MNPQWHKUV")  # names for scalars, vectors and matrices


class Writer(ABC):
    """Writes one function. Steps become expressions; those that are dear, shared or long are assigned to names."""

    power_sign: str
    assign: str
    reserved: frozenset[str]
    repeating: frozenset[str] = frozenset()  # operations whose operand is written twice
    helpers: dict[str, str]

    def __init__(self, plan: Plan, name: str) -> None:
        if not name.isidentifier():
            raise ValueError(f"got {name!r} as the name of the function; want letters, digits and underscores")
        self.plan = plan
        self.uses = plan.uses()
        self.repeated = {s.operands[0] for s in plan.steps if s.operation in self.repeating}
        self.taken = {name, *self.reserved, *self.helpers}
        self.arguments = {argument: self.fresh([argument]) for argument in plan.arguments}
        self.sizes: dict[str, str] = {}  # dimension -> its name in the code
        self.lines: list[str] = []
        self.written: list[tuple[str, int]] = []  # the expression of each step, and how tightly it binds

    def body(self) -> list[str]:
        """The lines up to the result, and the result."""
        for place, step in enumerate(self.plan.steps):
            text, level = self.of(step)
            if place != self.plan.result and self.has_name(place, step, text):
                name = self.name(step)
                self.lines.append(f"{name} {self.assign} {broken(text)}")
                text, level = name, ATOM
            self.written.append((text, level))
        sizes = [f"{name} {self.assign} {self.measured(size)}" for size, name in self.sizes.items()]
        return [*sizes, *self.lines, broken(self.written[-1][0])]

    def has_name(self, place: Value, step: Step, text: str) -> bool:
        """Whether a step gets a line of its own."""
        if text.isidentifier() or step.operation in ("number", "pi", "transpose", "row", "column"):
            return False
        if step.operation in ("symmetrize", "tril"):
            return True
        dear = not _NAMED.isdisjoint(step.operation.split("_")) and step.rank > 0
        return dear or self.uses[place] > 1 or place in self.repeated or len(text) > _LONGEST

    def name(self, step: Step) -> str:
        """A name that says what a step is: inv_S, L_S, u."""
        first = step.operands[0] if step.operands else None
        if step.operation in ("symmetrize", "tril") and first is not None:
            only = self.uses[first] == 1 and self.plan.steps[first].operation == "argument"
            if only:  # the argument itself is not needed any more
                return self.written[first][0]
        prefix = self.prefix(step)
        if prefix is not None and first is not None:
            while self.plan.steps[first].operation in ("cholesky", "lu"):
                first = self.plan.steps[first].operands[0]
            base = self.written[first][0]
            return self.fresh([f"{prefix}_{base}" if base.isidentifier() else prefix])
        return self.fresh(_POOLS[step.rank])

    def prefix(self, step: Step) -> str | None:
        """How the name of a factor or an inverse begins."""
        if step.operation.endswith("inverse"):
            return "inv"
        return {"cholesky": "L", "lu": "lu"}.get(step.operation)

    def fresh(self, wanted: Iterable[str]) -> str:
        """The first of the names that is free; with a number behind it, or `_` where the language has it taken."""
        names = list(wanted)
        for name in chain(names, (f"{n}_" for n in names if n in self.reserved), _numbered(names[0])):
            if name not in self.taken:
                self.taken.add(name)
                return name
        raise AssertionError("numbers do not end")

    # --- sizes ------------------------------------------------------------------------------------------------------

    def size(self, size: Size) -> str:
        """A size in code; a dimension gets a line that measures it."""
        match size:
            case int():
                return str(size)
            case str():
                if size not in self.sizes:
                    self.sizes[size] = self.fresh([size])
                return self.sizes[size]
            case ("triangle", d):
                return self.triangle(self.size(d))
            case ("plus", *parts):
                return f"({' + '.join(map(self.size, parts))})"
        return " * ".join(map(self.size, size[1:]))

    def measured(self, size: str) -> str:
        """How a dimension is found out from an argument."""
        for argument, name in self.arguments.items():
            shape = self.plan.shapes[argument]
            if size in shape:
                return self.extent(
                    name, len(shape) if 1 not in shape else 1, shape.index(size) if 1 not in shape else 0
                )
        raise ValueError(f"no argument has the dimension {size}, so its size is unknown; declare it by a shape")

    def described(self) -> str:
        """The shapes of the arguments and of the result, in words."""
        given = [
            f"{written}: {shape_text(self.plan.shapes[argument])}{self._marked(argument)}"
            for argument, written in self.arguments.items()
        ]
        returned = f"Returns: {shape_text(self.plan.shape)}."
        return fill(f"{', '.join(given)}. {returned}" if given else returned, _WIDEST)

    def _marked(self, argument: str) -> str:
        structure = self.plan.structure.get(argument, "general")
        return "" if structure == "general" else f" ({structure.replace('_', ' ')})"

    # --- expressions ------------------------------------------------------------------------------------------------

    def ref(self, value: Value, level: int = SUM) -> str:
        """An operand, in brackets where it binds too loosely."""
        text, own = self.written[value]
        return text if own >= level else f"({text})"

    def of(self, step: Step) -> tuple[str, int]:
        """The expression of a step."""
        a, b = (*step.operands, None, None)[:2]
        match step.operation:
            case "argument":
                return self.arguments[step.detail[0]], ATOM
            case "number":
                return number_code(step.detail[0])
            case "size":
                return self.size(step.detail[0]), ATOM if isinstance(step.detail[0], str) else PRODUCT
            case "linear":
                return self.linear(step)
            case "symmetrize" if a is not None:
                return f"{self.ref(a, PRODUCT)} / 2 + {self.transposed(a)} / 2", SUM
            case "transpose" if a is not None:
                return self.transposed(a), ATOM
            case "times" | "divide" if a is not None and b is not None:
                sign = "*" if step.operation == "times" else "/"
                return f"{self.ref(a, PRODUCT)} {sign} {self.ref(b, POWER)}", PRODUCT
            case "power" if a is not None:
                exponent = number_code(step.detail[0]) if step.detail else self.written[step.operands[1]]
                text, level = exponent
                return f"{self.ref(a, ATOM)}{self.power_sign}{text if level == ATOM else f'({text})'}", POWER
        return self.call(step)

    def linear(self, step: Step) -> tuple[str, int]:
        """A sum, what is subtracted last."""
        terms = sorted(zip(step.detail, step.operands, strict=True), key=lambda term: term[0] < 0)
        if len(terms) == 1 and terms[0][0] > 0:
            return self.term(*terms[0]), PRODUCT
        text = ""
        for c, value in terms:
            sign = "-" if c < 0 else "+"
            front = f" {sign} " if text else "-" if c < 0 else ""
            text += front + self.term(abs(c), value)
        return text, SUM

    def term(self, c: Fraction, value: Value) -> str:
        """C times a value, c > 0."""
        if self.plan.steps[value].operation == "number":
            return number_code(c * self.plan.steps[value].detail[0])[0]
        if c == 1:
            return self.ref(value, PRODUCT)
        if max(c.numerator, c.denominator) > _LARGEST:
            return f"{float(c)!r} * {self.ref(value, POWER)}"
        if c.numerator == 1:
            return f"{self.ref(value, PRODUCT)} / {c.denominator}"
        over = "" if c.denominator == 1 else f" / {c.denominator}"
        return f"{c.numerator} * {self.ref(value, POWER)}{over}"

    def used_helpers(self, code: Iterable[str]) -> list[str]:
        """The helpers that code calls, and those that these call, in their order."""
        found, waiting = set[str](), list(code)
        while waiting:
            text = waiting.pop()
            new = [name for name in self.helpers if f"{name}(" in text and name not in found]
            found.update(new)
            waiting.extend(self.helpers[name].partition("\n")[2] for name in new)
        return [text for name, text in self.helpers.items() if name in found]

    @abstractmethod
    def call(self, step: Step) -> tuple[str, int]:
        """What a language has of its own."""

    @abstractmethod
    def transposed(self, value: Value) -> str:
        """The transpose of a matrix."""

    @abstractmethod
    def triangle(self, d: str) -> str:
        """The number of entries on and below a diagonal."""

    @abstractmethod
    def extent(self, name: str, rank: int, axis: int) -> str:
        """The size of an argument along an axis."""


def number_code(value: Fraction) -> tuple[str, int]:
    """A number in code: `3`, `-1 / 2`, `1e-12`."""
    level = SUM if value < 0 else ATOM
    if value.denominator == 1 and abs(value) <= _LARGEST:
        return str(value), level
    if max(abs(value.numerator), value.denominator) > _LARGEST:
        return repr(float(value)), level
    return f"{value.numerator} / {value.denominator}", min(level, PRODUCT)


def broken(text: str) -> str:
    """A sum that is too long for a line, over several, in brackets."""
    if len(text) <= _WIDEST:
        return text
    depth, lines = 0, [""]
    for i, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and text[i : i + 3] in (" + ", " - "):
            lines.append("")
        lines[-1] += character
    return "\n".join(["(", *(f"    {line.strip()}" for line in lines), ")"]) if len(lines) > 1 else text


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}{i}" for i in count(2))
