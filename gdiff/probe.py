"""Lines of a derivation held against numbers: values at random points, differentials along random directions.

The differential of every part comes from `jax.jvp`; a line with d(...) left in it is evaluated with those numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.differential import pending
from gdiff.derivation.evaluate import function_of
from gdiff.derivation.tree import SCALAR, Call, Node, Shape, Symbol, children, with_children
from gdiff.oracles import Batched, each, judging
from gdiff.setting import Setting
from gdiff.tolerance import question

if TYPE_CHECKING:
    from gdiff.verdict import Verdict

_POINTS, _DIRECTIONS = 3, 2
_TINY = 1e-9  # of the size of f: a differential that is 0 but for rounding


class Probe:
    """Points and directions for one expression and one variable, and what is true there."""

    def __init__(self, f: Expression, wrt: str, setting: Setting) -> None:
        self.f, self.wrt, self.setting = f, wrt, setting
        self.domains, points = setting.choose()
        if not points:
            raise ValueError(
                f"`{f.text}` has no finite value at the points that were tried; declare what its names are, "
                "for example positive or positive definite"
            )
        self.names = setting.names
        which = self.names.index(wrt)
        rng = np.random.default_rng(setting.seed)
        self.points: list[tuple[np.ndarray, ...]] = []
        self.steps: list[np.ndarray] = []
        for point in points[:_POINTS]:
            for _ in range(_DIRECTIONS):
                basis = self.domains[which].tangent_basis(point[which])
                self.points.append(point)
                self.steps.append(np.tensordot(rng.normal(size=len(basis)), basis, axes=1))
        self._known: dict[Node, np.ndarray] = {}

    @property
    def point(self) -> tuple[np.ndarray, ...]:
        """The first point."""
        return self.points[0]

    def differentials(self, nodes: Sequence[Node]) -> list[np.ndarray]:
        """The differential of each part, stacked over the points, by forward mode."""
        missing = [node for node in dict.fromkeys(nodes) if node not in self._known]
        if missing:
            import jax

            functions = [function_of(node, self.f.all_shapes, self.names) for node in missing]
            which = self.names.index(self.wrt)

            def pushed(*leaves: Any) -> Any:
                *point, step = leaves
                along = lambda x: [g(*point[:which], x, *point[which + 1 :]) for g in functions]  # noqa: E731
                return jax.jvp(along, (point[which],), (step,))[1]

            with judging(), np.errstate(all="ignore"):
                stacked = [np.stack(leaves) for leaves in zip(*self.points, strict=True)]
                made = Batched(each(pushed), chunk=len(self.points))([*stacked, np.stack(self.steps)])
            self._known |= {node: np.asarray(x, dtype=float) for node, x in zip(missing, made, strict=True)}
        return [self._known[node] for node in nodes]

    def values(self, node: Node) -> np.ndarray:
        """A line at the points, dX the step, and d(...) what it is there."""
        parts = list(dict.fromkeys(pending(node)))
        inner = [part.arguments[0] for part in parts]
        marks = {part: Symbol(f"d:{i}", shape=part.shape) for i, part in enumerate(parts)}
        shapes: dict[str, Shape] = {**self.f.all_shapes, f"d{self.wrt}": self.f.all_shapes[self.wrt]}
        shapes |= {mark.name: mark.shape for mark in marks.values()}
        names = (*self.names, f"d{self.wrt}", *(mark.name for mark in marks.values()))
        function = function_of(_replaced(node, marks), shapes, names, np)
        known = self.differentials(inner)
        out = []
        with np.errstate(all="ignore"):
            for i, (point, step) in enumerate(zip(self.points, self.steps, strict=True)):
                out.append(np.asarray(function(*point, step, *(k[i] for k in known)), dtype=float))
        return np.stack(out)

    def verify(self, claim: Expression, convention: str | None = None, order: int = 1) -> Verdict:
        """The verifier's verdict on a derivative; `convention` is that of a symmetric argument, None for either."""
        from gdiff.verify import verify_gradient, verify_hessian, verify_jacobian

        scalar = self.f.node.shape == SCALAR
        verify = verify_hessian if order == 2 else verify_gradient if scalar else verify_jacobian
        which = self.names.index(self.wrt)
        return verify(
            self.f.function(self.names), claim.numpy_function(self.names), *self.point, argnums=which,
            domains=list(self.domains), convention=convention if self.domains[which].is_symmetric else None,
            seed=self.setting.seed, names=self.names,
        )  # fmt: skip

    def agree(self, got: np.ndarray, wanted: np.ndarray) -> bool:
        """Whether two stacks of values are equal to what a verdict asks, relative to the largest of them."""
        if got.shape != wanted.shape or not np.all(np.isfinite(got)):
            return False
        size = max(np.max(np.abs(wanted), initial=0.0), np.max(np.abs(got), initial=0.0))
        return bool(np.all(np.abs(got - wanted) <= question() * size + self._floor))

    @cached_property
    def _floor(self) -> float:
        """What is no more than rounding, for a differential that is 0."""
        return _TINY * float(np.max(np.abs(self.values(self.f.node)), initial=0.0))


def inner(g: np.ndarray, steps: Sequence[np.ndarray], convention: str | None) -> np.ndarray:
    """<G, dX>; of G in the symmetric convention, the sum over the distinct entries."""
    weights = np.tril(np.ones(steps[0].shape)) if convention == "symmetric" else 1.0
    return np.array([np.sum(weights * a * s) for a, s in zip(g, steps, strict=True)])


def flattened(steps: Sequence[np.ndarray], convention: str | None) -> np.ndarray:
    """vec(dX) of every step, or vech of it in the symmetric convention."""
    if convention == "symmetric":
        columns, rows = np.triu_indices(len(steps[0]))
        return np.stack([s[rows, columns] for s in steps])
    return np.stack([s.T.reshape(-1) for s in steps])


def _replaced(node: Node, marks: Mapping[Call, Symbol]) -> Node:
    """The tree with parts put in for others."""
    if isinstance(node, Call) and node in marks:
        return marks[node]
    return with_children(node, [_replaced(child, marks) for child in children(node)])
