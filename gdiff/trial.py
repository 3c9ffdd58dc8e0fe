"""Where an expression and a claim about its derivative are compared: sizes, domains, points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.tree import SCALAR, Call, Node, Number, Power, Product, Sum, symbols, walk
from gdiff.printed import Numbers
from gdiff.wording import Term, Wording

if TYPE_CHECKING:
    from gdiff.domains import Domain
    from gdiff.verdict import Verdict

_SIZES = (3, 4, 2, 5, 6, 7, 8)  # of the dimensions that have names: all different, so that a transpose shows
_TRIALS = 16
_ENOUGH = 0.6  # of the trial points: where the expression is finite at so many, they are drawn well
_MOST_ORDERS = 1000
_LARGE = 12  # rows
_MOST_ROUNDED = 400  # entries


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: the verdict, the expression with what was taken for granted, and words for a person."""

    verdict: Verdict
    expression: Expression
    notes: tuple[str, ...]
    derivative: tuple[tuple[str, str], ...]  # (under what condition, formula)
    forgotten: tuple[str, ...]  # which terms of the expression were not differentiated


class Trial:
    """One expression, one claim, and where they are compared."""

    def __init__(
        self,
        f: Expression,
        claim: Expression | Numbers,
        wrt: str,
        order: int,
        values: Mapping[str, Numbers],
        seed: int,
        degenerate: bool = False,
    ) -> None:
        from gdiff.derivation.evaluate import size_of

        self.f, self.claim, self.wrt, self.order, self.values, self.seed = f, claim, wrt, order, values, seed
        self.degenerate = degenerate
        self.names = tuple(name for name in f.all_shapes if name in f.symbols)
        self.notes: list[str] = list(f.notes)
        self.hypotheses: tuple[str, ...] = ()
        own = claim.symbols if isinstance(claim, Expression) else ()
        self.differential = next((name for name in own if name == f"d{wrt}" and name not in self.names), None)
        if self.differential and order == 2:
            raise ValueError(f"the claim has `{self.differential}`: want a matrix of second derivatives with --hessian")
        if self.differential and f.node.shape == SCALAR:
            form = f"G'*{self.differential}"
            matrix = f.all_shapes[wrt][1] != 1
            gradient = f"tr({form})" if matrix else form
            self.notes.append(f"the differential is compared by its gradient G, df = {gradient}")
        self.extra = self._names_of_the_claim_alone()
        self.sizes = _sizes(f, wrt)
        for node in _inverted(f.node):
            if _rank(node, partial(size_of, sizes=self.sizes)) < size_of(node.shape[0], self.sizes):
                self.notes.append(f"`{replace(f, node=node).text}` is inverted, and singular whatever is in it")
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
        extra = tuple(name for name in self.claim.symbols if name not in (*self.names, self.differential))
        for name in extra:
            if self.f.all_shapes[name] != SCALAR:
                known = ", ".join(self.names)
                raise ValueError(f"the claim has `{name}`, which the expression does not; its names: {known}")
        return extra

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value of that name."""
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
                array = _symmetric(name, self.values[name])
            out.append(array.reshape(self.shape(name)))
        return tuple(out)

    def choose(self) -> tuple[tuple[Domain, ...], tuple[np.ndarray, ...]]:
        """Domains on which the expression is finite, and a point."""
        from gdiff.domains import Symmetric

        tried = []
        for positive in ("", "scalars", "all"):
            domains = self._domains(positive)
            share, points = self._points(domains)
            tried.append((share, domains, points))
            if share >= _ENOUGH:
                break
        share, domains, points = max(tried, key=lambda item: item[0])
        if self.values:
            given = self._given()
            within = [d if d.contains(x) else Symmetric() for d, x in zip(domains, given, strict=True)]
            declared = [n in self.f.symmetric and len(self.shape(n)) == 2 for n in self.names]
            return tuple(w if s else d for w, d, s in zip(within, domains, declared, strict=True)), given
        if points:
            return domains, points[0]
        rng = np.random.default_rng(self.seed)
        return domains, tuple(d.sample(rng, self.shape(n)) for n, d in zip(self.names, domains, strict=True))

    # --- the verdict ------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Choose points, judge, and say what the derivative is where the claim is wrong."""
        domains, point = self.choose()
        verdict = self._judged(domains, point)
        if self.hypotheses and verdict.holds:
            hypotheses = (*self.hypotheses, *verdict.hypotheses)
            verdict = replace(verdict, status="holds under hypotheses", hypotheses=hypotheses)
        wording = self._wording()
        derivative: dict[str, str] = {}
        if verdict.refuted and self.order == 1:
            for condition, terms in wording.derivatives():
                text = terms[0][1].combine(terms).text
                if text not in derivative.values() and self._agrees(terms, domains):
                    derivative[condition] = text
        notes = tuple(dict.fromkeys((*self.notes, *verdict.notes)))
        return Outcome(verdict, self.f, notes, tuple(derivative.items()), wording.forgotten(verdict))

    def _wording(self) -> Wording:
        return Wording(self.f, self.wrt, frozenset(self._squares()))

    def _squares(self) -> tuple[str, ...]:
        return tuple(n for n in self.names if len(self.shape(n)) == 2 and len(set(self.shape(n))) == 1)

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
        from gdiff.verify import verify_differential, verify_gradient, verify_hessian, verify_jacobian

        claimed: Any
        digits: Any = None
        terms: list[Term] = []
        if isinstance(self.claim, Expression):
            tangents = (self.differential,) if self.differential else ()
            inner, wanted = self.claim.numpy_function((*self.names, *tangents, *constants)), tuple(constants.values())
            claimed = lambda *args: inner(*(np.asarray(a) for a in args), *wanted)  # noqa: E731
        else:
            claimed, digits = self._claimed_numbers(point)
        if self.order == 1 or len(self.shape(self.wrt)) < 2:
            claim = self.claim if isinstance(self.claim, Expression) and not self.differential else None
            terms = self._wording().vocabulary(claim, self.order, constants)
        declared = [
            d
            if name in self.f.symmetric or len(self.shape(name)) != 2 or self.shapes[name][0] != self.shapes[name][1]
            else None
            for name, d in zip(self.names, domains, strict=True)
        ]
        scalar = self.f.node.shape == SCALAR
        if self.order == 2 and not scalar:
            raise ValueError(f"a Hessian is of a scalar; `{self.f.text}` is not")
        common: dict[str, Any] = {
            "argnums": self.names.index(self.wrt), "domains": declared, "seed": self.seed, "names": self.names,
            "terms": terms,
        }  # fmt: skip
        if self.differential:
            return verify_differential(self.f.function(self.names), claimed, *point, **common)
        verify = verify_hessian if self.order == 2 else verify_gradient if scalar else verify_jacobian
        return verify(self.f.function(self.names), claimed, *point, digits=digits, degenerate=self.degenerate, **common)

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
    if _largest(f.node, dict.fromkeys(named, 3)) > _LARGE:  # nested Kronecker products
        pool = tuple(range(2, len(named) + 2))
    for choice in islice(permutations(pool), _MOST_ORDERS):
        sizes = dict(zip(named, choice, strict=True))
        if all(_rank(n, partial(size_of, sizes=sizes)) == size_of(n.shape[0], sizes) for n in inverted):
            return sizes
    return dict(zip(named, pool, strict=True))


def _largest(node: Node, sizes: Mapping[str, int]) -> int:
    """The longest side of any matrix on the way."""
    from gdiff.derivation.evaluate import size_of

    return max(size_of(size, sizes) for part in walk(node) for size in part.shape)


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


def _symmetric(name: str, numbers: Numbers) -> np.ndarray:
    """The matrix, symmetric to the last digit; what the digits printed do not excuse is an error."""
    array = numbers.array
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{numbers.source}: `{name}` is declared symmetric and has the shape {array.shape}")
    apart = np.abs(array - array.T) - 2 * np.maximum(numbers.rounding, numbers.rounding.T)
    apart -= np.sqrt(np.finfo(float).eps) * np.abs(array)
    if np.any(apart > 0):
        i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
        raise ValueError(
            f"{numbers.source}: `{name}` is declared symmetric, but entry [{i + 1},{j + 1}] is {array[i, j]:g} and "
            f"[{j + 1},{i + 1}] is {array[j, i]:g}; leave --symmetric {name} out for a general matrix"
        )
    return array / 2 + array.T / 2


def _has_roots(node: Node) -> bool:
    """Whether the expression may depend on the sign of a scalar only: sqrt(a^2), |a|, norm(a*x)."""
    return any(
        (isinstance(part, Call) and part.function in ("sqrt", "abs", "norm"))
        or (isinstance(part, Power) and isinstance(part.exponent, Number) and part.exponent.value.denominator != 1)
        for part in walk(node)
    )
