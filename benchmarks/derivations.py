"""Is what `gdiff.derive` answers right, on the expressions in expressions.txt, by every argument and convention?

The judge is not gdiff's verifier: `jax.grad` of the expression as typed, every entry free, at three random points of
the declared domain, projected by the convention's own formula. Judged are the printed formula, read again, and the
function that the derivation makes. Run by `python -m benchmarks.derivations`; exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

os.environ.setdefault("PJRT_NPROC", "16")  # as `gdiff.cli` does: no deadlock on two cores

import jax
import numpy as np

import gdiff
from gdiff.derivation import Expression, parse_together
from gdiff.derivation.evaluate import size_of
from gdiff.derivation.grammar import read
from gdiff.derivation.tree import children, symbols, walk
from gdiff.display import Table

LIST = Path(__file__).parent / "expressions.txt"
RESULTS = Path(__file__).parent / "results"
STRUCTURES = ("symmetric", "positive_definite", "diagonal", "lower_triangular", "orthogonal")
KEYS = frozenset({*STRUCTURES, "wrt", "positive", "shapes", "source", "no_formula", "refused"})
SECTION = "# == "  # begins a heading
SYMMETRIC = frozenset({"symmetric", "positive_definite"})  # those that have two conventions
POINTS = 3
# Every size has its own number where formulas allow it: X is n x p with n > p, W is n x k with k < n.
SIZES = {"d": 3, "n": 4, "p": 3, "m": 2, "k": 2, "q": 3, "r": 4}
_DRAWS = 10_000  # of a point, where the domain is narrow: x'x < c^2
STATUSES = ("right", "wrong", "wrong function", "refused", "crashed", "rightly refused")
FINE = frozenset({"right", "rightly refused"})
TOLERANCE = np.sqrt(np.finfo(np.float64).eps)  # formulas differ by rounding at these points, mistakes by far more

# A point, and the derivative there.
Question: TypeAlias = tuple[Mapping[str, np.ndarray], np.ndarray]
Row = TypeVar("Row")


# --- the list -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of the list: an expression, its domain, and what to differentiate it by."""

    name: str
    section: str
    text: str
    wrt: tuple[str, ...] = ()
    structure: Mapping[str, str] = field(default_factory=dict)
    positive: frozenset[str] = frozenset()
    shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    source: str = ""
    no_formula: frozenset[str] = frozenset()
    refused: str = ""

    @cached_property
    def expression(self) -> Expression:
        """The expression as gdiff reads it."""
        wrt = self.wrt or symbols(read(self.text, self.shapes).node)  # what is differentiated is read as a scalar
        return parse_together([self.text], shapes=self.shapes, symmetric=self.symmetric, wrt=wrt[0])[0]

    @property
    def as_read(self) -> dict[str, tuple[int | str, ...]]:
        """The shapes as read, for a formula that names a size; sizes that are made of others follow from the rest."""
        shapes = self.expression.shapes.items()
        return {name: shape for name, shape in shapes if all(str(size).isalnum() for size in shape)}

    @property
    def symmetric(self) -> tuple[str, ...]:
        """The names of symmetric matrices."""
        return tuple(name for name, structure in self.structure.items() if structure in SYMMETRIC)

    @property
    def assumed(self) -> dict[str, str]:
        """What gdiff is told of the names."""
        return {**dict.fromkeys(self.positive, "positive"), **self.structure}

    @property
    def arguments(self) -> tuple[str, ...]:
        """What to differentiate by."""
        return self.wrt or self.expression.symbols

    def conventions(self, wrt: str) -> tuple[str, ...]:
        """Both conventions for a symmetric argument, the one that there is for another."""
        return ("full", "symmetric") if self.structure.get(wrt) in SYMMETRIC else ("full",)


def read_list(text: str) -> tuple[Line, ...]:
    """Read the list; ValueError names the line that is not in the format, or declares what it does not use."""
    lines: dict[str, Line] = {}
    section = ""
    for number, written in enumerate(text.splitlines(), 1):
        if not written.strip() or written.startswith("#"):
            section = written.removeprefix(SECTION) if written.startswith(SECTION) else section
            continue
        try:
            line = _read_line(written, section)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if line.name in lines:
            raise ValueError(f"line {number}: got `{line.name}` twice, want names that differ")
        lines[line.name] = line
    return tuple(lines.values())


def _read_line(written: str, section: str) -> Line:
    name, expression, *fields = (part.strip() for part in f"{written} ".split(" | "))
    given: dict[str, str] = {}
    for part in fields:
        key, colon, value = part.partition(":")
        if key not in KEYS or not colon or not value.strip() or key in given:
            raise ValueError(f"got `{part}`, want `key: value` once, with a key among {', '.join(sorted(KEYS))}")
        given[key] = value.strip()
    structure: dict[str, str] = {}
    for kind in STRUCTURES:
        for argument in _names(given.get(kind, "")):
            if argument in structure:
                raise ValueError(f"got `{argument}` as {structure[argument]} and {kind}, want one structure")
            structure[argument] = kind
    line = Line(
        name,
        section,
        expression,
        _names(given.get("wrt", "")),
        structure,
        frozenset(_names(given.get("positive", ""))),
        _shapes(given.get("shapes", "")),
        given.get("source", ""),
        frozenset(_names(given.get("no_formula", ""))),
        given.get("refused", ""),
    )
    if line.refused and not line.wrt:
        raise ValueError("got no wrt, want the name that it is refused for")
    if not line.refused:
        declared = {*line.wrt, *line.structure, *line.positive, *line.shapes, *line.no_formula}
        if unused := sorted(declared - set(line.expression.symbols)):
            raise ValueError(f"{', '.join(unused)}: declared, and not in `{expression}`")
    return line


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _shapes(text: str) -> dict[str, tuple[int | str, ...]]:
    shapes = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, sizes = part.partition("=")
        if not equals:
            raise ValueError(f"got the shape `{part}`, want name=rows,columns")
        shapes[name.strip()] = tuple(int(size) if size.isdigit() else size for size in _names(sizes))
    return shapes


# --- points, and the derivative there -------------------------------------------------------------------------------


def draw(line: Line, count: int = POINTS) -> list[dict[str, np.ndarray]]:
    """Draw points of the declared domain where the expression is finite, the same ones every time."""
    rng = np.random.default_rng(zlib.crc32(line.name.encode()))
    function = line.expression.numpy_function()
    points: list[dict[str, np.ndarray]] = []
    with np.errstate(all="ignore"):
        for _ in range(_DRAWS):
            point = {name: _value(line, name, rng) for name in line.expression.symbols}
            if np.isfinite(function(**point)):
                points.append(point)
            if len(points) == count:
                return points
    raise ValueError(f"{line.name}: found {len(points)} points where `{line.text}` is finite, want {count}")


def _value(line: Line, name: str, rng: np.random.Generator) -> np.ndarray:
    rows, columns = (size_of(size, SIZES) for size in line.expression.all_shapes[name])
    shape = {1: (rows,)}.get(columns, (rows, columns)) if rows * columns > 1 else ()
    free = rng.uniform(0.5, 1.5, shape) if name in line.positive else rng.normal(scale=0.7, size=shape)
    match line.structure.get(name):
        case "symmetric":
            return (free + free.T) / 2
        case "positive_definite":
            return free @ free.T / rows + np.eye(rows) / 2
        case "diagonal":
            return np.diag(np.diag(free))
        case "lower_triangular":
            return np.tril(free, -1) + np.diag(0.5 + np.abs(np.diag(free)))
        case "orthogonal":
            return np.linalg.qr(free)[0]
    if len(shape) == 2 and rows == columns and name not in line.positive:
        return np.eye(rows) + free / 2  # neither singular nor symmetric
    return free


def gradients(line: Line, point: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Differentiate the expression as typed, in float64, every entry of every argument free."""
    function = line.expression.function()
    with jax.enable_x64(True):
        found = jax.grad(lambda moved: function(**{**point, **moved}))({name: point[name] for name in names})
        return {name: np.asarray(value) for name, value in found.items()}


def project(gradient: np.ndarray, structure: str | None, convention: str = "full") -> np.ndarray:
    """Project the gradient by free entries on those of a structure.

    full: sym(G), symmetric: G + G' - G∘I, both for a symmetric argument; diagonal: G∘I; lower triangular: tril(G).
    """
    if structure in SYMMETRIC:
        both = gradient + gradient.T
        return both / 2 if convention == "full" else both - np.diag(np.diag(gradient))
    if structure == "diagonal":
        return np.diag(np.diag(gradient))
    return np.tril(gradient) if structure == "lower_triangular" else gradient


def agrees(value: Any, truth: np.ndarray) -> bool:
    """Whether an array is the other, in shape and to half the digits of float64."""
    value = np.asarray(value)
    if value.shape != truth.shape or not np.all(np.isfinite(value)):
        return False
    return bool(np.max(np.abs(value - truth)) <= TOLERANCE * max(1.0, np.max(np.abs(truth))))


# --- what is answered, and what it is worth -------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """One derivative: the question, what was answered, and whether that is right."""

    name: str
    section: str
    wrt: str
    convention: str
    status: str  # one of STATUSES
    formula: str = ""
    message: str = ""
    seconds: float = 0.0
    ratio: float = 0.0  # operations in the formula, by those in the expression


def answer(line: Line, wrt: str, convention: str, asked: Sequence[Question]) -> Answer:
    """Derive by one argument in one convention, and judge the printed formula and the function made of it."""
    common = (line.name, line.section, wrt, convention)
    start = perf_counter()
    try:
        derivation = gdiff.derive(line.expression, wrt, assume=line.assumed, convention=convention)
        formula = derivation.expression.text
    except Exception as error:  # reported, and the others are still asked
        refused = "rightly refused" if wrt in line.no_formula else "refused"
        status = refused if isinstance(error, ValueError) else "crashed"
        return Answer(*common, status, "", f"{type(error).__name__}: {error}", perf_counter() - start)
    seconds = perf_counter() - start
    try:
        value, claim = parse_together([line.text, formula], shapes=line.as_read, wrt=wrt, symmetric=line.symmetric)
        status, message = judge(asked, claim.numpy_function(), derivation.function())
    except Exception as error:
        return Answer(*common, "crashed", formula, f"{type(error).__name__}: {error}", seconds)
    return Answer(*common, status, formula, message, seconds, operations(claim) / max(1, operations(value)))


def judge(asked: Sequence[Question], printed: Callable[..., Any], made: Callable[..., Any]) -> tuple[str, str]:
    """Hold the formula as printed and the function made of it against the truth at every point."""
    with jax.enable_x64(True):
        for point, truth in asked:
            for status, function in (("wrong", printed), ("wrong function", made)):
                value = np.asarray(function(**point))
                if not agrees(value, truth):
                    shown = np.array2string(value, precision=4), np.array2string(truth, precision=4)
                    return status, " ".join(f"got {shown[0]}, want {shown[1]}".split())
    return "right", ""


def operations(expression: Expression) -> int:
    """Count the operations in a formula: a measure of how long it is to read."""
    return sum(bool(children(node)) for node in walk(expression.node))


def examine(line: Line) -> list[Answer]:
    """Derive by every argument in every convention; for a line outside of the language, see that it is refused."""
    if line.refused:
        return [refusal(line)]
    try:
        points = draw(line)
        found = [gradients(line, point, line.arguments) for point in points]
    except Exception as error:  # a value is wanted before a derivative is
        message = f"{type(error).__name__}: {error}"
        return [Answer(line.name, line.section, wrt, "full", "crashed", "", message) for wrt in line.arguments]
    answers = []
    for wrt in line.arguments:
        for convention in line.conventions(wrt):
            truths = (project(gradient[wrt], line.structure.get(wrt), convention) for gradient in found)
            answers.append(answer(line, wrt, convention, list(zip(points, truths, strict=True))))
    return answers


def refusal(line: Line) -> Answer:
    """Whether a line outside of the language is answered by a ValueError that names what is not supported."""
    wrt = line.wrt[0]
    common = (line.name, line.section, wrt, "full")
    try:
        derivation = gdiff.derive(line.text, wrt, shapes=line.shapes)
    except ValueError as error:
        return Answer(*common, "rightly refused" if line.refused in str(error) else "wrong", "", str(error))
    except Exception as error:
        return Answer(*common, "crashed", "", f"{type(error).__name__}: {error}")
    return Answer(*common, "wrong", derivation.expression.text, f"want an error that names {line.refused}")


def in_processes(work: Callable[[Line], list[Row]], lines: Sequence[Line]) -> Iterator[list[Row]]:
    """Work on the lines in a process for each of a few cores, and give what is done in the order of the list."""
    processes = min(os.cpu_count() or 1, 4)
    if processes < 2 or len(lines) < 24:
        yield from map(work, lines)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each process is one for a core
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, lines, chunksize=4)


# --- the report -----------------------------------------------------------------------------------------------------


def summary(answers: Sequence[Answer]) -> Table:
    """Count by section, and in all."""
    sections = {
        section: [a for a in answers if a.section == section] for section in dict.fromkeys(a.section for a in answers)
    }
    rows = []
    for section, part in (*sections.items(), ("in all", list(answers))):
        counts = Counter(a.status for a in part)
        ratios = [a.ratio for a in part if a.ratio]
        rows.append(
            (
                section,
                len({a.name for a in part}),
                *(counts[status] for status in STATUSES),
                f"{sum(a.seconds for a in part):.1f}",
                f"{median(ratios):.1f}" if ratios else "",
            )
        )
    columns = ("", "expressions", *STATUSES, "seconds", "operations, median ratio")
    return Table(columns, rows, right=frozenset(range(1, len(columns))))


def main() -> int:
    """Print the table and what is not right, and write the answers down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", metavar="NAME", action="append", help="lines of the list, by default all")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--results", metavar="DIR", type=Path, help="write derivations.json there")
    options = parser.parse_args()
    lines = chosen(options.only)
    answers = []
    for done in in_processes(examine, lines):
        answers.extend(done)
        for a in done:
            if a.status not in FINE:
                what = " ".join(f"{a.status}: {a.formula} {a.message}".split())
                print(f"{a.name} by {a.wrt}, {a.convention}: {what:.300}", file=sys.stderr, flush=True)
    table = summary(answers)
    print(table.markdown() if options.markdown else table.text(160))
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
        versions = {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__}
        written = {"versions": versions, "answers": [asdict(a) for a in answers]}
        (options.results / "derivations.json").write_text(json.dumps(written, indent=1) + "\n")
    return 0 if all(a.status in FINE for a in answers) else 1


def chosen(names: Sequence[str] | None) -> list[Line]:
    """The lines of the list, or those named; ValueError for a name that is not there."""
    lines = {line.name: line for line in read_list(LIST.read_text())}
    if unknown := set(names or ()) - lines.keys():
        raise ValueError(f"got {', '.join(sorted(unknown))}, want names of lines in {LIST}")
    return [line for name, line in lines.items() if not names or name in names]


if __name__ == "__main__":
    sys.exit(main())
