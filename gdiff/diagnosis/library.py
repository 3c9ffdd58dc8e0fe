"""A small library of terms that derivatives of Gaussian models are made of, built from the arguments at hand.

Terms are products of conforming factors (S, inv(S), x, x', the residual (x - mu), a data matrix ...), their Hadamard
products with I, and the same times scalar factors such as 1/(nu + q), q a quadratic form. For second derivatives,
Kronecker and outer products of such. Texts are in gdiff's own notation: inv(S), x', *, had(A, I).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdiff.diagnosis.case import Case, Sample

Structures = Mapping[str, str]  # by argument: "symmetric", "lower", "diagonal", "general"

_MOST_TERMS = 420


@dataclass(frozen=True)
class Term:
    """A text and the function that computes it: from a sample to a (first, second) tensor."""

    text: str
    compute: Callable[[Sample], np.ndarray]
    factors: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Factor:
    text: str
    compute: Callable[[Sample], np.ndarray]  # always two axes
    shape: tuple[int, int]
    base: str  # the argument it is made of
    cancels: str = ""  # the text of its inverse


def _matrix_factors(name: str, shape: tuple[int, int], structure: str) -> Iterator[_Factor]:
    def plain(s: Sample) -> np.ndarray:
        return s.arguments[name]

    def transposed(s: Sample) -> np.ndarray:
        return s.arguments[name].T

    def inverse(s: Sample) -> np.ndarray:
        return np.linalg.inv(s.arguments[name])

    def inverse_transposed(s: Sample) -> np.ndarray:
        return np.linalg.inv(s.arguments[name]).T

    m, n = shape
    one_sided = structure in ("symmetric", "diagonal")
    if m == n:
        yield _Factor(f"inv({name})", inverse, shape, name, name)
        if not one_sided:
            yield _Factor(f"inv({name})'", inverse_transposed, shape, name, f"{name}'")
    yield _Factor(name, plain, shape, name, f"inv({name})")
    if not one_sided:
        yield _Factor(f"{name}'", transposed, (n, m), name, f"inv({name})'")


def _residual(a: str, b: str) -> Callable[[Sample], np.ndarray]:
    return lambda s: s.arguments[a] - s.arguments[b]


def _column(compute: Callable[[Sample], np.ndarray]) -> Callable[[Sample], np.ndarray]:
    return lambda s: compute(s).reshape(-1, 1)


def _row(compute: Callable[[Sample], np.ndarray]) -> Callable[[Sample], np.ndarray]:
    return lambda s: compute(s).reshape(1, -1)


def _argument(name: str) -> Callable[[Sample], np.ndarray]:
    return lambda s: s.arguments[name]


def _ones(n: int) -> Callable[[Sample], np.ndarray]:
    return lambda s: np.ones((n, 1))  # noqa: ARG005


def _factors(case: Case, raw: bool) -> list[_Factor]:
    """The factors; vectors and rectangles in differences where they pair, with `raw` each for itself."""
    shapes = {name: np.shape(a) for name, a in case.samples[0].arguments.items()}
    out: list[_Factor] = []
    vectors = [(n, s) for n, s in shapes.items() if len(s) == 1]
    squares = [(n, s) for n, s in shapes.items() if len(s) == 2 and s[0] == s[1]]
    rectangles = [(n, s) for n, s in shapes.items() if len(s) == 2 and s[0] != s[1]]
    for name, shape in squares:
        out += _matrix_factors(name, (shape[0], shape[1]), case.structures.get(name, "general"))
    pairs: list[tuple[str, Callable[[Sample], np.ndarray], tuple[int, ...]]] = []
    paired: set[str] = set()
    if not raw:
        for group in (vectors, [*rectangles, *(q for q in squares if case.structures.get(q[0]) == "general")]):
            for i, (a, s) in enumerate(group):
                for b, t in group[i + 1 :]:
                    if s == t:
                        pairs.append((f"({a} - {b})", _residual(a, b), s))
                        paired |= {a, b}
        for a, s in rectangles:
            for b, t in vectors:
                if s[1:] == t:
                    pairs.append((f"({a} - {b})", _residual(a, b), s))
                    paired |= {a, b}
    singles = [(n, _argument(n), s) for n, s in [*vectors, *rectangles] if n not in paired]
    for text, compute, own in [*pairs, *singles]:
        if len(own) == 1:
            out.append(_Factor(text, _column(compute), (own[0], 1), text))
            out.append(_Factor(f"{text}'", _row(compute), (1, own[0]), text))
        else:
            out.append(_Factor(text, compute, (own[0], own[1]), text))
            out.append(_Factor(f"{text}'", lambda s, c=compute: c(s).T, (own[1], own[0]), text))  # type: ignore[misc]
            if vectors and own[0] > 1:
                out.append(_Factor("ones", _ones(own[0]), (own[0], 1), "ones"))
    return list({f.text: f for f in out}.values())


def _words(factors: Sequence[_Factor], rows: int, columns: int, longest: int) -> Iterator[tuple[_Factor, ...]]:
    """Conforming products, short ones first: no factor beside its inverse, none more than twice, one crossing of 1."""
    level: list[tuple[_Factor, ...]] = [(f,) for f in factors if f.shape[0] == rows]
    for _ in range(longest):
        yield from (w for w in level if w[-1].shape[1] == columns)
        longer = []
        for word in level:
            crossed = sum(f.shape[1] == 1 for f in word[:-1]) if rows > 1 else 0
            for factor in factors:
                last = word[-1]
                if last.shape[1] != factor.shape[0] or factor.text == last.cancels or last.text == factor.cancels:
                    continue
                if sum(f.text == factor.text for f in word) >= 2 or (crossed and factor.shape[1] == 1):
                    continue
                longer.append((*word, factor))
        level = longer[: 40 * _MOST_TERMS]


def _text(word: Sequence[_Factor]) -> str:
    return "*".join(f.text for f in word)


def _product(word: Sequence[_Factor]) -> Callable[[Sample], np.ndarray]:
    def compute(s: Sample) -> np.ndarray:
        out = word[0].compute(s)
        for factor in word[1:]:
            out = out @ factor.compute(s)
        return out

    return compute


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


def _is_palindrome(word: Sequence[_Factor], structures: Structures) -> bool:
    def mirror(f: _Factor) -> str:
        if structures.get(f.base) in ("symmetric", "diagonal"):
            return f.text
        return f.text[:-1] if f.text.endswith("'") else f"{f.text}'"

    return [f.text for f in word] == [mirror(f) for f in reversed(word)]


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


def _scalar_factors(case: Case, factors: Sequence[_Factor]) -> list[tuple[str, Callable[[Sample], float]]]:
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

            def q(s: Sample, row: _Factor = row, middle: _Factor = middle) -> float:
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
    factors = _factors(case, raw)
    rows, columns = (shape + (1, 1))[:2] if len(shape) < 3 else (0, 0)
    terms: dict[str, Term] = {}

    def add(text: str, compute: Callable[[Sample], np.ndarray], word: Sequence[_Factor], palindrome: bool) -> None:
        text, compute = _shaped(text, compute, structure, palindrome)
        if len(terms) < _MOST_TERMS and text not in terms:
            terms[text] = Term(text, _flat(compute), tuple(f.text for f in word))

    seen: set[str] = set()
    for word in _words(factors, rows, columns, longest):
        palindrome = _is_palindrome(word, case.structures)
        mirrored = "*".join(f.text for f in reversed(word))
        if structure == "symmetric" and not palindrome and mirrored in seen:
            continue
        seen.add(_text(word))
        add(_text(word), _product(word), word, palindrome)
    if rows == columns and rows > 1:
        identity = _Factor("I", lambda s: np.eye(rows), (rows, rows), "I")  # noqa: ARG005
        ones = _Factor("ones", lambda s: np.ones((rows, rows)), (rows, rows), "ones")  # noqa: ARG005
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
    factors = _factors(case, raw)

    def dimension(shape: tuple[int, ...]) -> int:
        return shape[0] if shape else 1

    d = dimension(case.second.shape)
    squares = [w for w in _words(factors, d, d, 4) if _is_palindrome(w, case.structures)][:8] if d > 1 else []
    matrices = [(_text(w), _product(w)) for w in squares]
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
        words = list(_words(factors, dimension(case.first.shape), d, 4))
        return [Term(_text(w), _product(w), tuple(f.text for f in w)) for w in words] + [
            Term("I", lambda s: np.eye(d), ("I",))  # noqa: ARG005
        ]
    vectors = [(_text(w), _product(w)) for w in _words(factors, d, 1, 3)][:12]
    flip = first == 2
    for a, u in matrices:
        for b, v in vectors:
            out.append(Term(f"kron({b}, {a})", _cross(u, v, flip), (a, b)))
    return out


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
        factors = _factors(case, raw)
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
