"""An expression and a claim about its derivative, compared where the expression lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.tree import SCALAR, Call, Node, Number, Power, walk
from gdiff.printed import Numbers
from gdiff.setting import Setting, value_at
from gdiff.wording import Term, Wording

if TYPE_CHECKING:
    from gdiff.domains import Domain
    from gdiff.verdict import Verdict

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

        self.claim, self.wrt, self.order, self.values, self.seed = claim, wrt, order, values, seed
        self.degenerate = degenerate
        self.names = tuple(name for name in f.all_shapes if name in f.symbols)
        self.notes: list[str] = list(f.notes)
        self._take(f)
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
        for node in self.setting.singular():
            self.notes.append(f"`{replace(f, node=node).text}` is inverted, and singular whatever is in it")
        self._vech(size_of)

    def _take(self, f: Expression) -> None:
        """Try this expression, its symmetric names as such."""
        self.f = f
        self.setting = Setting(f, self.wrt, dict.fromkeys(f.symmetric, "symmetric"), self.seed)
        self.sizes, self.shapes, self.shape = self.setting.sizes, self.setting.shapes, self.setting.shape

    def _vech(self, size_of: Callable[..., int]) -> None:
        """A claim as long as the vech of the variable says that the variable is symmetric."""
        d = self.shape(self.wrt)[0] if self.wrt in self.setting.squares else 1
        if d == 1 or self.wrt in self.f.symmetric:
            return
        if isinstance(self.claim, Numbers):
            shape = self.claim.array.shape
        else:
            shape = tuple(size_of(size, self.sizes) for size in self.claim.node.shape)
        k = d * (d + 1) // 2
        if sorted(shape) == ([k, k] if self.order == 2 else [1, k]):
            self._take(replace(self.f, symmetric=self.f.symmetric | {self.wrt}))
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

    # --- domains and points -----------------------------------------------------------------------------------

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

        domains, points = self.setting.choose()
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
        return Wording(self.f, self.wrt, frozenset(self.setting.squares))

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
        for point in self.setting.points(own)[1][:3]:
            step = 1e-4 * own[which].project(rng.normal(size=point[which].shape))
            moved = [tuple(x + k * step if i == which else x for i, x in enumerate(point)) for k in (-2, -1, 1, 2)]
            a, b, c, d = (float(value_at(f, m)) for m in moved)
            slope = (a - 8 * b + 8 * c - d) / 12
            with np.errstate(all="ignore"):
                gradient = sum(k * part(*point) for k, part in parts)
            mine = float(np.sum(np.asarray(gradient) * step))
            size = float(np.linalg.norm(gradient) * np.linalg.norm(step))
            if not abs(mine - slope) <= 1e-5 * size + 1e-10 * abs(float(value_at(f, point))):
                return False
            agreed += 1
        return agreed > 0


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
