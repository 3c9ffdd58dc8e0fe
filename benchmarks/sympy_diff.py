"""What does SymPy's own `.diff` answer on the same expressions, where every entry of every argument is free?

SymPy has no structured arguments, so that neither side is told of any here: what is called symmetric in the list is a
matrix like another, at points off the symmetric ones. SymPy is asked in every way that its classes allow (sizes by name
and by number; a sum of traces as one trace, and as a 1 x 1 matrix), and its best answer counts; a gradient laid out as
its transpose counts as right. Run by `python -m benchmarks.sympy_diff`; `--markdown` prints DERIVATIONS.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from benchmarks.derivations import (
    FINE,
    SIZES,
    Answer,
    Line,
    Question,
    agrees,
    answer,
    chosen,
    draw,
    gradients,
    in_processes,
)
from gdiff.derivation import Expression, from_sympy, parse_together
from gdiff.derivation.evaluate import size_of
from gdiff.derivation.matrix_expressions import Commutation, Duplication, LowerTriangle, PseudoInverse, Vec, Vech
from gdiff.display import Table

SECONDS = 10
SHOWN = 60  # characters of an answer
# gdiff's own, made to hold what SymPy has no word for: SymPy cannot be expected to differentiate them.
OURS = (Vec, Vech, PseudoInverse, LowerTriangle, Commutation, Duplication)
# From best to worst for SymPy: of several answers the best counts.
OUTCOMES = {
    "right": "a formula with the right value, or the transpose of it",
    "unusable": "the derivative left standing, or an array expression that SymPy cannot put numbers into",
    "error": "an exception",
    "out of time": f"no answer in {SECONDS} seconds",
    "wrong": "a formula with another value, and no warning",
    "not in SymPy": "the expression has a function that SymPy does not know",
}


@dataclass(frozen=True)
class Comparison:
    """What both answered to one question."""

    line: Line
    wrt: str
    sympy: str  # one of OUTCOMES
    answered: str
    gdiff: Answer


def free(line: Line) -> Line:
    """The line without structure: what a person has who cannot declare any."""
    shapes = {name: line.expression.shapes[name] for name in line.structure}
    return replace(line, structure={}, shapes={**line.shapes, **shapes}, wrt=line.arguments)


def off_structure(line: Line) -> list[dict[str, np.ndarray]]:
    """Points near those of the declared domain, where no matrix is symmetric, triangular or diagonal."""
    rng = np.random.default_rng(len(line.name))
    return [
        {n: v + rng.normal(scale=0.02, size=v.shape) if n in line.structure else v for n, v in point.items()}
        for point in draw(line)
    ]


def compare(line: Line) -> list[Comparison]:
    """Ask both for the derivative by every argument."""
    unstructured = free(line)
    points = off_structure(line)
    found = [gradients(unstructured, point, line.arguments) for point in points]
    rows = []
    for wrt in line.arguments:
        asked = [(point, gradient[wrt]) for point, gradient in zip(points, found, strict=True)]
        outcome, answered = ask_sympy(unstructured, wrt, asked)
        rows.append(Comparison(line, wrt, outcome, answered, answer(unstructured, wrt, "full", asked)))
    return rows


def ask_sympy(line: Line, wrt: str, asked: Sequence[Question]) -> tuple[str, str]:
    """Differentiate by SymPy in each of its ways, judge each answer, and return the best outcome with its answer."""
    answers = []
    for expression in (line.expression, _sized(line)):
        for written in _ways(expression):
            with warnings.catch_warnings(action="ignore"):
                answers.append(_answer(written, wrt, asked))
            if answers[-1][0] == "right":
                return answers[-1]
    return min(answers, key=lambda answered: list(OUTCOMES).index(answered[0]), default=("not in SymPy", ""))


def _answer(written: Any, wrt: str, asked: Sequence[Question]) -> tuple[str, str]:
    try:
        with _alarm(SECONDS):
            (symbol,) = (symbol for symbol in written.free_symbols if str(symbol) == wrt)
            found = sp.diff(written, symbol)
            return _judge(found, asked), " ".join(str(found).split())
    except TimeoutError:
        return "out of time", ""
    except Exception as error:  # whatever SymPy raises is its answer
        return "error", " ".join(f"{type(error).__name__}: {error}".split())


def _ways(expression: Expression) -> Iterator[Any]:
    """The expression, and where it is a sum of traces of one size, that as a single trace and as a 1 x 1 matrix."""
    try:
        written = expression.sympy
    except (AttributeError, TypeError):  # SymPy has no block matrix with a scalar in it
        return
    if written.has(*OURS):
        return
    yield written
    terms = [term.as_coeff_Mul() for term in sp.Add.make_args(written)]
    arguments = [coefficient * part.arg for coefficient, part in terms if isinstance(part, sp.Trace)]
    if len(arguments) == len(terms) and len({argument.shape for argument in arguments}) == 1:
        together = sp.MatAdd(*arguments) if len(arguments) > 1 else arguments[0]
        yield sp.Trace(together)
        if together.shape == (1, 1):
            yield together


def _sized(line: Line) -> Expression:
    shapes = {
        name: tuple(size_of(size, SIZES) for size in shape) if line.expression.shapes[name] else ()
        for name, shape in line.expression.all_shapes.items()
    }
    return parse_together([line.text], shapes=shapes, wrt=line.arguments[0])[0]


def _judge(found: Any, asked: Sequence[Question]) -> str:
    if found.has(sp.Derivative, sp.Subs):
        return "unusable"
    sizes = {symbol: SIZES[str(symbol)] for symbol in found.free_symbols if symbol.is_integer}
    for point, truth in asked:
        value = _evaluate(found.subs(sizes), point)
        if value is None:
            return "unusable"
        laid_out = [shown for shown in (truth, truth.T) if shown.size == value.size]
        if not any(agrees(value.reshape(shown.shape), shown) for shown in laid_out):
            return "wrong"
    return "right"


def _evaluate(found: Any, point: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Work an answer out, by gdiff where it is in its language, else by SymPy on explicit matrices; None if neither."""
    for way in (_by_gdiff, _by_sympy):
        try:
            value = np.asarray(way(found, point), dtype=float)
        except TimeoutError:
            raise
        except Exception:  # noqa: S112  # not a form that has a value this way
            continue
        if np.all(np.isfinite(value)):
            return value
    return None


def _by_gdiff(found: Any, point: Mapping[str, np.ndarray]) -> Any:
    names = {str(symbol) for symbol in found.free_symbols}
    return from_sympy(found).numpy_function()(**{name: value for name, value in point.items() if name in names})


def _by_sympy(found: Any, point: Mapping[str, np.ndarray]) -> Any:
    given = {}
    for symbol in found.free_symbols:
        value = point[str(symbol)]
        matrix = isinstance(symbol, sp.MatrixSymbol)
        given[symbol] = sp.ImmutableMatrix(value.reshape(symbol.shape)) if matrix else sp.Float(float(value))
    value = found.subs(given).doit()
    return (value.as_explicit() if hasattr(value, "as_explicit") else sp.Matrix([value])).tolist()


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- the report -----------------------------------------------------------------------------------------------------


def totals(rows: Sequence[Comparison]) -> Table:
    """Count the outcomes of both: derivatives, and expressions with all of theirs right."""
    sympy, ours = Counter(row.sympy for row in rows), Counter(row.gdiff.status for row in rows)
    table = [(outcome, sympy[outcome], ours[outcome], meaning) for outcome, meaning in OUTCOMES.items()]
    others = [(status, 0, count, "") for status, count in sorted(ours.items()) if status not in OUTCOMES]
    return Table(("", f"SymPy {sp.__version__}", "gdiff", "which is"), table + others, right=frozenset({1, 2}))


def side_by_side(rows: Sequence[Comparison]) -> Table:
    """A row for every derivative."""
    table = []
    for before, row in zip((None, *rows), rows, strict=False):
        again = before is not None and before.line.name == row.line.name
        ours = _short(row.gdiff.formula, 4 * SHOWN) if row.gdiff.status == "right" else _short(_unanswered(row.gdiff))
        theirs = f"{row.sympy}: {row.answered}" if row.answered else row.sympy
        table.append(("" if again else row.line.text, row.wrt, _short(theirs), ours))
    return Table(("expression", "by", f"SymPy {sp.__version__}", "gdiff"), table)


def _unanswered(answer: Answer) -> str:
    return "no formula in the notation" if answer.status == "rightly refused" else f"{answer.status}: {answer.message}"


def _short(text: str, limit: int = SHOWN) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def document(rows: Sequence[Comparison]) -> str:
    """DERIVATIONS.md."""
    sections = [
        f"## {section}\n\n{side_by_side([row for row in rows if row.line.section == section]).markdown()}"
        for section in dict.fromkeys(row.line.section for row in rows)
    ]
    return "\n\n".join((_HEAD.format(version=sp.__version__), totals(rows).markdown(), *sections))


_HEAD = """# Derivatives of scalar expressions: gdiff and SymPy

Written by `python -m benchmarks.sympy_diff --markdown`. Every expression of
[benchmarks/expressions.txt](benchmarks/expressions.txt), by every argument, through `gdiff.derive` and through `.diff`
of SymPy {version}. Structure is not declared, since SymPy has no place for it: every matrix is a general one here,
which is why formulas have transposes that a symmetric argument makes disappear. Both answers are judged by the same
numbers: `jax.grad` of the expression as typed, in float64, at three points where no matrix is symmetric. SymPy is asked
in every way that its classes allow (sizes by name and by number; a sum of traces as one trace, and as a 1 x 1 matrix)
and its best answer counts; a gradient laid out as its transpose counts as right."""


def main() -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", metavar="NAME", action="append", help="lines of the list, by default all")
    parser.add_argument("--markdown", action="store_true", help="print DERIVATIONS.md")
    options = parser.parse_args()
    lines = [line for line in chosen(options.only) if not line.refused]
    rows = [row for done in in_processes(compare, lines) for row in done]
    shown = document(rows) if options.markdown else f"{side_by_side(rows).text(200)}\n\n{totals(rows).text()}"
    print(shown)
    return 0 if all(row.gdiff.status in FINE for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
