"""What somebody claims: its arrays at the points of a truth, evaluated once, whatever they came as."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from gdiff.oracles import Batched, Leaves, each, judging, refuse_tracers
from gdiff.tolerance import half_unit, unit_roundoff
from gdiff.truth import Truth


@dataclass(frozen=True)
class ClaimValues:
    """A claim's arrays at the points of a truth: by point, then by block; `moved` the same at the wiggled points."""

    arrays: tuple[tuple[np.ndarray, ...], ...]
    moved: tuple[tuple[tuple[np.ndarray, ...], ...], ...] | None  # None for an array: nothing to move
    dtype: np.dtype
    swapped: Callable[[], Mapping[str, tuple[tuple[np.ndarray, ...], ...]]] | None = None
    half_units: tuple[np.ndarray, ...] | None = None  # by block, for numbers read from text

    def mapped(self, change: Callable[[np.ndarray, int, int], np.ndarray]) -> "ClaimValues":
        """Every array replaced by change(array, point, block): how mutants are made without evaluating again."""

        def each(arrays: Sequence[np.ndarray], point: int) -> tuple[np.ndarray, ...]:
            return tuple(change(a, point, b) for b, a in enumerate(arrays))

        moved = self.moved and tuple(tuple(each(w, p) for w in group) for p, group in enumerate(self.moved))
        return replace(self, arrays=tuple(each(a, p) for p, a in enumerate(self.arrays)), moved=moved, swapped=None)


class ClaimFunction:
    """A claimed derivative as a function of the arrays among the arguments; keeps what was compiled."""

    def __init__(self, claimed: Any, truth: Truth) -> None:
        self._claims = claimed if isinstance(claimed, tuple) else (claimed,)
        self._rebuild = truth.arguments.rebuild
        self._batched = Batched(each(self._evaluate))

    def _evaluate(self, *leaves: Any) -> Any:
        args = self._rebuild(leaves)
        return [c(*args) for c in self._claims]

    def __call__(self, points: Sequence[Leaves]) -> list[list[np.ndarray]]:
        """Leaves of the claim at each point."""
        if not points:
            return []
        stacked = [np.stack(x) for x in zip(*points, strict=True)]
        with judging(), np.errstate(all="ignore"):
            out = self._batched(stacked)
        return [[leaf[n] for leaf in out] for n in range(len(points))]


def _blocks(leaves: Sequence[np.ndarray], truth: Truth) -> tuple[np.ndarray, ...]:
    """A claim's leaves as one array a block; a joint vector or matrix over all arguments is cut up."""
    count = len(truth.axes)
    if len(leaves) == count:
        return tuple(leaves)
    if len(leaves) != 1 or truth.order == 1 and truth.outputs:
        raise ValueError(f"the claim has {len(leaves)} arrays, wanted {count}: {', '.join(truth.labels)}.")
    own = [axis for _, axis in truth.axes[: round(count**0.5) if truth.order == 2 else count]]
    for sizes in ([a.size for a in own], [a.vech_size or a.size for a in own]):
        edges = np.cumsum([0, *sizes])
        total = (int(edges[-1]),) * truth.order
        if leaves[0].shape == total:
            cuts = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
            if truth.order == 1:
                return tuple(leaves[0][c] for c in cuts)
            return tuple(leaves[0][r, c] for r in cuts for c in cuts)
    raise ValueError(
        f"the claim is one array of shape {leaves[0].shape}, wanted one for each of {', '.join(truth.labels)}, or a "
        "joint one with the arguments stacked in vec or vech coordinates."
    )


def read_claim(truth: Truth, claimed: Any, *, digits: Any = None, function: ClaimFunction | None = None) -> ClaimValues:
    """Evaluate a claim at the points of a truth: a callable everywhere, arrays at the first point given."""
    if isinstance(claimed, ClaimValues):
        return claimed
    is_callable = callable(claimed) or (isinstance(claimed, tuple) and claimed and all(map(callable, claimed)))
    if is_callable:
        function = function or ClaimFunction(claimed, truth)
        at = function([p.leaves for p in truth.points])
        dtype = np.result_type(*(leaf.dtype for leaf in at[0])) if at and at[0] else np.dtype(np.float64)
        groups = truth.wiggled(unit_roundoff(dtype))
        flat = function([w for group in groups for w in group])
        draws = len(groups[0]) if groups else 0
        moved = tuple(tuple(_blocks(w, truth) for w in flat[n * draws : (n + 1) * draws]) for n in range(len(groups)))
        evaluate = function
        return ClaimValues(
            tuple(_blocks(a, truth) for a in at), moved, np.dtype(dtype), lambda: _swapped(truth, evaluate)
        )
    refuse_tracers(claimed)
    if len(truth.axes) == 1:
        single = jax.tree.leaves(claimed) if isinstance(claimed, dict) else [claimed]
        leaves = [np.asarray(x) for x in single]
    else:
        leaves = [np.asarray(x) for x in jax.tree.leaves(claimed, is_leaf=lambda x: isinstance(x, list))]
    if any(not np.issubdtype(x.dtype, np.number) for x in leaves):
        raise TypeError(f"the claim is {type(claimed).__name__}: wanted a function of the same arguments, or numbers.")
    dtype = np.result_type(*(x.dtype if np.issubdtype(x.dtype, np.floating) else np.float64 for x in leaves))
    arrays = _blocks(leaves, truth)
    half = None
    if digits is not None:
        if isinstance(digits, int | np.integer):
            half = tuple(half_unit(a, int(digits)) for a in arrays)
        else:
            half = _blocks([np.asarray(h, dtype=float) for h in jax.tree.leaves(digits)], truth)
    count = sum(p.role == "given" for p in truth.points)
    return ClaimValues((arrays,) * min(count, 1), None, np.dtype(dtype), None, half)


def _swapped(truth: Truth, function: ClaimFunction) -> dict[str, tuple[tuple[np.ndarray, ...], ...]]:
    """The claim at the points with one square matrix replaced by its inverse, or one other argument by its negative."""
    out = {}
    for i, name in enumerate(truth.arguments.names):
        leaf = truth.points[0].leaves[i]
        if leaf.ndim == 0:
            continue
        exchange = np.linalg.inv if leaf.ndim > 1 and leaf.shape[-1] == leaf.shape[-2] else np.negative
        try:
            points = [tuple(exchange(x) if k == i else x for k, x in enumerate(p.leaves)) for p in truth.points]
            out[name] = tuple(_blocks(a, truth) for a in function(points))
        except (np.linalg.LinAlgError, ValueError):
            continue
    return out
