"""`gdiff check`: a formula somebody wrote, held against the derivative of the expression it belongs to.

Text is read first; JAX loads only for what could be read. The verdict is of `verify`; what is added here are points to
judge at, and the words of the expression itself for what is missing from a formula.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice, permutations
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gdiff.derivation import Expression, ReadError, parse_together
from gdiff.derivation.adjoint import gradient_terms, is_symmetric, pieces, sums
from gdiff.derivation.grammar import read
from gdiff.derivation.tree import SCALAR, Call, Node, Number, Power, Product, Sum, Symbol, symbols, walk
from gdiff.derivation.vocabulary import GREEK, kind_of
from gdiff.display import matrix_text
from gdiff.printed import Numbers, read_numbers

if TYPE_CHECKING:
    from gdiff.domains import Domain
    from gdiff.verdict import Verdict

Source: TypeAlias = "str | PathLike[str] | np.ndarray | Sequence[Any] | float"
Shapes: TypeAlias = Mapping[str, Sequence[int | str] | int]
Term: TypeAlias = tuple[str, Callable[[Mapping[str, np.ndarray]], np.ndarray]]

_SIZES = (3, 4, 2, 5, 6, 7, 8)  # of the dimensions that have names: all different, so that a transpose shows
_TRIALS = 16
_ENOUGH = 0.6  # of the trial points: where the expression is finite at so many, they are drawn well
_MOST_TERMS = 80
_MOST_ORDERS = 1000
_MOST_ROUNDED = 400  # entries
_PRINTED = 9  # digits of numbers in the summary


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
        lines = [f"f = {self.expression.text}"]
        if isinstance(self.claim, Expression):
            lines.append(f"{symbol} = {self.claim.text}, you say")
        else:
            lines += [f"{symbol}, you say, from {self.claim.source}:", matrix_text(self.claim.array, indent="  ")]
        lines += [f"Read as: {self.shapes_text}.", *(f"Note: {note}." for note in self.notes), ""]
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


def _assignments(texts: Iterable[str], option: str, example: str) -> list[tuple[str, str]]:
    out: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or (option == "--at" and not value.strip()):
            raise ValueError(f"{option} {text}: want NAME=VALUE, as in {example}")
        name = _name(name)
        if name in out:
            raise ValueError(f"{option}: `{name}` is given twice")
        out[name] = value.strip()
    return list(out.items())


def _name(text: str) -> str:
    """A name as the reader spells it: Σ and \\Sigma are Sigma."""
    return "".join(GREEK.get(c, c) for c in text.strip().lstrip("\\"))


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
) -> Checked:
    """Hold a formula, or numbers, against the derivative of an expression with respect to one of its names.

    `at` gives values (paths of CSV files, texts of numbers, or arrays) for the names of the expression, `claim_file`
    the numbers that are claimed there. Raises ValueError (a ReadError where a text cannot be read).
    """
    if (claim is None) == (claim_file is None):
        raise ValueError("want one claim: a formula after the expression, or numbers by --claim FILE with --at")
    if claim_file is not None and not at:
        raise ValueError("numbers are claimed at a point: give it by --at, as in --at S=S.csv x=x.csv")
    texts = [expression] if claim is None else [expression, claim]
    wrt, structured = (
        _name(wrt),
        tuple(_name(name) for name in ([symmetric] if isinstance(symmetric, str) else symmetric)),
    )
    declared = {_name(name): shape for name, shape in (shapes or {}).items()}
    _check_names(texts, wrt, structured, declared, at)
    values = {_name(name): _numbers(name, source) for name, source in (at or {}).items()}
    for name, numbers in values.items():
        declared.setdefault(name, _shape_of(name, numbers.array))
    f, *claims = _read(texts, declared, wrt, structured)
    claimed: Expression | Numbers = claims[0] if claims else _numbers("--claim", claim_file)
    problem = _Problem(f, claimed, wrt, 2 if hessian else 1, values, seed)
    return problem.checked()


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
        given = {_name(name) for name in at}
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


# --- points to judge at -------------------------------------------------------------------------------------------


def _rank(node: Node, size: Callable[[Any], int]) -> int:
    """The largest rank that a matrix written like this can have."""
    full = min(size(node.shape[0]), size(node.shape[1]))
    match node:
        case Product(factors):
            return min(full, *(_rank(f, size) for f in factors if not f.is_scalar)) if full > 1 else full
        case Sum(terms):
            return min(full, sum(_rank(term, size) for term in terms))
        case Call("t", (inner,)):
            return _rank(inner, size)
    return full


def _inverted(node: Node) -> list[Node]:
    """What is inverted, or has its determinant taken."""
    out = []
    for part in walk(node):
        match part:
            case Power(base, Number(k)) if k < 0 and not base.is_scalar:
                out.append(base)
            case Call("det", (inner,)):
                out.append(inner)
    return out


def _capital(text: str) -> str:
    return text if re.match(r"\w+[(*']", text) else text[:1].upper() + text[1:]


def _sizes(f: Expression, wrt: str) -> dict[str, int]:
    """A number for each named dimension: all different, and such that what is inverted can have full rank."""
    from gdiff.derivation.evaluate import size_of  # JAX loads here

    own = f.all_shapes
    order = [wrt, *(name for name in own if name != wrt)]
    named = list(dict.fromkeys(d for name in order for size in own[name] for d in _dimensions(size)))
    if not named:
        return {}
    inverted = _inverted(f.node)
    pool = _SIZES[: len(named)] if len(named) <= len(_SIZES) else tuple(range(2, len(named) + 2))
    for choice in islice(permutations(pool), _MOST_ORDERS):
        sizes = dict(zip(named, choice, strict=True))
        if all(_rank(n, partial(size_of, sizes=sizes)) == size_of(n.shape[0], sizes) for n in inverted):
            return sizes
    return dict(zip(named, pool, strict=True))


def _sentences(text: str) -> list[str]:
    """One a line."""
    out, start = [], 0
    for i, c in enumerate(text):
        if c == "." and text[i + 1 : i + 2] == " " and text[i + 2 : i + 3].isupper():
            out.append(text[start : i + 1])
            start = i + 2
    return [*out, text[start:]] if text[start:] else out


class _Problem:
    """One expression, one claim, and where they are compared."""

    def __init__(
        self,
        f: Expression,
        claim: Expression | Numbers,
        wrt: str,
        order: int,
        values: Mapping[str, Numbers],
        seed: int,
    ) -> None:
        from gdiff.derivation.evaluate import size_of

        self.f, self.claim, self.wrt, self.order, self.values, self.seed = f, claim, wrt, order, values, seed
        self.names = tuple(name for name in f.all_shapes if name in f.symbols)
        self.notes: list[str] = list(f.notes)
        self.hypotheses: tuple[str, ...] = ()
        self.extra = self._names_of_the_claim_alone()
        self.sizes = _sizes(f, wrt)
        self.shapes = {name: tuple(size_of(size, self.sizes) for size in shape) for name, shape in f.all_shapes.items()}

        self._vech(size_of)

    def _vech(self, size_of: Callable[..., int]) -> None:
        """A claim as long as the vech of the variable says that the variable is symmetric."""
        d = self.shape(self.wrt)[0] if self.wrt in self._squares() else 1
        if d == 1 or self.wrt in self.f.symmetric:
            return
        if isinstance(self.claim, Numbers):
            shape = self.claim.array.shape
        else:
            shape = tuple(size_of(size, self.sizes) for size in self.claim.node.shape)
        k = d * (d + 1) // 2
        if sorted(shape) == ([k, k] if self.order == 2 else [1, k]):
            self.f = replace(self.f, symmetric=self.f.symmetric | {self.wrt})
            self.hypotheses = (f"{self.wrt} symmetric",)
            self.notes.append(f"`{self.wrt}` is taken as symmetric: the claim has the size of its vech")

    def _names_of_the_claim_alone(self) -> tuple[str, ...]:
        if not isinstance(self.claim, Expression):
            return ()
        extra = tuple(name for name in self.claim.symbols if name not in self.names)
        for name in extra:
            if self.f.all_shapes[name] != SCALAR:
                known = ", ".join(self.names)
                raise ValueError(f"the claim has `{name}`, which the expression does not; its names: {known}")
        return extra

    def shape(self, name: str) -> tuple[int, ...]:
        rows, columns = self.shapes[name]
        return () if (rows, columns) == (1, 1) else (rows,) if columns == 1 else (rows, columns)

    # --- domains and points -----------------------------------------------------------------------------------

    def _domains(self, positive: str) -> tuple[Domain, ...]:
        from gdiff.domains import General, Positive, PositiveDefinite, Scalar, Symmetric, Vector

        definite = {
            name
            for part in walk(self.f.node)
            if isinstance(part, Call | Power) and not (isinstance(part, Call) and part.function in ("t", "tr", "had"))
            for name in symbols(part)
        }
        out: list[Domain] = []
        for name in self.names:
            rank = len(self.shape(name))
            if rank == 0:
                out.append(Positive() if positive or name in self.f.symmetric else Scalar())
            elif name in self.f.symmetric:
                out.append(PositiveDefinite() if name in definite or positive else Symmetric())
            elif rank == 1:
                out.append(Positive() if positive == "all" else Vector())
            else:
                out.append(Positive() if positive == "all" else General())
        return tuple(out)

    def _points(self, domains: Sequence[Domain]) -> tuple[float, list[tuple[np.ndarray, ...]]]:
        """Trial points at which the expression is finite, and their share."""
        rng = np.random.default_rng(self.seed)
        f, good = self.f.numpy_function(self.names), []
        for _ in range(_TRIALS):
            drawn = [d.sample(rng, self.shape(n), condition=6.0) for n, d in zip(self.names, domains, strict=True)]
            point = tuple(np.asarray(x, dtype=float) for x in drawn)
            if np.all(np.isfinite(_value(f, point))):
                good.append(point)
        return len(good) / _TRIALS, good

    def _given(self) -> tuple[np.ndarray, ...]:
        out = []
        for name in self.names:
            array = self.values[name].array
            if name in self.f.symmetric:
                _check_symmetric(name, array, self.values[name])
            out.append(array.reshape(self.shape(name)))
        return tuple(out)

    def choose(self) -> tuple[tuple[Domain, ...], tuple[np.ndarray, ...]]:
        """Domains on which the expression is finite, and a point."""
        tried = []
        for positive in ("", "scalars", "all"):
            domains = self._domains(positive)
            share, points = self._points(domains)
            tried.append((share, domains, points))
            if share >= _ENOUGH:
                break
        share, domains, points = max(tried, key=lambda item: item[0])
        if self.values:
            return domains, self._given()
        if points:
            return domains, points[0]
        rng = np.random.default_rng(self.seed)
        return domains, tuple(d.sample(rng, self.shape(n)) for n, d in zip(self.names, domains, strict=True))

    # --- the verdict ------------------------------------------------------------------------------------------

    def checked(self) -> Checked:
        """Choose points, judge, and say what the derivative is where the claim is wrong."""
        domains, point = self.choose()
        verdict = self._judged(domains, point)
        if self.hypotheses and verdict.holds:
            verdict = replace(
                verdict, status="holds under hypotheses", hypotheses=(*self.hypotheses, *verdict.hypotheses)
            )
        derivative = self._derivative(domains) if verdict.refuted and self.order == 1 else ()
        shown = {name: size for name, size in self.sizes.items() if not self.values}
        return Checked(
            verdict,
            self.f,
            self.claim,
            self.wrt,
            self.order,
            shown,
            tuple(dict.fromkeys((*self.notes, *verdict.notes))),
            derivative,
            self._forgotten(verdict),
            self.seed,
        )

    def _judged(self, domains: Sequence[Domain], point: Sequence[np.ndarray]) -> Verdict:
        from gdiff.domains import Positive, Scalar

        verdict = self._with_dimensions(domains, point)
        scalars = [n for n, d in zip(self.names, domains, strict=True) if isinstance(d, Scalar)]
        if verdict.refuted and scalars and not self.values and _has_roots(self.f.node):
            positive = [Positive() if isinstance(d, Scalar) else d for d in domains]
            inside = [np.abs(x) if isinstance(d, Scalar) else x for d, x in zip(domains, point, strict=True)]
            again = self._with_dimensions(positive, inside)
            if again.holds:
                hypotheses = (*again.hypotheses, *(f"{name} positive" for name in scalars))
                return replace(again, status="holds under hypotheses", hypotheses=hypotheses)
        return verdict

    def _with_dimensions(self, domains: Sequence[Domain], point: Sequence[np.ndarray]) -> Verdict:
        """A scalar that only the claim has can be a dimension: d/a for the gradient of log(det(a*S))."""
        if not self.extra:
            return self._verdict(domains, point, {})
        choices = {**self.sizes, **{str(s): s for n in self.names for s in self.shapes[n] if s > 1}}
        if len(self.extra) > 1 or not choices:
            known = ", ".join(self.names)
            raise ValueError(f"the claim has `{self.extra[0]}`, which the expression does not; its names: {known}")
        (name,) = self.extra
        verdicts = []
        for dimension, size in {size: d for d, size in reversed(choices.items())}.items():
            verdict = self._verdict(domains, point, {name: float(dimension)})
            verdicts.append((verdict, f"`{name}`, which the claim alone has, is read as the size {size}"))
            if verdict.holds:
                break
        verdict, note = next((pair for pair in verdicts if pair[0].holds), verdicts[0])
        self.notes.append(note)
        return verdict

    def _verdict(
        self, domains: Sequence[Domain], point: Sequence[np.ndarray], constants: Mapping[str, float]
    ) -> Verdict:
        from gdiff.verify import verify_gradient, verify_hessian, verify_jacobian

        claimed: Any
        digits: Any = None
        terms: list[Term] = []
        if isinstance(self.claim, Expression):
            inner, wanted = self.claim.numpy_function((*self.names, *constants)), tuple(constants.values())
            claimed = lambda *args: inner(*(np.asarray(a) for a in args), *wanted)  # noqa: E731
        else:
            claimed, digits = self._claimed_numbers(point)
        if self.order == 1 or len(self.shape(self.wrt)) < 2:
            terms = self._vocabulary(constants)
        declared = [
            d
            if name in self.f.symmetric or len(self.shape(name)) != 2 or self.shapes[name][0] != self.shapes[name][1]
            else None
            for name, d in zip(self.names, domains, strict=True)
        ]
        scalar = self.f.node.shape == SCALAR
        if self.order == 2 and not scalar:
            raise ValueError(f"a Hessian is of a scalar; `{self.f.text}` is not")
        verify = verify_hessian if self.order == 2 else verify_gradient if scalar else verify_jacobian
        return verify(
            self.f.function(self.names), claimed, *point, argnums=self.names.index(self.wrt), domains=declared,
            digits=digits, seed=self.seed, names=self.names, terms=terms,
        )  # fmt: skip

    def _claimed_numbers(self, point: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        assert isinstance(self.claim, Numbers)
        array, half = self.claim.array, self.claim.half_units + self._rounding_of_the_point(point)
        shape = self.shape(self.wrt)
        if self.order == 1 and array.size == int(np.prod(shape)) and (array.shape == shape or 1 in array.shape):
            flat = len(shape) == 2 and array.shape != shape
            return (array.reshape(-1), half.reshape(-1)) if flat else (array.reshape(shape), half.reshape(shape))
        if 1 in array.shape:
            return array.reshape(-1), half.reshape(-1)
        return array, half

    def _rounding_of_the_point(self, point: Sequence[np.ndarray]) -> float:
        """By how much the derivative answers to the rounding of the numbers that it is taken at."""
        halves = [self.values[name].rounding.reshape(x.shape) for name, x in zip(self.names, point, strict=True)]
        if not any(h.any() for h in halves) or sum(h.size for h in halves) > _MOST_ROUNDED:
            return 0.0
        import jax

        from gdiff.oracles import judging

        which = self.names.index(self.wrt)
        derivative = jax.hessian if self.order == 2 else jax.jacrev
        with judging():
            slopes = jax.jit(jax.jacfwd(derivative(self.f.function(self.names), which), tuple(range(len(point)))))
            answers = slopes(*point)
        worst = sum(np.tensordot(np.abs(np.asarray(a)), h, axes=h.ndim) for a, h in zip(answers, halves, strict=True))
        most = 2 * float(np.max(worst, initial=0.0))  # 2: both entries of a pair move
        if not np.isfinite(most):
            return 0.0
        rounded = ", ".join(self.values[n].source for n, h in zip(self.names, halves, strict=True) if h.any())
        self.notes.append(f"{rounded}: taken as rounded to the digits printed, which is worth {most:.1g} in the result")
        return most

    # --- words for the diagnosis ------------------------------------------------------------------------------

    def _squares(self) -> tuple[str, ...]:
        return tuple(n for n in self.names if len(self.shape(n)) == 2 and len(set(self.shape(n))) == 1)

    def _gradient(self, symmetric: Iterable[str]) -> tuple[tuple[Fraction, Expression], ...]:
        return gradient_terms(replace(self.f, symmetric=frozenset(symmetric)), self.wrt)

    def _vocabulary(self, constants: Mapping[str, float]) -> list[Term]:
        """The terms of the claim, and those of the derivative in the same words."""
        own: list[Expression] = []
        if isinstance(self.claim, Expression) and self.claim.node != Number(Fraction(0)):
            own = [term for _, term in pieces(self.claim, whole=_loose(sums(self.claim)), squares_only=True)]
        mine, kept = {_key(term) for term in own}, {part for term in own for part in _factors(term)}
        derived = [t for s in (self._squares(), self.f.symmetric) for _, t in self._gradient(s) if self.order == 1]
        opened: set[Node] = set()  # sums that the person multiplied out: x - mu in inv(S)*x
        for term in derived:
            if any(_key(piece) in mine for _, piece in pieces(term, whole=kept)):
                opened |= sums(term)
        for term in derived:
            own += [piece for _, piece in pieces(term, whole=(sums(term) - opened) | kept)]
        texts: dict[str, Term] = {}
        square = self.wrt in self._squares()
        for term in own:
            compute = self._compute(term, constants)
            symmetric_term = not square or is_symmetric(term.node, frozenset(self._squares()))
            texts.setdefault(term.text, (term.text, compute))
            if not symmetric_term:
                texts.setdefault(f"sym({term.text})", (f"sym({term.text})", _symmetrised(compute)))
        if square:
            for text, compute in list(texts.values()):
                texts.setdefault(f"had({text}, I)", (f"had({text}, I)", _on_diagonal(compute)))
        return list(texts.values())[:_MOST_TERMS]

    def _forgotten(self, verdict: Verdict) -> tuple[str, ...]:
        """The terms of the expression none of whose derivative is in the claim, where that of others is."""
        found = verdict.diagnosis.evidence if verdict.diagnosis is not None else {}
        want, have = found.get("true_terms", {}), found.get("claimed_terms", {})
        if not set(want) - set(have) or set(have) - set(want):
            return ()
        out, kept = [], False
        for coefficient, part in self.f.terms():
            symmetric = self._squares() if verdict.hypotheses else self.f.symmetric
            terms = gradient_terms(replace(part, symmetric=frozenset(symmetric)), self.wrt)
            texts = {text for _, term in terms for text in (term.text, f"sym({term.text})")}
            if texts & set(want) and not texts & set(have):
                out.append(self.f.combine([(coefficient, part)]).text)
            kept |= bool(texts & set(have))
        return tuple(f"`{text}` depends on {self.wrt} too." for text in out) if kept else ()

    def _compute(self, term: Expression, constants: Mapping[str, float]) -> Callable[..., np.ndarray]:
        function = term.numpy_function((*self.names, *constants))

        def compute(arguments: Mapping[str, np.ndarray]) -> np.ndarray:
            return np.asarray(function(**{name: arguments[name] for name in self.names}, **constants))

        return compute

    def _derivative(self, domains: Sequence[Domain]) -> tuple[tuple[str, str], ...]:
        """The derivative as a formula, if it can be told, and as it is for symmetric matrices."""
        out: dict[str, str] = {}
        undeclared = [n for n in self._squares() if n not in self.f.symmetric]
        for symmetric in (self.f.symmetric, self._squares()):
            terms = self._gradient(symmetric)
            if not terms or not self._agrees(terms, domains):
                continue
            text = _total(terms, symmetric)
            condition = f" for symmetric {' and '.join(undeclared)}" if symmetric is not self.f.symmetric else ""
            if self.wrt in symmetric:
                condition += " in the full convention" if not condition else ", full convention"
            if text not in out.values():
                out[condition] = text
        return tuple(out.items())

    def _agrees(self, terms: Sequence[tuple[Fraction, Expression]], domains: Sequence[Domain]) -> bool:
        """Whether the terms are the derivative by central differences: nothing is printed that is not checked."""
        f = self.f.numpy_function(self.names)
        parts = [(float(c), term.numpy_function(self.names)) for c, term in terms]
        which, rng = self.names.index(self.wrt), np.random.default_rng(self.seed)
        symmetric = terms[0][1].symmetric
        from gdiff.domains import PositiveDefinite

        own = [PositiveDefinite() if n in symmetric else d for n, d in zip(self.names, domains, strict=True)]
        agreed = 0
        for point in self._points(own)[1][:3]:
            step = 1e-4 * own[which].project(rng.normal(size=point[which].shape))
            moved = [tuple(x + k * step if i == which else x for i, x in enumerate(point)) for k in (-2, -1, 1, 2)]
            a, b, c, d = (float(_value(f, m)) for m in moved)
            slope = (a - 8 * b + 8 * c - d) / 12
            with np.errstate(all="ignore"):
                gradient = sum(k * part(*point) for k, part in parts)
            mine = float(np.sum(np.asarray(gradient) * step))
            size = float(np.linalg.norm(gradient) * np.linalg.norm(step))
            if not abs(mine - slope) <= 1e-5 * size + 1e-10 * abs(float(_value(f, point))):
                return False
            agreed += 1
        return agreed > 0


def _dimensions(size: Any) -> list[str]:
    if isinstance(size, str):
        return [size]
    return [name for part in size[1:] for name in _dimensions(part)] if isinstance(size, tuple) else []


def _value(f: Callable[..., Any], point: Sequence[np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        try:
            return np.asarray(f(*point), dtype=float)
        except np.linalg.LinAlgError:
            return np.array(np.nan)


def _check_symmetric(name: str, array: np.ndarray, numbers: Numbers) -> None:
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{numbers.source}: `{name}` is declared symmetric and has the shape {array.shape}")
    apart = np.abs(array - array.T) - 2 * np.maximum(numbers.half_units, numbers.half_units.T)
    apart -= np.sqrt(np.finfo(float).eps) * np.abs(array)
    if np.any(apart > 0):
        i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
        raise ValueError(
            f"{numbers.source}: `{name}` is declared symmetric, but entry [{i + 1},{j + 1}] is {array[i, j]:g} and "
            f"[{j + 1},{i + 1}] is {array[j, i]:g}; leave --symmetric {name} out for a general matrix"
        )


def _has_roots(node: Node) -> bool:
    """Whether the expression may depend on the sign of a scalar only: sqrt(a^2), |a|, norm(a*x)."""
    return any(
        (isinstance(part, Call) and part.function in ("sqrt", "abs", "norm"))
        or (isinstance(part, Power) and isinstance(part.exponent, Number) and part.exponent.value.denominator != 1)
        for part in walk(node)
    )


def _loose(whole: frozenset[Node]) -> frozenset[Node]:
    """Sums that stay together in the terms of a claim: those of vectors and scalars."""
    return frozenset(node for node in whole if node.shape[0] != node.shape[1] or node.is_scalar)


def _factors(term: Expression) -> tuple[Node, ...]:
    """The factors of a term, without their transposes."""
    parts = term.node.factors if isinstance(term.node, Product) else (term.node,)
    return tuple(p.arguments[0] if isinstance(p, Call) and p.function == "t" else p for p in parts)


def _key(term: Expression) -> tuple[frozenset[Node], tuple[Node, ...]]:
    """What two spellings of a term have in common: scalars may stand anywhere, numbers do not count."""
    parts = term.node.factors if isinstance(term.node, Product) else (term.node,)
    scalars = frozenset(p for p in parts if p.is_scalar and not isinstance(p, Number))
    return scalars, tuple(p for p in parts if not p.is_scalar)


def _symmetrised(compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda arguments: (compute(arguments) + compute(arguments).T) / 2


def _on_diagonal(compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda arguments: compute(arguments) * np.eye(len(compute(arguments)))


def _total(terms: Sequence[tuple[Fraction, Expression]], symmetric: Iterable[str]) -> str:
    return terms[0][1].combine(terms).text


__all__ = ["Checked", "ReadError", "check", "parse_at", "parse_shapes"]
_ = Symbol
