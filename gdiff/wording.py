"""The words of an expression, for what is wrong with a formula: its terms, and those of its derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.structure import Structure
from gdiff.derivation.terms import gradient_terms, pieces, sums
from gdiff.derivation.tree import Call, Node, Number, Product

if TYPE_CHECKING:
    from gdiff.verdict import Verdict

Term: TypeAlias = tuple[str, Callable[[Mapping[str, np.ndarray]], np.ndarray]]

_MOST_TERMS = 80


@dataclass(frozen=True)
class Wording:
    """An expression f, the variable of its derivative, and which of its names are square matrices."""

    f: Expression
    wrt: str
    squares: frozenset[str]

    def _gradient(self, symmetric: Iterable[str]) -> tuple[tuple[Fraction, Expression], ...]:
        return gradient_terms(replace(self.f, symmetric=frozenset(symmetric)), self.wrt)

    def vocabulary(self, claim: Expression | None, order: int, constants: Mapping[str, float]) -> list[Term]:
        """The terms of the claim, and those of the derivative in the same words."""
        own: list[Expression] = []
        if claim is not None and claim.node != Number(Fraction(0)):
            own = [term for _, term in pieces(claim, whole=_loose(sums(claim)), squares_only=True)]
        mine, kept = {_key(term) for term in own}, {part for term in own for part in _factors(term)}
        derived = [t for s in (self.squares, self.f.symmetric) for _, t in self._gradient(s) if order == 1]
        opened: set[Node] = set()  # sums that the person multiplied out: x - mu in inv(S)*x
        for term in derived:
            if _key(term) not in mine and any(_key(piece) in mine for _, piece in pieces(term, whole=kept)):
                opened |= sums(term)
        for term in derived:
            own += [piece for _, piece in pieces(term, whole=(sums(term) - opened) | kept)]
        texts: dict[str, Term] = {}
        square, structure = self.wrt in self.squares, Structure(dict.fromkeys(self.squares, "symmetric"))
        for term in own:
            compute = _compute(term, constants)
            texts.setdefault(term.text, (term.text, compute))
            if square and not structure.is_symmetric(term.node):
                texts.setdefault(f"sym({term.text})", (f"sym({term.text})", _symmetrised(compute)))
        if square:
            for text, compute in list(texts.values()):
                texts.setdefault(f"had({text}, I)", (f"had({text}, I)", _on_diagonal(compute)))
        return list(texts.values())[:_MOST_TERMS]

    def forgotten(self, verdict: Verdict) -> tuple[str, ...]:
        """The terms of the expression none of whose derivative is in the claim, where that of others is."""
        found = verdict.diagnosis.evidence if verdict.diagnosis is not None else {}
        want, have = found.get("true_terms", {}), found.get("claimed_terms", {})
        if not set(want) - set(have) or set(have) - set(want):
            return ()
        out, kept = [], False
        for coefficient, part in self.f.terms():
            symmetric = self.squares if verdict.hypotheses else self.f.symmetric
            terms = gradient_terms(replace(part, symmetric=frozenset(symmetric)), self.wrt)
            texts = {text for _, term in terms for text in (term.text, f"sym({term.text})")}
            if texts & set(want) and not texts & set(have):
                out.append(self.f.combine([(coefficient, part)]).text)
            kept |= bool(texts & set(have))
        return tuple(f"`{text}` depends on {self.wrt} too." for text in out) if kept else ()

    def derivatives(self) -> Iterator[tuple[str, tuple[tuple[Fraction, Expression], ...]]]:
        """The derivative as it is, and as it is for symmetric matrices: under what condition, and its terms."""
        undeclared = [n for n in self.f.symbols if n in self.squares and n not in self.f.symmetric]
        for symmetric in (self.f.symmetric, self.squares) if undeclared else (self.f.symmetric,):
            condition = f" for symmetric {' and '.join(undeclared)}" if symmetric is not self.f.symmetric else ""
            if self.wrt in symmetric:
                condition += ", full convention" if condition else " in the full convention"
            terms = self._gradient(symmetric)
            if terms:
                yield condition, terms


def _compute(term: Expression, constants: Mapping[str, float]) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    names = tuple(name for name in term.symbols if name not in constants)
    function = term.numpy_function((*names, *constants))
    return lambda arguments: np.asarray(function(**{name: arguments[name] for name in names}, **constants))


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
