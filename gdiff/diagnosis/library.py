"""A small library of terms that derivatives of Gaussian models are made of, built from the arguments at hand.

Terms are products of conforming factors (S, inv(S), x, x', the residual (x - mu), a data matrix ...), their Hadamard
products with I, and the same times scalar factors such as 1/(nu + q), q a quadratic form. For second derivatives,
Kronecker and outer products of such. Texts are in gdiff's own notation: inv(S), x', *, had(A, I).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gdiff.diagnosis.case import Case, Sample
from gdiff.diagnosis.words import Factor, factors_of, is_palindrome, product_of, text_of, words

_MOST_TERMS = 420
_MOST_CROSSED = 40  # products of matrices with vectors between them


@dataclass(frozen=True)
class Term:
    """A text and the function that computes it: from a sample to a (first, second) tensor."""

    text: str
    compute: Callable[[Sample], np.ndarray]
    factors: tuple[str, ...] = ()


def _shaped(
    text: str, compute: Callable[[Sample], np.ndarray], structure: str, palindrome: bool
) -> tuple[str, Callable[[Sample], np.ndarray]]:
    """A term in the tangent space of the argument: sym(...) or tril(...) where it is not there of itself."""
    if structure == "symmetric" and not palindrome:
        return f"sym({text})", lambda s: (compute(s) + compute(s).T) / 2
    if structure == "lower":
        return f"tril({text})", lambda s: np.tril(compute(s))
    if structure == "diagonal":
        return f"had({text}, I)", lambda s: compute(s) * np.eye(len(compute(s)))
    return text, compute


def _flat(compute: Callable[[Sample], np.ndarray]) -> Callable[[Sample], np.ndarray]:
    return lambda s: compute(s).reshape(1, -1)


def times(term: Term, text: str, factor: Callable[[Sample], float]) -> Term:
    """A term times a scalar factor."""
    joined = f"{term.text}{text}" if text.startswith("/") else f"{text}*{term.text}"
    return Term(joined, lambda s: factor(s) * term.compute(s), (*term.factors, text))


def determinants(case: Case) -> list[tuple[str, Callable[[Sample], float]]]:
    """det(S) for every square argument."""
    shapes = {name: np.shape(a) for name, a in case.samples[0].arguments.items()}
    return [
        (f"det({name})", lambda s, name=name: float(np.linalg.det(s.arguments[name])))  # type: ignore[misc]
        for name, shape in shapes.items()
        if len(shape) == 2 and shape[0] == shape[1]
    ]


def _scalar_factors(case: Case, factors: Sequence[Factor]) -> list[tuple[str, Callable[[Sample], float]]]:
    """nu, 1/nu, 1/(1 + q), 1/(nu + q), nu/(nu + q), for scalar arguments nu and quadratic forms q."""
    scalars = [n for n, a in case.samples[0].arguments.items() if np.ndim(a) == 0]
    out: list[tuple[str, Callable[[Sample], float]]] = []
    for n in scalars:
        out.append((n, lambda s, n=n: float(s.arguments[n])))  # type: ignore[misc]
        out.append((f"/{n}", lambda s, n=n: 1 / float(s.arguments[n])))  # type: ignore[misc]
    inverses = [f for f in factors if f.text.startswith("inv(") and not f.text.endswith("'")]
    for row in (f for f in factors if f.shape[0] == 1 and f.shape[1] > 1):
        for middle in (m for m in inverses if m.shape[0] == row.shape[1]):
            quadratic = f"{row.text}*{middle.text}*{row.text[:-1]}"

            def q(s: Sample, row: Factor = row, middle: Factor = middle) -> float:
                r = row.compute(s)
                return float((r @ middle.compute(s) @ r.T)[0, 0])

            out.append((f"/(1 + {quadratic})", lambda s, q=q: 1 / (1 + q(s))))  # type: ignore[misc]
            for n in scalars:
                out.append(
                    (f"/({n} + {quadratic})", lambda s, n=n, q=q: 1 / (float(s.arguments[n]) + q(s)))  # type: ignore[misc]
                )
    return out


def _first_order(case: Case, raw: bool, longest: int) -> list[Term]:
    shape = case.second.shape
    structure = case.structures.get(case.name, "general")
    factors = factors_of(case, raw)
    rows, columns = (shape + (1, 1))[:2] if len(shape) < 3 else (0, 0)
    terms: dict[str, Term] = {}

    def add(text: str, compute: Callable[[Sample], np.ndarray], word: Sequence[Factor], palindrome: bool) -> None:
        text, compute = _shaped(text, compute, structure, palindrome)
        if len(terms) < _MOST_TERMS and text not in terms:
            terms[text] = Term(text, _flat(compute), tuple(f.text for f in word))

    seen: set[str] = set()
    for word in words(factors, rows, columns, longest):
        palindrome = is_palindrome(word, case.structures)
        mirrored = "*".join(f.text for f in reversed(word))
        if structure == "symmetric" and not palindrome and mirrored in seen:
            continue
        seen.add(text_of(word))
        add(text_of(word), product_of(word), word, palindrome)
    if rows == columns and rows > 1:
        identity = Factor("I", lambda s: np.eye(rows), (rows, rows), "I")  # noqa: ARG005
        ones = Factor("ones", lambda s: np.ones((rows, rows)), (rows, rows), "ones")  # noqa: ARG005
        add("I", identity.compute, (identity,), True)
        add("ones", ones.compute, (ones,), True)
        if structure in ("symmetric", "general", "lower"):
            for term in list(terms.values())[: _MOST_TERMS // 3]:
                if term.text not in ("I", "ones"):
                    terms[f"had({term.text}, I)"] = Term(
                        f"had({term.text}, I)",
                        lambda s, t=term: t.compute(s) * np.eye(rows).reshape(1, -1),  # type: ignore[misc]
                        ("had", *term.factors),
                    )
    elif not shape:
        terms.setdefault("1", Term("1", lambda s: np.ones((1, 1)), ()))  # noqa: ARG005
    return list(terms.values())


def _second_order(case: Case, raw: bool, convention: str | None) -> list[Term]:
    """Terms of a block of a Hessian, as the convention lays it out: N (U ⊗ V) N, or D' (U ⊗ V) D, and so on."""
    if convention != "symmetric":
        return _second_order_full(case, raw)
    return [
        Term(t.text, lambda s, t=t: case.in_distinct_entries(t.compute(s)), t.factors)  # type: ignore[misc]
        for t in _second_order_full(case, raw)
    ]


def _second_order_full(case: Case, raw: bool) -> list[Term]:
    """N (U ⊗ V) N and vec(U) vec(V)' for matrices U, V."""
    factors = factors_of(case, raw)

    def dimension(shape: tuple[int, ...]) -> int:
        return shape[0] if shape else 1

    d = dimension(case.second.shape)
    if case.conventions == (None,) and len(case.first.shape) == len(case.second.shape) == 2:
        return _second_order_general(factors, d) if case.first.shape == case.second.shape == (d, d) else []
    squares = [w for w in words(factors, d, d, 4) if is_palindrome(w, case.structures)][:8] if d > 1 else []
    matrices = [(text_of(w), product_of(w)) for w in squares]
    if d > 1:
        matrices.append(("I", lambda s: np.eye(d)))  # noqa: ARG005
    first, second = len(case.first.shape), len(case.second.shape)
    out: list[Term] = []
    if first == second == 2:
        for i, (a, u) in enumerate(matrices):
            for b, v in matrices[i:]:
                out.append(Term(f"kron({a}, {b})", _kron(u, v), (a, b)))
                out.append(Term(f"vec({a})*vec({b})'", _outer(u, v), (a, b)))
        return out
    if first == second == 1:
        found = words(factors, dimension(case.first.shape), d, 4)
        return [Term(text_of(w), product_of(w), tuple(f.text for f in w)) for w in found] + [
            Term("I", lambda s: np.eye(d), ("I",))  # noqa: ARG005
        ]
    vectors = [(text_of(w), product_of(w)) for w in words(factors, d, 1, 3)][:12]
    flip = first == 2
    for a, u in matrices:
        for b, v in vectors:
            out.append(Term(f"kron({b}, {a})", _cross(u, v, flip), (a, b)))
    return out


def _second_order_general(factors: Sequence[Factor], d: int) -> list[Term]:
    """K (U ⊗ V), of tr(U' dX V dX), and U ⊗ V without the commutation matrix, for a matrix with free entries.

    U is a single factor; V too, or a product with one crossing of vectors.
    """
    found = list(words(factors, d, d, 4))
    single = [w for w in found if len(w) == 1]
    crossed = [w for w in found if any(f.shape[1] == 1 for f in w)][:_MOST_CROSSED]
    out: list[Term] = []
    for a, b in [*itertools.product(single, [*single, *crossed]), *itertools.product(crossed, single)]:
        u, v = product_of(a), product_of(b)
        names = (text_of(a), text_of(b))
        out.append(Term(f"K*kron({names[0]}, {names[1]})", _entries_of("il,jk->ijkl", u, v), ("K", *names)))
        out.append(Term(f"kron({names[0]}, {names[1]})", _entries_of("jl,ik->ijkl", u, v), names))
    return out


def _entries_of(
    pattern: str, u: Callable[[Sample], np.ndarray], v: Callable[[Sample], np.ndarray]
) -> Callable[[Sample], np.ndarray]:
    def compute(s: Sample) -> np.ndarray:
        t = np.einsum(pattern, u(s), v(s))
        return t.reshape(t.shape[0] * t.shape[1], -1)

    return compute


def _kron(u: Callable[[Sample], np.ndarray], v: Callable[[Sample], np.ndarray]) -> Callable[[Sample], np.ndarray]:
    def compute(s: Sample) -> np.ndarray:
        a, b = u(s), v(s)
        t = np.einsum("ik,jl->ijkl", a, b)
        t = t + t.transpose(1, 0, 3, 2)
        t = (t + t.transpose(1, 0, 2, 3)) / 4
        return t.reshape(a.size, a.size)

    return compute


def _outer(u: Callable[[Sample], np.ndarray], v: Callable[[Sample], np.ndarray]) -> Callable[[Sample], np.ndarray]:
    def compute(s: Sample) -> np.ndarray:
        a, b = u(s).reshape(-1), v(s).reshape(-1)
        return (np.outer(a, b) + np.outer(b, a)) / 2

    return compute


def _cross(
    u: Callable[[Sample], np.ndarray], v: Callable[[Sample], np.ndarray], flip: bool
) -> Callable[[Sample], np.ndarray]:
    def compute(s: Sample) -> np.ndarray:
        a, b = u(s), v(s).reshape(-1)
        t = np.einsum("ij,k->ijk", a, b)
        t = ((t + t.transpose(0, 2, 1)) / 2).reshape(len(a), -1)
        return t.T if flip else t

    return compute


def cut(text: str) -> tuple[str, ...]:
    """The factors of a product in gdiff's notation: its text cut at `*` outside brackets.

    >>> cut("inv(S)*x*x'*had(A*B, I)")
    ('inv(S)', 'x', "x'", 'had(A*B, I)')
    """
    out, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if c == "*" and depth == 0:
            out.append(text[start:i])
            start = i + 1
    return (*out, text[start:])


def stages(case: Case, convention: str | None) -> Iterator[list[Term]]:
    """Libraries to try, small ones first: the caller's own terms, then products, longer ones, scalar factors."""
    own = [
        Term(
            text,
            lambda s, c=compute: np.asarray(c(s.arguments), dtype=float).reshape(case.first.size, -1),  # type: ignore[misc]
            cut(text),
        )
        for text, compute in case.terms
    ]
    if own:
        yield own
    if case.order == 2:
        second = own + _second_order(case, False, convention)
        yield second
        with_value = [("f", lambda s: float(s.value[0]))]
        yield second + [times(t, *f) for t in second for f in with_value]
        return
    if case.first.size != 1:
        return
    seen: set[tuple[str, ...]] = set()
    for raw in (False, True):
        for longest in (2, 4, 5):
            terms = own + _first_order(case, raw, longest)
            texts = tuple(t.text for t in terms)
            if texts in seen:
                continue
            seen.add(texts)
            yield terms
        factors = factors_of(case, raw)
        small = _first_order(case, raw, 4)[:60]
        scalars = _scalar_factors(case, factors)
        if scalars:
            once = [times(t, *f) for t in small for f in scalars]
            products = [
                times(times(t, *f), *g)
                for t in small
                for f in scalars
                for g in scalars
                if f[0][0] != "/" and g[0].startswith("/(") and f[0] in g[0]
            ]
            yield own + small + once
            yield own + small + once + products
        yield own + [times(t, "f", lambda s: float(s.value[0])) for t in small] + small
