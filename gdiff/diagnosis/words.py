"""Conforming products of the arguments, as words over factors: S, inv(S), x, x', the residual (x - mu), a data matrix.

Texts are in gdiff's own notation: inv(S), x', *.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdiff.diagnosis.case import Case, Sample

Structures = Mapping[str, str]  # by argument: "symmetric", "lower", "diagonal", "general"

_MOST_WORDS = 40 * 420  # kept from one length to the next


@dataclass(frozen=True)
class Factor:
    """One factor of a product: an argument, its transpose, its inverse, a difference of two."""

    text: str
    compute: Callable[[Sample], np.ndarray]  # always two axes
    shape: tuple[int, int]
    base: str  # the argument it is made of
    cancels: str = ""  # the text of its inverse


def _matrix_factors(name: str, shape: tuple[int, int], structure: str) -> Iterator[Factor]:
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
        yield Factor(f"inv({name})", inverse, shape, name, name)
        if not one_sided:
            yield Factor(f"inv({name})'", inverse_transposed, shape, name, f"{name}'")
    yield Factor(name, plain, shape, name, f"inv({name})")
    if not one_sided:
        yield Factor(f"{name}'", transposed, (n, m), name, f"inv({name})'")


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


def factors_of(case: Case, raw: bool) -> list[Factor]:
    """The factors; vectors and rectangles in differences where they pair, with `raw` each for itself."""
    shapes = {name: np.shape(a) for name, a in case.samples[0].arguments.items()}
    out: list[Factor] = []
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
            out.append(Factor(text, _column(compute), (own[0], 1), text))
            out.append(Factor(f"{text}'", _row(compute), (1, own[0]), text))
        else:
            out.append(Factor(text, compute, (own[0], own[1]), text))
            out.append(Factor(f"{text}'", lambda s, c=compute: c(s).T, (own[1], own[0]), text))  # type: ignore[misc]
            if vectors and own[0] > 1:
                out.append(Factor("ones", _ones(own[0]), (own[0], 1), "ones"))
    return list({f.text: f for f in out}.values())


def words(factors: Sequence[Factor], rows: int, columns: int, longest: int) -> Iterator[tuple[Factor, ...]]:
    """Conforming products, short ones first: no factor beside its inverse, none more than twice, one crossing of 1."""
    level: list[tuple[Factor, ...]] = [(f,) for f in factors if f.shape[0] == rows]
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
        level = longer[:_MOST_WORDS]


def text_of(word: Sequence[Factor]) -> str:
    """The product in gdiff's notation."""
    return "*".join(f.text for f in word)


def product_of(word: Sequence[Factor]) -> Callable[[Sample], np.ndarray]:
    """The product, as a function of a sample."""

    def compute(s: Sample) -> np.ndarray:
        out = word[0].compute(s)
        for factor in word[1:]:
            out = out @ factor.compute(s)
        return out

    return compute


def is_palindrome(word: Sequence[Factor], structures: Structures) -> bool:
    """Whether the product is its own transpose, by the structures declared."""

    def mirror(f: Factor) -> str:
        if structures.get(f.base) in ("symmetric", "diagonal"):
            return f.text
        return f.text[:-1] if f.text.endswith("'") else f"{f.text}'"

    return [f.text for f in word] == [mirror(f) for f in reversed(word)]
