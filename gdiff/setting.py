"""Where an expression is tried: sizes for its dimensions, domains for its names, points at which it is finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.tree import Call, Node, Number, Power, Product, Shape, Sum, symbols, walk

if TYPE_CHECKING:
    from gdiff.domains import Domain

_SIZES = (3, 4, 2, 5, 6, 7, 8)  # of the dimensions that have names: all different, so that a transpose shows
_TRIALS = 16
_FEW, _MOST_TRIALS = 3, 200  # where it is finite at fewer points than that, more are tried
_ENOUGH = 0.6  # of the trial points: where the expression is finite at so many, they are drawn well
_MOST_ORDERS = 1000
_LARGE = 12  # rows


class Setting:
    """Sizes, shapes, domains and points for one expression; `structure` is what its names are declared to be.

    A name that is symmetric and no more is drawn positive definite where the expression may need it.
    """

    def __init__(self, f: Expression, wrt: str, structure: Mapping[str, str], seed: int) -> None:
        from gdiff.derivation.evaluate import size_of

        self.f, self.wrt, self.structure, self.seed = f, wrt, structure, seed
        self.names = tuple(name for name in f.all_shapes if name in f.symbols)
        self.sizes = _sizes(f, wrt)
        self.shapes = {name: tuple(size_of(size, self.sizes) for size in shape) for name, shape in f.all_shapes.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value of that name."""
        rows, columns = self.shapes[name]
        return () if (rows, columns) == (1, 1) else (rows,) if columns == 1 else (rows, columns)

    @property
    def squares(self) -> tuple[str, ...]:
        """The names that are square matrices."""
        return tuple(n for n in self.names if len(self.shape(n)) == 2 and len(set(self.shape(n))) == 1)

    def singular(self) -> tuple[Node, ...]:
        """What is inverted, and singular whatever is in it."""
        from gdiff.derivation.evaluate import size_of

        size = partial(size_of, sizes=self.sizes)
        return tuple(node for node in _inverted(self.f.node) if _rank(node, size) < size(node.shape[0]))

    def domains(self, positive: str) -> tuple[Domain, ...]:
        """A domain for each name; with `positive` "scalars" or "all", positive numbers for those."""
        from gdiff import domains as d

        definite = {
            name
            for part in walk(self.f.node)
            if isinstance(part, Call | Power) and not (isinstance(part, Call) and part.function in ("t", "tr", "had"))
            for name in symbols(part)
        }
        declared: dict[str, Domain] = {
            "positive_definite": d.PositiveDefinite(), "diagonal": d.Diagonal(), "positive": d.Positive(),
            "lower_triangular": d.LowerTriangular(), "orthogonal": d.Orthogonal(),
        }  # fmt: skip
        out: list[Domain] = []
        for name in self.names:
            rank, word = len(self.shape(name)), self.structure.get(name, "")
            if word in declared and (rank == 2 or word == "positive"):
                out.append(declared[word])
            elif rank == 0:
                out.append(d.Positive() if positive or word else d.Scalar())
            elif word == "symmetric":
                out.append(d.PositiveDefinite() if name in definite or positive else d.Symmetric())
            elif rank == 1:
                out.append(d.Positive() if positive == "all" else d.Vector())
            else:
                out.append(d.Positive() if positive == "all" else d.General())
        return tuple(out)

    def points(self, domains: Sequence[Domain]) -> tuple[float, list[tuple[np.ndarray, ...]]]:
        """Trial points at which the expression is finite, and their share."""
        rng = np.random.default_rng(self.seed)
        f, good = self.f.numpy_function(self.names), list[tuple[np.ndarray, ...]]()
        for trial in range(_MOST_TRIALS):
            if trial >= _TRIALS and len(good) >= _FEW:
                break
            drawn = [d.sample(rng, self.shape(n), condition=6.0) for n, d in zip(self.names, domains, strict=True)]
            point = tuple(np.asarray(x, dtype=float) for x in drawn)
            if np.all(np.isfinite(value_at(f, point))):
                good.append(point)
        return len(good) / (trial + 1), good

    def choose(self) -> tuple[tuple[Domain, ...], list[tuple[np.ndarray, ...]]]:
        """Domains on which the expression is finite, and points; none if there are none."""
        tried = []
        for positive in ("", "scalars", "all"):
            domains = self.domains(positive)
            share, points = self.points(domains)
            tried.append((share, domains, points))
            if share >= _ENOUGH:
                break
        share, domains, points = max(tried, key=lambda item: item[0])
        return domains, points


def value_at(f: Callable[..., Any], point: Sequence[np.ndarray]) -> np.ndarray:
    """The value of a NumPy function, NaN where a matrix is singular."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(f(*point), dtype=float)
        except np.linalg.LinAlgError:
            return np.array(np.nan)


def _sizes(f: Expression, wrt: str) -> dict[str, int]:
    """A number for each named dimension: all different, and such that what is inverted can have full rank."""
    from gdiff.derivation.evaluate import size_of  # JAX loads here

    own = f.all_shapes
    order = [wrt, *(name for name in own if name != wrt)]
    named = list(dict.fromkeys(d for name in order for size in own[name] for d in _dimensions(size)))
    if not named:
        return {}
    inverted = _inverted(f.node)
    # X X^+ = I for a wide X: that would hide what is tall
    tall = [n.arguments[0] for n in walk(f.node) if isinstance(n, Call) and n.function == "pinv" and _apart(n.shape)]
    pool = _SIZES[: len(named)] if len(named) <= len(_SIZES) else tuple(range(2, len(named) + 2))
    if _largest(f.node, dict.fromkeys(named, 3)) > _LARGE:  # nested Kronecker products
        pool = tuple(range(2, len(named) + 2))
    for choice in islice(permutations(pool), _MOST_ORDERS):
        sizes = dict(zip(named, choice, strict=True))
        size = partial(size_of, sizes=sizes)
        if all(_rank(n, size) == size(n.shape[0]) for n in inverted) and all(
            size(n.shape[0]) > size(n.shape[1]) for n in tall
        ):
            return sizes
    return dict(zip(named, pool, strict=True))


def _apart(shape: Shape) -> bool:
    """Whether a matrix may have more rows than columns."""
    return shape[0] != shape[1] and any(isinstance(size, str) for size in shape)


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
