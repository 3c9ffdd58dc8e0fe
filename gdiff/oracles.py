"""Independent judges of a derivative, each with a bound on its own error. No closed form is used here.

- reverse mode, forward mode (first order); forward over reverse, reverse over reverse (second order);
- sixth-order central differences of the values alone, in steps h (about 1e-2) along directions that stay in the domain:
  f'  = (3/4 (f1 - f-1) - 3/20 (f2 - f-2) + 1/60 (f3 - f-3)) / h,
  f'' = (3/2 (f1 + f-1) - 3/20 (f2 + f-2) + 1/90 (f3 + f-3) - 49/18 f0) / h^2; mixed ones by polarisation.
  Their truncation is estimated by repeating them with half the step.

A function that JAX cannot trace (NumPy, SciPy) is judged by differences alone. Everything runs in float64 on the CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.program import Program
from gdiff.tolerance import STEP_REDUCTION, STEP_REDUCTIONS, converges

Leaves = tuple[np.ndarray, ...]

DIFFERENCES = "finite differences"
_CHUNK = 64  # points a call: one program serves any number of points

_OFFSETS = np.array([0.5, 1.0, 1.5, 2.0, 3.0])
_FIRST = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
_SECOND = {1: 3 / 2, 2: -3 / 20, 3: 1 / 90}


@contextmanager
def judging() -> Iterator[None]:
    """float64, on the CPU, with JAX's standard promotion: the conditions under which every oracle and claim runs."""
    with (
        jax.enable_x64(True),
        jax.default_device(jax.devices("cpu")[0]),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


def refuse_tracers(tree: Any) -> None:
    """Raise TypeError if anything in the tree is a tracer: a verification needs numbers."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree)):
        raise TypeError("verification needs concrete arrays, got a tracer: call it outside jit, grad and vmap.")


Lift = Callable[[Callable[..., Any]], Callable[..., Any]]


def _of_one(convert: Callable[[Any], Any]) -> Lift:
    """`jax.vmap` for stacks of one point, without tracing: for functions that need concrete values."""

    def lift(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *stacked: jax.tree.map(lambda x: convert(x)[None], function(*(leaf[0] for leaf in stacked)))

    return lift


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of single points as one that `Batched` takes."""
    return lambda lift, *stacked: lift(function)(*stacked)


class Batched:
    """A function of leaves, called at many points: one program run on chunks of them if it can be traced, else each.

    `function(lift, *stacked)` is of stacks of leaves, and returns stacks; `lift` makes a function of stacks of one of
    single points. Where it differentiates, it lifts first: a batch then goes through f alone, and not its derivatives.
    `mode` is "program", "traced" (JAX runs it, but only with concrete values, one point at a time) or "host" (NumPy).
    """

    def __init__(
        self, function: Callable[..., Any], *, modes: Sequence[str] = ("program", "traced", "host"), chunk: int = _CHUNK
    ) -> None:
        self._function, self._chunk = function, chunk
        self._program = Program(partial(function, jax.vmap))
        self._modes = list(modes)
        self.mode = self._modes[0]

    def __call__(self, stacked: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs' leaves, stacked over the points; raises what the function raises when no mode is left."""
        while True:
            try:
                return self._run(stacked)
            except Exception:
                if self._modes.index(self.mode) + 1 == len(self._modes):
                    raise
                self.mode = self._modes[self._modes.index(self.mode) + 1]

    def _run(self, stacked: Sequence[np.ndarray]) -> list[np.ndarray]:
        count = len(stacked[0])
        chunks: list[list[np.ndarray]] = []
        if self.mode == "program":
            for start in range(0, count, self._chunk):
                part = [leaf[start : start + self._chunk] for leaf in stacked]
                size = len(part[0])
                if size < self._chunk:  # pad with the last point: a new batch size would be traced again
                    part = [np.concatenate([leaf, np.repeat(leaf[-1:], self._chunk - size, axis=0)]) for leaf in part]
                chunks.append([np.asarray(leaf)[:size] for leaf in self._program(*part)])
            return [np.concatenate(leaves) for leaves in zip(*chunks, strict=True)]
        convert = jnp.asarray if self.mode == "traced" else np.array
        for index in range(count):
            out = jax.tree.leaves(
                self._function(_of_one(convert), *(convert(leaf[index : index + 1]) for leaf in stacked))
            )
            chunks.append([np.asarray(leaf) for leaf in out])
        return [np.concatenate(leaves) for leaves in zip(*chunks, strict=True)]


def _stack(points: Sequence[Leaves]) -> list[np.ndarray]:
    return [np.stack(leaves) for leaves in zip(*points, strict=True)]


class Function:
    """A function of leaves with its derivatives, at many points, by whichever means it allows.

    `wrt` are the positions of the leaves to differentiate; outputs are flattened to (m,). `order` is 1 or 2.
    """

    def __init__(self, flat: Callable[..., Any], wrt: Sequence[int], order: int) -> None:
        self._flat, self._wrt, self._order = flat, tuple(wrt), order
        self._values = Batched(each(self._outputs))
        self._reverse = Batched(self._pulled, modes=("program", "traced"))
        self._forward = Batched(self._pushed, modes=("program", "traced"))
        self.traceable = True
        self.why_not_traceable = ""

    def _outputs(self, *leaves: Any) -> Any:
        out = self._flat(*leaves)
        return out.reshape(-1) if hasattr(out, "reshape") else np.asarray(out).reshape(-1)

    def _at(self, lift: Lift, leaves: Sequence[Any]) -> Callable[..., Any]:
        """The outputs at stacked points, (N, m), as a function of the differentiated leaves."""
        lifted = lift(lambda *single: jnp.asarray(self._outputs(*single)))

        def moved(*chosen: Any) -> Any:
            everything = list(leaves)
            for position, value in zip(self._wrt, chosen, strict=True):
                everything[position] = value
            return lifted(*everything)

        return moved

    def _gradient(self, lift: Lift, leaves: Sequence[Any]) -> Callable[..., Any]:
        """The gradient of a scalar function, by reverse mode, and its value."""
        moved = self._at(lift, leaves)

        def gradient(*xs: Any) -> Any:
            value, pull = jax.vjp(moved, *xs)
            if value.shape[1] != 1:
                raise ValueError(f"a Hessian is of a scalar function; f returned {value.shape[1]} numbers.")
            return pull(jnp.ones_like(value)), value

        return gradient

    def _pulled(self, lift: Lift, *leaves: Any) -> Any:
        """The value, and derivatives by reverse mode: rows of a Jacobian, or of a Hessian by reverse over reverse."""
        chosen = tuple(leaves[i] for i in self._wrt)
        if self._order == 1:
            value, pull = jax.vjp(self._at(lift, leaves), *chosen)
            n, m = value.shape
            if m == 1:
                return value, [g[:, None] for g in pull(jnp.ones_like(value))]
            units = jnp.broadcast_to(jnp.eye(m, dtype=value.dtype)[:, None], (m, n, m))
            return value, [jnp.moveaxis(g, 0, 1) for g in jax.vmap(pull)(units)]
        own, pull, value = jax.vjp(self._gradient(lift, leaves), *chosen, has_aux=True)
        seconds = []
        for slot, g in enumerate(own):
            size = g[0].size
            units = jnp.broadcast_to(jnp.eye(size, dtype=g.dtype).reshape(size, 1, *g.shape[1:]), (size, *g.shape))

            def rows(unit: Any, slot: int = slot) -> Any:
                return pull(tuple(unit if i == slot else jnp.zeros_like(x) for i, x in enumerate(own)))

            seconds.append([jnp.moveaxis(h, 0, 1) for h in jax.vmap(rows)(units)])
        return value, seconds

    def _pushed(self, lift: Lift, *inputs: Any) -> Any:
        """The value, and the differential of the function, or of its gradient, along one direction of all leaves."""
        count = len(inputs) - len(self._wrt)
        leaves, directions = inputs[:count], inputs[count:]
        chosen = tuple(leaves[i] for i in self._wrt)
        tangents = tuple(v.astype(x.dtype) for v, x in zip(directions, chosen, strict=True))
        if self._order == 1:
            return jax.jvp(self._at(lift, leaves), chosen, tangents)
        _, along, value = jax.jvp(self._gradient(lift, leaves), chosen, tangents, has_aux=True)
        return value, along

    def values(self, points: Sequence[Leaves]) -> np.ndarray:
        """Outputs at the points: (N, m). Raises what f raises."""
        if not points:
            raise ValueError("no points to evaluate at.")
        return self._values(_stack(points))[0]

    def derivatives(self, points: Sequence[Leaves]) -> "Derivatives | None":
        """Derivatives by reverse mode at the points, None if JAX cannot differentiate the function."""
        out = self._differentiated(self._reverse, _stack(points))
        return None if out is None else Derivatives(out, len(self._wrt), self._order)

    def forward(self, points: Sequence[Leaves], bases: Sequence[Leaves]) -> list[list[np.ndarray]]:
        """By point and block, derivatives by forward mode along each direction of a leaf, the others held.

        A block is (outputs, directions) for order 1, (directions, entries of the second leaf) for order 2.
        """
        rows: list[Leaves] = []
        for point, basis in zip(points, bases, strict=True):
            still = [np.zeros_like(point[i]) for i in self._wrt]
            for slot, directions in enumerate(basis):
                rows += [(*point, *still[:slot], v, *still[slot + 1 :]) for v in directions]
        out = self._differentiated(self._forward, _stack(rows)) if rows else None
        if out is None:
            return []
        along = [np.asarray(x, dtype=float).reshape(len(rows), -1) for x in out[1:]]
        pushed, start = [], 0
        for basis in bases:
            blocks = []
            for directions in basis:
                own = slice(start, start + len(directions))
                blocks += [along[0][own].T] if self._order == 1 else [x[own] for x in along]
                start += len(directions)
            pushed.append(blocks)
        return pushed

    def _differentiated(self, batched: Batched, stacked: list[np.ndarray]) -> list[np.ndarray] | None:
        if not self.traceable:
            return None
        try:
            return batched(stacked)
        except Exception as error:  # whatever a foreign function raises under tracing: then differences judge alone
            self.traceable = False
            self.why_not_traceable = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return None


class Derivatives:
    """Derivatives by reverse mode at N points."""

    def __init__(self, out: list[np.ndarray], count: int, order: int) -> None:
        self.values = np.asarray(out[0])
        n = len(self.values)
        self.names = ("reverse", "forward") if order == 1 else ("reverse over reverse", "forward over reverse")
        rows = [self.values.shape[1]] * count
        if order == 2:
            rows = [int(np.prod(x.shape[2:], dtype=int)) for x in out[1 : 1 + count] for _ in range(count)]
        self._tensors = [np.asarray(x, dtype=float).reshape(n, r, -1) for x, r in zip(out[1:], rows, strict=True)]

    def tensor(self, block: int) -> np.ndarray:
        """The whole block in entry coordinates: (N, outputs or first, second)."""
        return self._tensors[block]


class Evaluation(Function):
    """<w, F(rest)> of leaves w, rest: its derivative in w is F, which is evaluated and nothing else."""

    def __init__(self, value: Callable[..., Any]) -> None:
        self._values = Batched(each(value))
        self.traceable = True
        self.why_not_traceable = ""

    def values(self, points: Sequence[Leaves]) -> np.ndarray:
        """<w, F> at the points: (N, 1)."""
        return self.derivatives(points).values

    def shape(self, rest: Leaves) -> tuple[int, ...]:
        """Of F, by evaluating it there."""
        return np.shape(self._values(_stack([rest]))[0][0])

    def derivatives(self, points: Sequence[Leaves]) -> "Evaluated":  # type: ignore[override]
        """F at the points."""
        out = self._values(_stack([p[1:] for p in points]))[0]
        return Evaluated(points, out.reshape(len(points), -1))


class Evaluated:
    """Values of F at N points, as the derivative of <w, F> in w."""

    names = ("evaluation",)

    def __init__(self, points: Sequence[Leaves], out: np.ndarray) -> None:
        self._out = np.asarray(out, dtype=float)
        weights = np.stack([np.reshape(p[0], -1) for p in points])
        self.values = np.sum(weights * self._out, axis=1, keepdims=True)

    def tensor(self, block: int) -> np.ndarray:
        """F, one row: (N, 1, size of F)."""
        del block
        return self._out[:, None, :]


def _annihilator(powers: Sequence[int], offsets: np.ndarray) -> np.ndarray:
    """Weights of length one that take a combination of these powers at the offsets to zero."""
    vectors = np.linalg.svd(np.stack([offsets**k for k in powers]))[2]
    return np.asarray(vectors[-1])


_ODD_NOISE = _annihilator((1, 3, 5, 7), _OFFSETS)
_EVEN_NOISE = _annihilator((0, 2, 4, 6, 8), np.concatenate([[0.0], _OFFSETS]))
_NOISE_SAFETY = 4.0  # of one root mean square over all directions


def _noise(residuals: np.ndarray) -> Any:
    """How far the values of f scatter about smooth ones: what no polynomial of the stencil's order explains."""
    return _NOISE_SAFETY * np.sqrt(np.mean(residuals**2, axis=0)) / np.sqrt(2)  # a difference has the noise of two


def first_differences(
    values: Callable[[Sequence[Leaves]], np.ndarray], point: Leaves, slot: int, basis: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Directional derivatives (m, q) of f along the basis of one leaf, and the estimate of their error.

    Truncation from the distance of two steps; noise from what is left of the values where polynomials are taken out,
    since a badly conditioned f scatters by more than moving its arguments by a rounding shows.
    """
    moved = [
        point[:slot] + (point[slot] + sign * step * offset * e,) + point[slot + 1 :]
        for e in basis
        for offset in _OFFSETS
        for sign in (1.0, -1.0)
    ]
    if not moved:
        return np.zeros((1, 0)), np.zeros((1, 0))
    out = np.asarray(values(moved), dtype=float)
    out = out.reshape(len(basis), len(_OFFSETS), 2, -1)
    odd = {float(o): out[:, i, 0] - out[:, i, 1] for i, o in enumerate(_OFFSETS)}
    coarse = sum(c * odd[float(j)] for j, c in _FIRST.items()) / step
    fine = sum(c * odd[j / 2] for j, c in _FIRST.items()) / (step / 2)
    noise = _noise(np.einsum("o,qom->qm", _ODD_NOISE, out[:, :, 0] - out[:, :, 1])) / (step / 2)
    return np.asarray(fine).T, (np.abs(np.asarray(coarse - fine)) / 8 + noise).T


def in_small_steps(
    differences: Callable[[float], tuple[np.ndarray, np.ndarray]], step: float
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """`differences` at a step where they converge, and that step: smaller ones where the two estimates are far apart.

    A direction knows the scale of its own argument, and not how fast f changes along it: a mean moved by a share of
    itself may be moved by many standard deviations.
    """
    for attempt in range(STEP_REDUCTIONS + 1):
        value, truncation = differences(step)
        if attempt == STEP_REDUCTIONS or converges(value, truncation):
            break
        step /= STEP_REDUCTION
    return (value, truncation), step


def second_differences(
    values: Callable[[Sequence[Leaves]], np.ndarray], point: Leaves, directions: Sequence[Leaves], step: float
) -> tuple[np.ndarray, np.ndarray]:
    """The (q, q) second derivatives of a scalar f along joint directions, and the estimate of their truncation."""
    q = len(directions)
    pairs = [(a, b) for a in range(q) for b in range(a, q)]
    moved = []
    for a, b in pairs:
        e = directions[a] if a == b else tuple(u + v for u, v in zip(directions[a], directions[b], strict=True))
        moved += [
            tuple(x + sign * step * offset * v for x, v in zip(point, e, strict=True))
            for offset in _OFFSETS
            for sign in (1.0, -1.0)
        ]
    out = np.asarray(values([point, *moved]), dtype=float)[:, 0]
    centre, out = out[0], out[1:].reshape(len(pairs), len(_OFFSETS), 2)
    even = {float(o): out[:, i, 0] + out[:, i, 1] for i, o in enumerate(_OFFSETS)}
    coarse = (sum(c * even[float(j)] for j, c in _SECOND.items()) - 49 / 18 * centre) / step**2
    fine = (sum(c * even[j / 2] for j, c in _SECOND.items()) - 49 / 18 * centre) / (step / 2) ** 2
    values_and_centre = np.concatenate([np.full((len(pairs), 1), 2 * centre), out.sum(axis=2)], axis=1)
    noise = 3 * _noise(values_and_centre @ _EVEN_NOISE) / (step / 2) ** 2  # three of them in a mixed one, halved

    def polarise(along: np.ndarray) -> np.ndarray:
        pure = {a: along[i] for i, (a, b) in enumerate(pairs) if a == b}
        full = np.zeros((q, q))
        for i, (a, b) in enumerate(pairs):
            full[a, b] = full[b, a] = pure[a] if a == b else (along[i] - pure[a] - pure[b]) / 2
        return full

    best = polarise(np.asarray(fine))
    return best, np.abs(polarise(np.asarray(coarse)) - best) / 8 + noise
