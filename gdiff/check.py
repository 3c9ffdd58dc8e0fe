"""`gdiff check`: a formula somebody wrote, held against the derivative of the expression it belongs to.

Text is read first; JAX loads only for what could be read. The verdict is of `verify`; what is added here are points to
judge at, and the words of the expression itself for what is missing from a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gdiff.derivation import Expression, ReadError, parse_together
from gdiff.derivation.grammar import read
from gdiff.derivation.tree import symbols
from gdiff.derivation.vocabulary import ascii_name, kind_of
from gdiff.display import matrix_text
from gdiff.printed import Numbers, read_numbers

if TYPE_CHECKING:
    from gdiff.verdict import Verdict

Source: TypeAlias = "str | PathLike[str] | np.ndarray | Sequence[Any] | float"
Shapes: TypeAlias = Mapping[str, Sequence[int | str] | int]


@dataclass(frozen=True)
class Checked:
    """What came of a check: the verdict, and all that a person is told."""

    verdict: Verdict
    expression: Expression
    claim: Expression | Numbers
    wrt: str
    order: int
    sizes: Mapping[str, int]
    notes: tuple[str, ...]
    derivative: tuple[tuple[str, str], ...]  # (under what condition, formula)
    forgotten: tuple[str, ...]  # which terms of the expression were not differentiated
    seed: int

    @property
    def exit_status(self) -> int:
        """0 holds, also under hypotheses; 1 refuted; 3 inconclusive."""
        return 0 if self.verdict.holds else 1 if self.verdict.refuted else 3

    @property
    def text(self) -> str:
        """What a person reads in the terminal."""
        symbol = f"d2f/d{self.wrt}2" if self.order == 2 else f"df/d{self.wrt}"
        if isinstance(self.claim, Expression) and f"d{self.wrt}" in self.claim.symbols:
            symbol = "df"
        lines = [f"f = {self.expression.text}"]
        if isinstance(self.claim, Expression):
            lines.append(f"{symbol} = {self.claim.text}, you say")
        else:
            lines += [f"{symbol}, you say, from {self.claim.source}:", matrix_text(self.claim.array, indent="  ")]
        lines += [f"Read as: {self.shapes_text}.", *(f"Note: {note.removesuffix('.')}." for note in self.notes), ""]
        v = self.verdict
        head = v.message.partition(": ")[0]
        head += f", also for {' and '.join(v.hypotheses).replace(' symmetric', '')} symmetric" if self._taken_so else ""
        lines.append(_capital(head) + ("." if v.holds else ":"))
        lines += [f"  {_capital(sentence)}" for sentence in self.reasons]
        shown = " ".join(self.reasons)
        lines += [f"  The derivative{c}: {formula}" for c, formula in self.derivative if f" {formula}." not in shown]
        errors = ", ".join(f"{name} {error:.1g}" for name, error in self.verdict.max_error.items())
        lines.append(
            f"({self.verdict.checks} comparisons at {self.verdict.points} "
            f"point{'s' if self.verdict.points != 1 else ''}; largest relative error: {errors or 'none'}; "
            f"allowed {self.verdict.bound:.1g}; seed {self.seed})"
        )
        return "\n".join(lines)

    @property
    def _taken_so(self) -> bool:
        """Whether a refuted claim was looked at under a hypothesis that nobody declared."""
        return self.verdict.refuted and all(h.endswith(" symmetric") for h in self.verdict.hypotheses or ("",))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, a sentence each."""
        v = self.verdict
        told = re.sub(r"^right(, in the \w+ convention)?[;:] ", "", v.explanation) if v.holds else v.explanation
        found = [] if v.diagnosis is None else _sentences(re.sub(r" \(in Python `[^`]*`\)", "", v.diagnosis.message))
        if v.refuted:  # it was tried, and does not
            found = [sentence for sentence in found if not sentence.startswith("The two agree only for symmetric")]
        forgotten = () if any("depends on" in sentence for sentence in found) else self.forgotten
        return (*found, *forgotten, *_sentences(told))

    @property
    def shapes_text(self) -> str:
        """The shapes as read, and the sizes that stood for the names."""
        shown = self.expression.describe_shapes()
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        return f"{shown}; tried with {sizes}" if sizes else shown

    def json(self) -> dict[str, Any]:
        """The same as plain data."""
        v, found = self.verdict, self.verdict.diagnosis
        return {
            "expression": self.expression.text,
            "claim": self.claim.text if isinstance(self.claim, Expression) else self.claim.array.tolist(),
            "wrt": self.wrt,
            "order": self.order,
            "shapes": {name: list(shape) for name, shape in self.expression.shapes.items()},
            "symmetric": sorted(self.expression.symmetric),
            "sizes": dict(self.sizes),
            "status": v.status,
            "convention": v.convention,
            "hypotheses": list(v.hypotheses),
            "diagnosis": None if found is None else {"kind": found.kind.value, "message": found.message},
            "explanation": v.explanation,
            "forgotten": list(self.forgotten),
            "derivative": [{"condition": c.strip(), "formula": f} for c, f in self.derivative],
            "max_error": dict(v.max_error),
            "bound": v.bound,
            "checks": v.checks,
            "points": v.points,
            "oracles": list(v.oracles),
            "notes": [*self.notes],
            "seed": self.seed,
            "exit_status": self.exit_status,
        }


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int | str, ...]]:
    """Read the values of `--shape`.

    >>> parse_shapes(["x=3,1", "A=n,p", "m="])
    {'x': (3, 1), 'A': ('n', 'p'), 'm': ()}
    """
    out: dict[str, tuple[int | str, ...]] = {}
    for name, value in _assignments(texts, "--shape", "x=3,1 or A=n,p"):
        sizes = [size.strip() for size in value.replace("x", ",").split(",")] if value.strip() else []
        if not all(size.isdecimal() or size.isidentifier() for size in sizes):
            raise ValueError(f"--shape {name}={value}: want sizes that are numbers or names, as in x=3,1 or A=n,p")
        out[name] = tuple(int(size) if size.isdecimal() else size for size in sizes)
    return out


def parse_at(texts: Iterable[str]) -> dict[str, str]:
    """Read the values of `--at`: a file for each name, or the numbers themselves.

    >>> parse_at(["S=S.csv", "x=1 -2 1.5"])
    {'S': 'S.csv', 'x': '1 -2 1.5'}
    """
    return dict(_assignments(texts, "--at", "S=S.csv or x=1,2,3"))


def parse_assumptions(symmetric: Sequence[str], texts: Iterable[str]) -> dict[str, str]:
    """Read the values of `--symmetric` and `--assume`.

    >>> parse_assumptions(["W"], ["S=positive_definite", "L=lower_triangular"])
    {'W': 'symmetric', 'S': 'positive_definite', 'L': 'lower_triangular'}
    """
    out = {ascii_name(name): "symmetric" for name in symmetric}
    for name, word in _assignments(texts, "--assume", "S=positive_definite"):
        if not word:
            raise ValueError(f"--assume {name}=: want a structure, as in S=positive_definite")
        out[name] = word
    return out


def _assignments(texts: Iterable[str], option: str, example: str) -> list[tuple[str, str]]:
    out: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or (option == "--at" and not value.strip()):
            raise ValueError(f"{option} {text}: want NAME=VALUE, as in {example}")
        name = ascii_name(name)
        if name in out:
            raise ValueError(f"{option}: `{name}` is given twice")
        out[name] = value.strip()
    return list(out.items())


def check(
    expression: str,
    claim: str | None = None,
    *,
    wrt: str,
    symmetric: Iterable[str] = (),
    shapes: Shapes | None = None,
    hessian: bool = False,
    at: Mapping[str, Source] | None = None,
    claim_file: Source | None = None,
    seed: int = 0,
    degenerate: bool = False,
) -> Checked:
    """Hold a formula, or numbers, against the derivative of an expression with respect to one of its names.

    `at` gives values (paths of CSV files, texts of numbers, or arrays) for the names of the expression, `claim_file`
    the numbers that are claimed there. `degenerate` tries a formula that holds at special points too. Raises
    ValueError (a ReadError where a text cannot be read).
    """
    if (claim is None) == (claim_file is None):
        raise ValueError("want one claim: a formula after the expression, or numbers by --claim FILE with --at")
    if claim_file is not None and not at:
        raise ValueError("numbers are claimed at a point: give it by --at, as in --at S=S.csv x=x.csv")
    texts = [expression] if claim is None else [expression, claim]
    wrt, structured = (
        ascii_name(wrt),
        tuple(ascii_name(name) for name in ([symmetric] if isinstance(symmetric, str) else symmetric)),
    )
    declared = {ascii_name(name): shape for name, shape in (shapes or {}).items()}
    _check_names(texts, wrt, structured, declared, at)
    values = {ascii_name(name): _numbers(name, source) for name, source in (at or {}).items()}
    for name, numbers in values.items():
        declared.setdefault(name, _shape_of(name, numbers.array))
    f, *claims = _read(texts, declared, wrt, structured)
    claimed: Expression | Numbers = claims[0] if claims else _numbers("--claim", claim_file)
    order = 2 if hessian else 1

    from gdiff.trial import Trial

    trial = Trial(f, claimed, wrt, order, values, seed, degenerate)
    outcome = trial.run()
    return Checked(
        outcome.verdict, outcome.expression, claimed, wrt, order, {} if values else trial.sizes,
        outcome.notes, outcome.derivative, outcome.forgotten, seed,
    )  # fmt: skip


def _check_names(
    texts: Sequence[str], wrt: str, symmetric: Sequence[str], declared: Shapes, at: Mapping[str, Source] | None
) -> None:
    words = {*declared, *symmetric, wrt}
    own, *others = (symbols(read(text, words).node) for text in texts)
    known = ", ".join(own) or "none"
    if wrt not in own:
        raise ValueError(f"--wrt {wrt}: the expression has no `{wrt}`; its names: {known}")
    for name in symmetric:
        if not any(name in names for names in (own, *others)):
            raise ValueError(f"--symmetric {name}: the expression has no `{name}`; its names: {known}")
    if at:
        given = {ascii_name(name) for name in at}
        if missing := [name for name in own if name not in given]:
            raise ValueError(f"--at lacks {', '.join(missing)}: want a value for each of {known}")
        if extra := sorted(given.difference(own, *others)):
            raise ValueError(f"--at {extra[0]}: the expression has no `{extra[0]}`; its names: {known}")


def _read(texts: Sequence[str], declared: Shapes, wrt: str, symmetric: Sequence[str]) -> tuple[Expression, ...]:
    """Read both texts, with a note where the claim makes sizes equal that the expression leaves apart."""
    both = parse_together(texts, shapes=declared, wrt=wrt, symmetric=symmetric)
    try:
        (alone,) = parse_together(texts[:1], shapes=declared, wrt=wrt, symmetric=symmetric)
    except ReadError:
        return both
    together = {name: both[0].shapes[name] for name in alone.shapes}
    free, bound = ({size for shape in shapes.values() for size in shape} for shapes in (alone.shapes, together))
    if len(bound) >= len(free) or any(len(alone.shapes[name]) != len(shape) for name, shape in together.items()):
        return both
    note = f"your formula fits only where sizes are equal; the expression alone takes {alone.describe_shapes()}"
    return tuple(replace(e, notes=(*e.notes, note)) for e in both)


def _numbers(name: str, source: Any) -> Numbers:
    if isinstance(source, str | PathLike):
        return read_numbers(source)
    array = np.asarray(source, dtype=float)
    if array.ndim > 2 or not array.size:
        raise ValueError(f"{name}: got an array of shape {array.shape}, want a matrix, a vector or a number")
    grid = array.reshape(-1, 1) if array.ndim < 2 else array
    return Numbers(grid, np.spacing(np.abs(grid)), "the array")


def _shape_of(name: str, array: np.ndarray) -> tuple[int, ...]:
    rows, columns = array.shape
    if rows == columns == 1:
        return ()
    if rows == 1 and kind_of(name) != "matrix":
        return (columns,)
    return (rows,) if columns == 1 else (rows, columns)


def _capital(text: str) -> str:
    return text if re.match(r"\w+[(*']", text) else text[:1].upper() + text[1:]


def _sentences(text: str) -> list[str]:
    """One a line."""
    out, start = [], 0
    for i, c in enumerate(text):
        if c == "." and text[i + 1 : i + 2] == " " and text[i + 2 : i + 3].isupper():
            out.append(text[start : i + 1])
            start = i + 2
    return [*out, text[start:]] if text[start:] else out


__all__ = ["Checked", "ReadError", "check", "parse_at", "parse_shapes"]
