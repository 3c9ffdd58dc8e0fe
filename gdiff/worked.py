"""A derivation that somebody worked out: which of its lines is the first that does not follow, and what is wrong there.

Lines are about f, its differential df, or its derivative. A text file of them is what `gdiff check --steps` reads:

    wrt S                                              the variable
    symmetric S                                        names that are symmetric; `assume L lower_triangular` for others
    f = log|S| + x' S^-1 x
    df = tr(S^-1 dS) + x' d(S^-1) x                    # log-determinant, product rule
    d(S^-1) = -S^-1 dS S^-1                            # from S S^-1 = I
    df = tr((S^-1 - S^-1 x x' S^-1) dS)                # the trace is cyclic
    df/dS = S^-1 - S^-1 x x' S^-1                      # read off

What stands before the first `=` says what a line is about: f (or another name), df, df/dS (or G), or any sides that are
equal; `df = a = b` says both. A line without `=` is the differential if it has dS in it, before the first of those f,
and after it the derivative.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdiff.check import Checked, check, parse_shapes
from gdiff.derivation import Expression, ReadError, from_sympy, parse_together
from gdiff.derivation.differential import Differentiation, pending
from gdiff.derivation.printer import shape_text, to_plain
from gdiff.derivation.structure import Structure
from gdiff.derivation.tree import SCALAR, Node, symbols
from gdiff.derivation.vocabulary import ascii_name, differential_of
from gdiff.given import Shapes, name_of, read_expression, structure_of
from gdiff.probe import Probe, inner
from gdiff.setting import Setting

if TYPE_CHECKING:
    from gdiff.verdict import Verdict

About = Literal["f", "df", "derivative", "sides"]

_HEADER = re.compile(r"(wrt|symmetric|assume|shape)\s*[:\s]\s*(.*)", re.IGNORECASE)
_FRACTION = re.compile(r"[d∂]\s*(\w+)\s*/\s*[d∂]\s*(\w+)")
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class WorkedStep:
    """A line as it was written, and why it follows."""

    text: str
    by: str = ""
    line: int = 0  # of the file, 0 for none

    @property
    def where(self) -> str:
        """The line of the file, for an error."""
        return f"line {self.line}: " if self.line else ""

    def error(self, error: ReadError) -> ValueError:
        """An error of the reader, with its line."""
        return ValueError(f"{self.where}{error}") if self.line else error


@dataclass(frozen=True)
class Reviewed:
    """What came of one line: the numbers agree with what it is about, or not, and what is wrong."""

    step: WorkedStep
    about: About
    holds: bool
    message: str = ""


@dataclass(frozen=True)
class Review:
    """What came of a derivation: every line looked at, and the first that does not follow."""

    lines: tuple[Reviewed, ...]
    wrt: str
    read_as: str
    result: Verdict | None  # of the last line that is a derivative

    @property
    def first(self) -> int | None:
        """Which line is the first that does not follow, counted from 0; None if all do."""
        return next((i for i, line in enumerate(self.lines) if not line.holds), None)

    @property
    def holds(self) -> bool:
        """Whether every line follows."""
        return self.first is None

    def __bool__(self) -> bool:
        return self.holds

    @property
    def exit_status(self) -> int:
        """0 if every line follows, 1 if one does not."""
        return 0 if self.holds else 1

    @property
    def text(self) -> str:
        """What a person reads in the terminal."""
        out = []
        for number, line in enumerate(self.lines):
            mark = "ok  " if line.holds else "WRONG"
            why = f"   # {line.step.by}" if line.step.by else ""
            out.append(f"{mark:5} {number}. {line.step.text}{why}")
            out += [f"         {sentence}" for sentence in line.message.splitlines()]
        out += ["", f"Read as: {self.read_as}."]
        if self.holds:
            out.append("Every line follows.")
            if self.result is not None:
                out.append(f"The result {self.result.message.rstrip('.')}.")
        else:
            later = sum(not line.holds for line in self.lines) - 1
            more = f"; {later} after it do not hold either" if later else ""
            out.append(f"Line {self.first} is the first that does not follow{more}.")
        return "\n".join(out)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Worked:
    """A derivation of one's own, line by line."""

    text: str
    wrt: str | None = None
    structure: Structure = field(default_factory=Structure)
    shapes: Shapes = field(default_factory=dict)
    steps: tuple[WorkedStep, ...] = ()
    line: int = 0

    @classmethod
    def start(
        cls,
        text: str,
        wrt: str | None = None,
        *,
        assume: Mapping[Any, str] | None = None,
        shapes: Shapes | None = None,
    ) -> Worked:
        """Begin with what is differentiated; `wrt` is by default the name whose differential the lines have."""
        written = text if isinstance(text, str) else from_sympy(text).text
        return cls(written, None if wrt is None else name_of(wrt), structure_of(assume), shapes or {})

    def step(self, text: str, by: str = "") -> Worked:
        """Add a line, and why it follows."""
        if not isinstance(text, str):
            raise TypeError(f"got {type(text).__name__} for a line, want text")
        return replace(self, steps=(*self.steps, WorkedStep(text, by)))

    def check(self, seed: int = 0) -> Review:
        """Hold every line against numbers. Raises ReadError, with the line, where a line cannot be read."""
        if not self.steps:
            raise ValueError("the derivation has no steps: want at least one line after the expression")
        steps = (WorkedStep(self.text, "", self.line), *self.steps)
        label = _label(self.text)
        parts = [_sides(step, label) for step in steps]
        texts = [(text, step) for step, (_, sides) in zip(steps, parts, strict=True) for text in sides]
        wrt = self.wrt or _variable([text for text, _ in texts])
        f = self._expression(texts[0][0], wrt, steps[0])
        for step, left in ((step, _FRACTION.fullmatch(_equated(step.text)[0])) for step in self.steps):
            if left and ascii_name(left[2]) != wrt:
                raise ValueError(f"{step.where}a derivative by `{left[2]}`; the variable that moves is `{wrt}`")
        expressions = iter(self._lines(texts, f, wrt))
        read = [(about, tuple(next(expressions) for _ in sides)) for about, sides in parts]
        return _Reviewer(f, wrt, self.structure, seed).review(steps, read)

    def _expression(self, text: str, wrt: str, step: WorkedStep) -> Expression:
        """What is differentiated, read alone: its shapes hold for every line."""
        try:
            f = read_expression(text, self.structure, self.shapes, wrt)
        except ReadError as error:
            raise step.error(error) from None
        known = ", ".join(f.symbols) or "none"
        for name in (wrt, *self.structure.of):
            if name not in f.symbols:
                raise ValueError(f"{step.where}the expression has no `{name}`; its names: {known}")
        if f.node.shape != SCALAR:
            raise ValueError(f"{step.where}`{f.text}` is not a scalar: a derivation of lines is of a scalar function")
        return f

    def _lines(self, texts: Sequence[tuple[str, WorkedStep]], f: Expression, wrt: str) -> list[Expression]:
        """Every line, in the names and shapes of the expression and its differential."""
        shapes = {**f.shapes, f"d{wrt}": f.shapes[wrt]}
        out = []
        for text, step in texts:
            try:
                (e,) = parse_together([text], shapes=shapes, differentials=True)
            except ReadError as error:
                raise step.error(error) from None
            if strange := [name for name in e.symbols if name not in shapes]:
                known = ", ".join(shapes)
                raise ValueError(f"{step.where}`{strange[0]}` is not in the expression; write it out in {known}")
            out.append(replace(e, symmetric=self.structure.symmetric))
        return out


def read_steps(text: str) -> Worked:
    r"""Read a derivation from the text of a file, in the form at the head of this module.

    >>> worked = read_steps("wrt x\nx'x\ndf = 2 x' dx  # product\n2 x  # read off")
    >>> worked.check().holds
    True
    """
    wrt, words, shapes = None, dict[str, str](), dict[str, Any]()
    lines: list[WorkedStep] = []
    for number, whole in enumerate(text.splitlines(), 1):
        line, _, why = whole.partition("#")
        if not line.strip():
            continue
        header = _HEADER.fullmatch(line.strip())
        if header is None:
            lines.append(WorkedStep(line.strip(), why.strip(), number))
            continue
        if lines:
            raise ValueError(f"line {number}: `{header[1]}` stands after the expression; want it before")
        named = header[2].replace(",", " ").split()
        match header[1].lower():
            case "wrt" if len(named) == 1:
                wrt = named[0]
            case "symmetric":
                words |= dict.fromkeys(named, "symmetric")
            case "assume" if len(named) == 2:
                words[named[0]] = named[1]
            case "shape" if len(header[2].split(maxsplit=1)) == 2:
                name, sizes = header[2].split(maxsplit=1)
                shapes |= parse_shapes([f"{name}={sizes}"])
            case word:
                examples = {"wrt": "wrt S", "assume": "assume L lower_triangular", "shape": "shape x 3,1"}
                raise ValueError(f"line {number}: got `{line.strip()}`, want something like `{examples[word]}`")
    if not lines:
        raise ValueError("there is no expression in it: want `wrt S`, then an expression, then a line for each step")
    first, *rest = lines
    begun = replace(Worked.start(first.text, wrt, assume=words, shapes=shapes), line=first.line)
    return replace(begun, steps=tuple(rest))


def _label(text: str) -> str:
    """What the expression is called: f, or the name before its `=`, such as L."""
    left, equals, _ = text.partition("=")
    return left.strip() if equals and _NAME.fullmatch(left.strip()) else "f"


def _sides(step: WorkedStep, label: str) -> tuple[About | None, tuple[str, ...]]:
    """What a line is about, by what stands before its first `=`, and the texts to be read."""
    name, *right = _equated(step.text)
    if not right:
        return None, (step.text,)
    if name in (label, "f"):
        return "f", tuple(right)
    if name in (f"d{label}", f"d {label}", "df"):
        return "df", tuple(right)
    fraction = _FRACTION.fullmatch(name)
    if name.lower() in ("g", "gradient") or name[:1] == "∇" or (fraction and fraction[1] in (label, "f")):
        return "derivative", tuple(right)
    if re.fullmatch(rf"d\^?2\s*({label}|f)", name):
        raise ValueError(f"{step.where}second differentials are not read; `gdiff derive --hessian` has their steps")
    return "sides", tuple(step.text.replace("&=", "=").split("="))


def _equated(text: str) -> list[str]:
    r"""What a line says is equal, the first as plain as a label can be: ∂f/∂S for \frac{\partial f}{\partial S}."""
    left, *right = text.replace("&=", "=").split("=")
    left = re.sub(r"\\frac\s*\{(.*?)\}\s*\{(.*?)\}", r"\1/\2", left)
    for written, plain in ((r"\partial", "∂"), (r"\mathrm{d}", "d"), (r"\nabla", "∇"), ("\\", "")):
        left = left.replace(written, plain)
    return [left.strip(), *right]


def _variable(texts: Sequence[str]) -> str:
    """The name whose differential the lines have."""
    from gdiff.derivation.grammar import read

    names = [n for text in texts for n in symbols(read(text, differentials=True).node)]
    found = dict.fromkeys(v for n in names if (v := differential_of(n)) in names and v is not None)
    if len(found) == 1:
        return next(iter(found))
    got = (
        f"the lines have the differentials of {', '.join(found)}" if found else "no line has a differential such as dS"
    )
    raise ValueError(f"which variable moves? {got}; say it: wrt S (in Python, start(text, wrt='S'))")


class _Reviewer:
    """Holds lines against numbers, one after the other."""

    def __init__(self, f: Expression, wrt: str, structure: Structure, seed: int) -> None:
        self.f, self.wrt, self.structure, self.seed = f, wrt, structure, seed
        self.probe = Probe(f, wrt, Setting(f, wrt, structure.of, seed))
        (self.df,) = self.probe.differentials([f.node])
        self.value = self.probe.values(f.node)

    def review(
        self, steps: Sequence[WorkedStep], read: Sequence[tuple[About | None, tuple[Expression, ...]]]
    ) -> Review:
        out: list[Reviewed] = []
        result: Verdict | None = None
        seen: About = "f"
        for step, (said, sides) in zip(steps, read, strict=True):
            about = said or self._about(sides[0], seen)
            seen = "derivative" if about in ("df", "derivative") else seen
            wrong = next((e for e in sides if not self._holds(about, e, sides[0])), None)
            holds = wrong is None
            message = "" if wrong is None else self._what_is_wrong(about, wrong, sides[0])
            if about == "derivative" and holds:
                result = self.probe.verify(sides[-1])
                if not result.holds and step is steps[-1]:
                    holds, message = False, result.reason
            out.append(Reviewed(step, about, holds, message))
        shapes = {name: shape for name, shape in self.f.all_shapes.items() if name in self.f.symbols}
        return Review(tuple(out), self.wrt, replace(self.f, all_shapes=shapes).describe_shapes(), result)

    def _about(self, e: Expression, seen: About) -> About:
        if f"d{self.wrt}" in e.symbols or any(pending(e.node)):
            return "df"
        shape = self.f.all_shapes[self.wrt]
        return "derivative" if shape != SCALAR and shape in (e.node.shape, e.node.shape[::-1]) else seen

    def _holds(self, about: About, e: Expression, first: Expression) -> bool:
        """Whether an expression is what its line is about; of two sides, whether it is the first."""
        with np.errstate(all="ignore"):
            got = self.probe.values(e.node)
        match about:
            case "f":
                return self.probe.agree(got, self.value)
            case "df":
                return self.probe.agree(got, self.df)
            case "sides":
                return e is first or self.probe.agree(self.probe.values(first.node), got)
        if e.node.shape != self.f.all_shapes[self.wrt]:
            return False
        conventions = (None, "symmetric") if self.wrt in self.structure.symmetric else (None,)
        return any(self.probe.agree(inner(got, self.probe.steps, c), self.df) for c in conventions)

    def _what_is_wrong(self, about: About, e: Expression, first: Expression) -> str:
        if about == "f":
            return "it is not the expression of the first line: the numbers differ at random points"
        if about == "sides":
            found = self._worked_out(first.node)
            right = f"; gdiff has {to_plain(first.node)} = {found}" if found else ""
            return f"the two sides differ at random points{right}"
        if about == "derivative":
            want, got = self.f.all_shapes[self.wrt], e.node.shape
            if got != want:
                turned = "; its transpose has the right shape" if got[::-1] == want else ""
                return f"you have {shape_text(got)}, {self.wrt} and its derivative are {shape_text(want)}{turned}"
            if set(self.structure.of.values()) - {"symmetric", "positive_definite"}:
                return self.probe.verify(e).reason
            return _reasons(self._checked(e))
        return self._about_differential(e)

    def _about_differential(self, e: Expression) -> str:
        """The diagnosis of a differential: parts that wait for it are worked out, then it is compared term by term."""
        try:
            node = self._without_pending(e.node)
            checked = check(
                self.f.text, Expression(node).text, wrt=self.wrt, symmetric=sorted(self.structure.symmetric),
                shapes=self.f.shapes, seed=self.seed,
            )  # fmt: skip
        except ValueError:
            return "it is not the differential of the first line: the numbers differ at random points"
        return _reasons(checked)

    def _without_pending(self, node: Node) -> Node:
        """The tree with every d(...) worked out."""
        rules = Differentiation(self.wrt, self.f.all_shapes[self.wrt], self.structure)
        return rules.worked_out(rules.algebra.simplify(node))

    def _worked_out(self, node: Node) -> str:
        try:
            return to_plain(self._without_pending(node)) if any(pending(node)) else ""
        except ValueError:
            return ""

    def _checked(self, e: Expression) -> Checked:
        return check(
            self.f.text, e.text, wrt=self.wrt, symmetric=sorted(self.structure.symmetric), shapes=self.f.shapes,
            seed=self.seed,
        )  # fmt: skip


def _reasons(checked: Checked) -> str:
    """Why a line does not follow; if it would under a hypothesis, the header that says so."""
    if checked.verdict.holds:
        names = [h.removesuffix(" symmetric") for h in checked.verdict.hypotheses if h.endswith(" symmetric")]
        header = f"; if so, write `symmetric {' '.join(names)}` above the expression" if names else ""
        return f"it holds if {' and '.join(checked.verdict.hypotheses)}{header}"
    return "\n".join(checked.reasons)
