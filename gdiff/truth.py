"""The truth about a function's derivative at a set of points, established once; claims are held against it cheaply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from gdiff.arguments import Arguments, read_arguments
from gdiff.domains import Domain
from gdiff.frames import BlockTruth, Frame, PointTruth, Stack
from gdiff.layouts import Axis
from gdiff.oracles import (
    DIFFERENCES,
    Evaluation,
    Function,
    Leaves,
    first_differences,
    in_small_steps,
    judging,
    second_differences,
)
from gdiff.tolerance import DRAWS, PERTURBATION, difference_step, tolerance, unit_roundoff

FIT_POINTS = 6  # well conditioned: library terms are fitted there
FRESH_POINTS = 12  # over conditionings and scales: what is suspected is confirmed there
_CONDITIONS = (10.0, 3.0, 100.0, 30.0, 1000.0)
_SCALES = (1.0, 0.7, 1.5, 1.0, 2.0, 0.5, 1.2)
_SPARE = (0, 1, 12)  # how many times more points are drawn than are wanted, while too few are in f's domain
_FEWEST = 4  # points at which something is judged beside the one given
_LARGE, _FEW = 64, 4  # entries from which on forward mode judges at the first few points only
_DIFFERENCED = 4  # points at which finite differences judge beside automatic derivatives
_MANY_DIRECTIONS = 128  # from here on fewer points and fewer differenced directions
_ROUNDINGS = 4  # of a value, in units of its last digit, that moving the arguments does not show: constants round too
_SECOND_DIFFERENCES = 21  # second differences cost 5 q^2 evaluations


class NotEstablished(ValueError):
    """The function has no finite value at enough points of the domains."""


@dataclass(frozen=True)
class Truth:
    """A function's derivative at a set of points, with the bounds of those who say so."""

    arguments: Arguments
    points: tuple[PointTruth, ...]
    axes: tuple[tuple[Axis, Axis], ...]  # by block
    order: int
    outputs: tuple[int, ...]
    dtype: np.dtype
    oracles: tuple[str, ...]
    directions: np.random.SeedSequence
    notes: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    memory: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)  # diagnoses share what they find

    @property
    def conventions(self) -> tuple[str | None, ...]:
        """("full", "symmetric") if a differentiated argument is symmetric, (None,) otherwise."""
        symmetric = any(self.arguments.domains[i].is_symmetric for i in self.arguments.wrt)
        return ("full", "symmetric") if symmetric else (None,)

    @cached_property
    def stacks(self) -> tuple[Stack, ...]:
        """By block, what is known at all points."""
        return tuple(Stack.of([p.blocks[b] for p in self.points]) for b in range(len(self.axes)))

    def wiggled(self, size: float) -> list[list[Leaves]]:
        """For every point, DRAWS neighbours moved by a few units of rounding of this size."""
        rng = np.random.default_rng(self.directions)
        return [_wiggle(rng, self.arguments.domains, p.leaves, size) for p in self.points]


def pooled(response: np.ndarray) -> np.ndarray:
    """Measured responses (..., r, c), no entry below a quarter of the root mean square of its matrix.

    A few draws may miss one by luck.
    """
    response = np.where(np.isfinite(response), response, 0.0)
    mean = np.sum(response**2, axis=(-2, -1), keepdims=True) / max(1, response.shape[-1] * response.shape[-2])
    return np.maximum(response, np.sqrt(mean) / 4)


def _wiggle(rng: np.random.Generator, domains: Sequence[Domain], leaves: Leaves, size: float) -> list[Leaves]:
    moved = [d.perturb(rng, x, PERTURBATION * size, (DRAWS,)) for d, x in zip(domains, leaves, strict=True)]
    return list(zip(*moved, strict=True))


def establish(
    f: Callable[..., Any],
    points: Sequence[Sequence[Any]],
    *,
    argnums: int | Sequence[int] = 0,
    domains: Any = None,
    order: int = 1,
    seed: int = 0,
    names: Sequence[str] | None = None,
    fresh: bool = True,
    arguments: Arguments | None = None,
    subject: "Subject | None" = None,
    hypotheses: tuple[str, ...] = (),
    evaluation: Evaluation | None = None,
    briefly: bool = False,
) -> Truth:
    """The truth about the derivative of order 1 or 2 at the given points and, if `fresh`, at others of their shapes.

    `points` is a sequence of argument tuples of equal shapes. `domains` says what the arguments are (as in
    `verify_gradient`). Raises what f raises at a given point, and NotEstablished where f is not finite. A `subject`
    carries what was compiled from one call to the next; `evaluation` is as in `Subject`. `briefly` leaves it to reverse
    mode alone, where JAX can trace f.
    """
    if order not in (1, 2):
        raise ValueError(f"order={order}: wanted 1 or 2.")
    if not points:
        raise ValueError("establish: no points given, wanted at least one tuple of arguments.")
    arguments = arguments or read_arguments(f, points[0], argnums, domains, names)
    rng = np.random.default_rng(seed)
    with judging(), np.errstate(all="ignore"):
        builder = _Builder(subject or Subject(f, arguments, order, evaluation), arguments, order, briefly)
        return builder.build([arguments.flatten(p) for p in points], rng, fresh, hypotheses)


class Subject:
    """The function under judgement, what was compiled of it, and what it returns."""

    def __init__(
        self, f: Callable[..., Any], arguments: Arguments, order: int, evaluation: Evaluation | None = None
    ) -> None:
        """`evaluation` is that of F where f is the sum of the entries of w * F, w its first argument."""
        self.shape: tuple[int, ...] | None = None
        self.dtype = np.dtype(np.float64)
        if evaluation is not None:
            self.shape = ()
            self.function: Function = evaluation
            return

        def flat(*leaves: Any) -> Any:
            out = f(*arguments.rebuild(leaves))
            self.shape, self.dtype = tuple(np.shape(out)), np.dtype(np.result_type(out))
            return out

        self.function = Function(flat, arguments.wrt, order)


class _Builder:
    """The steps of `establish`, which share the function and the arguments."""

    def __init__(self, subject: Subject, arguments: Arguments, order: int, briefly: bool = False) -> None:
        self.subject, self.function = subject, subject.function
        self.arguments, self.order = arguments, order
        self.shapes: list[tuple[int, ...]] = []
        self.is_alone = briefly or isinstance(self.function, Evaluation)  # one oracle, where JAX can trace f

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self.subject.shape

    @property
    def dtype(self) -> np.dtype:
        return self.subject.dtype

    def build(self, given: list[Leaves], rng: np.random.Generator, fresh: bool, hypotheses: tuple[str, ...]) -> Truth:
        arguments = self.arguments
        inside = [p for p in given if all(d.contains(x) for d, x in zip(arguments.domains, p, strict=True))]
        if not inside and not hypotheses:
            outside = [
                f"{name} is not in {type(d).__name__}"
                for name, d, x in zip(arguments.names, arguments.domains, given[0], strict=True)
                if not d.contains(x)
            ]
            raise ValueError(f"the point is not in its domain: {'; '.join(outside)}.")
        drawn: list[Leaves] = []
        for spare in _SPARE:  # where f is not finite everywhere, more points are drawn
            drawn, own_roles = self._draw(given[0], rng, spare) if fresh else ([], [])
            points, roles = inside + drawn, ["given"] * len(inside) + own_roles
            if not points:
                raise NotEstablished("no point lies in the domains.")
            bases = [self._bases(p) for p in points]
            automatic = self.function.derivatives(points)
            values = automatic.values if automatic is not None else self._host_values(points, roles)
            if self.order == 2 and values.shape[1] != 1 or self.shape is None:
                raise ValueError(f"a Hessian is of a scalar function; f returned the shape {self.shape}.")
            good = [bool(np.all(np.isfinite(v))) for v in values]
            if not all(g for g, r in zip(good, roles, strict=True) if r == "given"):
                raise NotEstablished("f is not finite at the point.")
            found = sum(g for g, role in zip(good, roles, strict=True) if role != "given")
            if all(good) or (spare and found >= _FEWEST):
                break
        keep, counts = [], {"given": len(given), "fit": FIT_POINTS, "fresh": FRESH_POINTS}
        for i, role in enumerate(roles):
            if good[i] and counts[role] > 0:
                counts[role] -= 1
                keep.append(i)
        if fresh and sum(roles[i] != "given" for i in keep) < min(_FEWEST, len(drawn)):
            raise NotEstablished("f is not finite at most points of the domains.")
        points, bases, roles = [points[i] for i in keep], [bases[i] for i in keep], [roles[i] for i in keep]
        directions = np.random.SeedSequence(int(rng.integers(2**31)))
        return self._assemble(points, bases, roles, automatic, keep, values[keep], directions, hypotheses)

    def _draw(self, like: Leaves, rng: np.random.Generator, spare: int) -> tuple[list[Leaves], list[str]]:
        size = sum(like[i].size for i in self.arguments.wrt)
        fits, fresh = (FIT_POINTS, FRESH_POINTS) if size <= _MANY_DIRECTIONS else (1, 3)
        points, roles = [], []
        for role, count in (("fit", (1 + spare) * fits), ("fresh", (1 + 2 * spare) * fresh)):
            for i in range(count):
                condition, scale = (
                    (6.0, 1.0) if role == "fit" else (_CONDITIONS[i % len(_CONDITIONS)], _SCALES[i % len(_SCALES)])
                )
                points.append(
                    tuple(
                        np.asarray(d.sample(rng, x.shape, condition=condition, scale=scale), dtype=float)
                        for d, x in zip(self.arguments.domains, like, strict=True)
                    )
                )
                roles.append(role)
        return points, roles

    def _bases(self, point: Leaves) -> Leaves:
        return tuple(self.arguments.domains[i].tangent_basis(point[i]) for i in self.arguments.wrt)

    def _host_values(self, points: list[Leaves], roles: list[str]) -> np.ndarray:
        """Values one by one: where f raises at a drawn point it has none; at a given point the error is the user's."""
        out: list[np.ndarray | None] = []
        for point, role in zip(points, roles, strict=True):
            try:
                out.append(np.asarray(self.function.values([point])[0], dtype=float))
            except Exception:
                if role == "given":
                    raise
                out.append(None)
        known = next((v for v in out if v is not None), None)
        if known is None:
            raise NotEstablished("f raises at every point of the domains.")
        return np.stack([v if v is not None else np.full_like(known, np.nan) for v in out])

    def _assemble(self, points, bases, roles, automatic, keep, values, directions, hypotheses) -> Truth:
        arguments, u = self.arguments, unit_roundoff(self.dtype)
        rng = np.random.default_rng(directions)
        wiggles = [_wiggle(rng, arguments.domains, p, u) for p in points]
        flat = [w for group in wiggles for w in group]
        moved = self.function.derivatives(flat) if automatic is not None else None
        pushed: list[list[np.ndarray]] = []
        if automatic is not None and not self.is_alone:
            count = _FEW if sum(points[0][i].size for i in arguments.wrt) > _LARGE else len(points)
            pushed = self.function.forward(points[:count], bases[:count])
        moved_values = moved.values if moved is not None else self._host_values(flat, ["fresh"] * len(flat))
        frames = [self._frames(p, b) for p, b in zip(points, bases, strict=True)]
        axes, sides = self._axes(points[0])
        outputs = Frame(np.eye(values.shape[1]), values.shape[1])
        truths = []
        oracle_names: dict[str, None] = {}
        for n, point in enumerate(points):
            draws = slice(n * DRAWS, (n + 1) * DRAWS)
            response = np.nan_to_num(np.abs(moved_values[draws] - values[n])).max(axis=0)
            value_noise = np.maximum(response, _ROUNDINGS * u * np.abs(values[n]))
            differences = self._differences(n, point, bases[n], value_noise, automatic is None)
            forward = pushed[n] if n < len(pushed) else None
            blocks = []
            for b, (i, j) in enumerate(sides):
                rows = outputs if i is None else frames[n][i]
                columns = frames[n][j]
                blocks.append(
                    self._block(
                        b, i, j, rows, columns, automatic, moved, forward, keep[n], draws, differences, u, point
                    )
                )
                oracle_names.update(dict.fromkeys(blocks[-1].estimates))
            truths.append(PointTruth(point, values[n], tuple(blocks), roles[n]))
        notes = (
            ()
            if automatic is not None
            else (
                f"JAX cannot trace this function ({self.function.why_not_traceable}): "
                "finite differences alone judged it.",
            )
        )
        return Truth(
            arguments,
            tuple(truths),
            tuple(axes),
            self.order,
            self.shape or (),
            self.dtype,
            tuple(oracle_names),
            directions,
            notes,
            hypotheses,
            tuple(self._label(i, j) for i, j in sides),
        )

    def _label(self, i: int | None, j: int) -> str:
        names = [self.arguments.names[k] for k in self.arguments.wrt]
        return names[j] if i is None or i == j else f"{names[i]}, {names[j]}"

    def _axes(self, point: Leaves) -> tuple[list[tuple[Axis, Axis]], list[tuple[int | None, int]]]:
        wrt = self.arguments.wrt
        own = [Axis(point[i].shape, self.arguments.domains[i].is_symmetric) for i in wrt]
        if self.order == 1:
            return [(Axis(self.shape or ()), a) for a in own], [(None, j) for j in range(len(wrt))]
        sides: list[tuple[int | None, int]] = [(i, j) for i in range(len(wrt)) for j in range(len(wrt))]
        return [(own[i], own[j]) for i in range(len(wrt)) for j in range(len(wrt))], sides

    def _frames(self, point: Leaves, bases: Leaves) -> list[Frame]:
        out = []
        for i, basis in zip(self.arguments.wrt, bases, strict=True):
            normal = self.arguments.domains[i].normal_basis(point[i])
            size = point[i].size
            out.append(Frame(np.concatenate([basis.reshape(-1, size), normal.reshape(-1, size)]), len(basis)))
        return out

    def _differences(self, n: int, point: Leaves, bases: Leaves, noise: np.ndarray, alone: bool) -> Any:
        """By leaf (order 1) or jointly (order 2): value, bound; None where differences are not asked."""
        if self.is_alone and not alone:
            return None
        total = sum(len(b) for b in bases)
        if not alone and (n >= _DIFFERENCED or total > (_MANY_DIRECTIONS if self.order == 1 else _SECOND_DIFFERENCES)):
            return None
        step = difference_step(self.dtype)

        def values(moved: Sequence[Leaves]) -> np.ndarray:
            if alone:
                return self._host_values(list(moved), ["fresh"] * len(moved))
            return self.function.values(moved)

        u = unit_roundoff(self.dtype)
        conditioning = noise[:, None] / u
        if self.order == 1:
            out = []
            for slot, basis in zip(self.arguments.wrt, bases, strict=True):
                differences = partial(first_differences, values, point, slot, basis)
                (value, truncation), own = in_small_steps(differences, step)
                bound = tolerance(self.dtype, conditioning=conditioning, step=own, truncation=truncation)
                out.append((value, np.broadcast_to(bound, value.shape)))
            return out
        joint: list[Leaves] = []
        for slot, basis in zip(self.arguments.wrt, bases, strict=True):
            for e in basis:
                joint.append(tuple(e if k == slot else np.zeros_like(x) for k, x in enumerate(point)))
        (value, truncation), step = in_small_steps(partial(second_differences, values, point, joint), step)
        # the weights of the stencil at half the step, polarised, sum to 36 / step^2: twice that with the safety of 8
        bound = tolerance(self.dtype, conditioning=9 * conditioning, step=step, order=2, truncation=truncation)
        edges = np.cumsum([0] + [len(b) for b in bases])
        return {
            (i, j): tuple(a[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] for a in (value, np.asarray(bound)))
            for i in range(len(bases))
            for j in range(len(bases))
        }

    def _project(self, tensor: np.ndarray, slot: int, axis: int) -> np.ndarray:
        index = self.arguments.wrt[slot]
        moved = np.moveaxis(tensor, axis, -1)
        arrays = moved.reshape(*moved.shape[:-1], *self.shapes[index])
        return np.moveaxis(self.arguments.domains[index].project(arrays).reshape(moved.shape), -1, axis)

    def _tangent_part(self, tensor: np.ndarray, i: int | None, j: int) -> np.ndarray:
        tensor = self._project(tensor, j, -1)
        return tensor if i is None else self._project(tensor, i, -2)

    def _block(self, b, i, j, rows, columns, automatic, moved, forward, at, draws, differences, u, point) -> BlockTruth:
        self.shapes = [x.shape for x in point]
        tangent = (slice(rows.tangent), slice(columns.tangent))
        estimates: dict[str, tuple[np.ndarray, np.ndarray]] = {}

        def padded(value: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            beyond = float(np.max(bound, initial=0.0))
            value = columns.pad(rows.pad(value, 0), 1)
            return value, columns.pad(rows.pad(np.asarray(bound), 0, beyond), 1, beyond)

        def components(tensor: np.ndarray) -> np.ndarray:
            return (rows.matrix @ tensor @ columns.matrix.T)[..., *tangent]

        noise = np.zeros((rows.tangent, columns.tangent))
        entry_noise = None
        if automatic is not None:
            tensor = automatic.tensor(b)[at]
            reverse = components(tensor)
            answers = np.abs(components(moved.tensor(b)[draws]) - reverse)
            # u |f| a unit step: constants inside f round too, which moving its arguments does not show
            constants = u * np.abs(automatic.values[at]).reshape(-1, 1)
            noise = pooled(np.max(answers, axis=0)) + u * np.abs(reverse) + constants
            bound = np.asarray(tolerance(self.dtype, conditioning=noise / u))
            estimates[automatic.names[0]] = padded(reverse, bound)
            if forward is not None:
                pushed = forward[b] if self.order == 1 else forward[b] @ columns.matrix[: columns.tangent].T
                estimates[automatic.names[1]] = padded(pushed, bound)
            tensor = self._tangent_part(tensor, i, j)
            answers = np.abs(self._tangent_part(moved.tensor(b)[draws], i, j) - tensor)
            spread = constants * (columns.reach() if i is None else np.outer(rows.reach(), columns.reach()))
            entry_noise = pooled(np.max(answers, axis=0)) + u * np.abs(tensor) + spread
        if differences is not None:
            value, bound = differences[j] if self.order == 1 else differences[i, j]
            estimates[DIFFERENCES] = padded(value, bound)
            if automatic is None:
                full = padded(value, bound)[0]
                tensor = np.linalg.lstsq(rows.matrix, full, rcond=None)[0]
                tensor = np.linalg.lstsq(columns.matrix, tensor.T, rcond=None)[0].T
                noise = bound / tolerance(self.dtype, conditioning=1 / u)
        return BlockTruth(rows, columns, tensor, estimates, padded(noise, noise)[1], entry_noise)
