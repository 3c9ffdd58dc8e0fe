"""What makes a covariance, a factor or a sample valid, with the status that says why not.

Shapes and dtypes are static, so a mistake in them raises. Values are dynamic: an invalid one gives NaN in the value and
in every entry of every derivative, under any transformation, and a ValueError when nothing is traced. A bad item in a
batch leaves the others right. `guard` has the mechanism; the rules:

- finite: every entry of every argument, the triangle that is not read included;
- symmetric: |S_ij - S_ji| <= sqrt(eps) sqrt(S_ii) sqrt(S_jj), within which S/2 + S'/2 is taken (a Kalman update in
  float32 reaches 6e-5);
- positive definite: the Cholesky factorisation succeeds and max_i S_ii P_ii <= 1/(16 u), the variance inflation factor:
  pivots alone let exactly indefinite matrices through;
- a factor: zero above its diagonal and positive on it, which is all that L L' needs.
"""

import math
import warnings
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array

from gdiff import linalg
from gdiff.arrays import ArrayLike
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize

# Static: dtypes and shapes.

_warned_float64 = False


def as_floats(**arguments: ArrayLike) -> tuple[Array, ...]:
    """The arguments as arrays of one real floating dtype (`jnp.result_type` of all; integers are promoted).

    Raises TypeError for complex, float16 and bfloat16. Warns once for float64 NumPy arrays while x64 is off.
    """
    global _warned_float64  # noqa: PLW0603 - "once" is a property of the process
    for name, value in arguments.items():
        wide = isinstance(value, np.ndarray) and value.dtype == np.float64
        if wide and jnp.result_type(float) == np.float32 and not _warned_float64:
            _warned_float64 = True
            warnings.warn(
                f"{name}: got float64, computing in float32 because JAX's x64 mode is off; "
                'jax.config.update("jax_enable_x64", True) keeps all digits.',
                UserWarning,
                stacklevel=3,
            )
    arrays = {name: jnp.asarray(value) for name, value in arguments.items()}
    for name, array in arrays.items():
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise TypeError(f"{name}: got {array.dtype}, wanted real numbers; gdiff's densities are of real vectors.")
        if jnp.issubdtype(array.dtype, jnp.floating) and jnp.finfo(array.dtype).bits < 32:
            raise TypeError(f"{name}: got {array.dtype}, wanted float32 or float64; convert with .astype(jnp.float32).")
    dtype = jnp.result_type(*arrays.values())
    if not jnp.issubdtype(dtype, jnp.floating):
        dtype = jnp.result_type(float)
    return tuple(array.astype(dtype) for array in arrays.values())


def check_vector(name: str, shape: tuple[int, ...], d: int, against: str) -> None:
    """Raise ValueError unless `shape` is (..., d)."""
    if not shape or shape[-1] != d:
        hint = " Drop the last axis: x[..., 0]." if len(shape) > 1 and shape[-2:] == (d, 1) else ""
        raise ValueError(f"{name}: got shape {shape}, wanted (..., {d}) to match {against}.{hint}")


def check_square(name: str, shape: tuple[int, ...], d: int | None = None, batched: bool = False) -> None:
    """Raise ValueError unless `shape` is (d, d), or (..., d, d) when batched."""
    size = "d" if d is None else d
    wanted = f"({'..., ' if batched else ''}{size}, {size})"
    right = len(shape) == 2 or (batched and len(shape) > 2)
    if not right or shape[-1] != shape[-2] or (d is not None and shape[-1] != d):
        raise ValueError(f"{name}: got shape {shape}, wanted {wanted}.")


# Dynamic: values.


def _finite(a: Array, event_ndim: int) -> Array:
    return jnp.all(jnp.isfinite(a), axis=tuple(range(-event_ndim, 0)))


def finite_status(a: Array, event_ndim: int) -> Array:
    """OK or NOT_FINITE for each item of a batch whose events have `event_ndim` axes."""
    return jnp.where(_finite(a, event_ndim), Status.OK, Status.NOT_FINITE)


def worst(*statuses: Array) -> Array:
    """The first status that is not OK, item by item; batch axes broadcast."""
    result = statuses[0]
    for status in statuses[1:]:
        result = jnp.where(result == Status.OK, status, result)
    return result


def stand_in(a: Array, status: Array, instead: Any = 0) -> Array:
    """`a`, and 0 for the items (leading axes) whose status is not OK, so that nothing computed from them is NaN."""
    return jnp.where(jnp.expand_dims(status == Status.OK, tuple(range(status.ndim, a.ndim))), a, instead)


class Positive(NamedTuple):
    """A valid stand-in for a covariance: S itself where it is valid, with its inverse; I where it is not."""

    matrix: Array
    inverse: Array
    log_det: Array
    status: Array


def _limit(dtype: Any) -> float:
    return 1 / (8 * float(jnp.finfo(dtype).eps))  # eps = 2u


def judged(inflation_within: Array, asymmetry: Array, dtype: Any) -> Array:
    """The first rule that a covariance breaks; what is not finite passes neither of the other two."""
    symmetric = asymmetry <= math.sqrt(jnp.finfo(dtype).eps)
    broken = jnp.where(symmetric, Status.NOT_POSITIVE_DEFINITE, Status.NOT_SYMMETRIC)
    broken = jnp.where(jnp.isnan(asymmetry), Status.NOT_FINITE, broken)
    return jnp.where(symmetric & inflation_within, Status.OK, broken)


def covariance_status(measured: linalg.Inverse | linalg.Forms | linalg.Scored) -> Array:
    """The status of a covariance by what was measured when it was inverted."""
    dtype = measured.inflation.dtype
    return judged(measured.inflation <= _limit(dtype), measured.asymmetry, dtype)


def positive_definite(s: Array) -> Positive:
    """Judge (..., d, d) by the rules above and invert what is valid."""
    inverse = linalg.inverse(s)
    status = covariance_status(inverse)
    ok, eye = status == Status.OK, jnp.eye(s.shape[-1], dtype=s.dtype)
    return Positive(
        jnp.where(ok[..., None, None], symmetrize(s), eye),
        jnp.where(ok[..., None, None], inverse.precision, eye),
        jnp.where(ok, inverse.log_det, 0),
        status,
    )


def definite_factor(s: Array) -> "Factor":
    """The Cholesky factor of a covariance (..., d, d), judged as by `positive_definite`, without its inverse."""
    whole = symmetrize(s)
    lower = linalg.cholesky(whole)
    definite = linalg.inflation_within(whole, lower, _limit(s.dtype))
    status = judged(definite, linalg.asymmetry(s), s.dtype)
    eye = jnp.eye(s.shape[-1], dtype=s.dtype)
    return Factor(jnp.where((status == Status.OK)[..., None, None], lower, eye), status)


class General(NamedTuple):
    """A valid stand-in for a square matrix with free entries: X where it is invertible, with its inverse; else I."""

    matrix: Array
    inverse: Array
    status: Array


def invertible(x: Array) -> General:
    """Judge (..., d, d) without structure: finite, and max_i (|X| |X^-1|)_ii <= 1/(16 u)."""
    eye = jnp.eye(x.shape[-1], dtype=x.dtype)
    finite = _finite(x, 2)
    safe = jnp.where(finite[..., None, None], x, eye)
    inverse = linalg.inverse_general(safe)
    inflation = jnp.max(jnp.sum(jnp.abs(safe) * jnp.abs(inverse.mT), axis=-1), axis=-1, initial=1)
    status = jnp.where(~finite, Status.NOT_FINITE, jnp.where(inflation <= _limit(x.dtype), Status.OK, Status.SINGULAR))
    ok = (status == Status.OK)[..., None, None]
    safe = jnp.where(ok, safe, eye)
    return General(safe, linalg.inverse_general(safe), status)  # again: the first one's residuals may be infinite


class Factor(NamedTuple):
    """A valid stand-in for a Cholesky factor: L where it is valid, I where it is not."""

    lower: Array
    status: Array


def cholesky_factor(lower: Array) -> Factor:
    """Judge a factor (..., d, d): finite, zero above its diagonal, positive on it."""
    eye = jnp.eye(lower.shape[-1], dtype=lower.dtype)
    finite = _finite(lower, 2)
    triangular = jnp.all(jnp.triu(lower, 1) == 0, axis=(-2, -1))
    positive = jnp.all(jnp.diagonal(lower, axis1=-2, axis2=-1) > 0, axis=-1)
    status = jnp.where(
        ~finite,
        Status.NOT_FINITE,
        jnp.where(
            ~triangular, Status.NOT_LOWER_TRIANGULAR, jnp.where(positive, Status.OK, Status.DIAGONAL_NOT_POSITIVE)
        ),
    )
    return Factor(jnp.where((status == Status.OK)[..., None, None], jnp.tril(lower), eye), status)


# NaN in every derivative where invalid, and nowhere else.


_IRRATIONAL = ((math.sqrt(5) - 1) / 2, math.sqrt(2) - 1)


def uneven_axes(event: tuple[int, ...], dtype: Any) -> list[np.ndarray]:
    """Weights between 1 and 2 along each of an event's axes: of their products, no two equal entries cancel."""
    axes = np.ix_(*(1 + np.modf(g * np.arange(1, n + 1))[0] for g, n in zip(_IRRATIONAL, event, strict=False)))
    return [axis.astype(dtype) for axis in axes]


def uneven(event: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The products of `uneven_axes`, for the entries of a small event."""
    return math.prod(uneven_axes(event, dtype), start=np.ones(event, dtype))


def nan_unless(ok: Array, t: Array) -> Array:
    """Linear in t: t where ok; elsewhere 0 -> 0 and anything else -> NaN. So is its transpose.

    A tangent or a cotangent of 0, of an item that a `where` leaves out, so stays 0: 0 * NaN would not.
    """
    b = jnp.where(ok, 0, jnp.finfo(t.dtype).max).astype(t.dtype)

    def up(t: Array) -> Array:
        return ((t * b) * b) * b

    u = up(t)
    return jnp.where(ok, t, up(u - u))


def _event_sum(t: Array, event_ndim: int, batch: tuple[int, ...]) -> Array:
    """A sum over an event's entries, item by item, with uneven weights."""
    weighted = math.prod(uneven_axes(t.shape[t.ndim - event_ndim :], t.dtype), start=t)
    return jnp.broadcast_to(jnp.sum(weighted, axis=tuple(range(-event_ndim, 0))), batch)


def trace_of(event_ndims: tuple[int, ...], batch: tuple[int, ...], arguments: tuple, tangents: tuple) -> Array:
    """A number for each item that moves with every argument, to every order: what `nan_unless` makes NaN of."""
    one = _one(event_ndims, batch, *arguments)
    sums = [
        _event_sum(t, event_ndim, batch)
        for t, event_ndim in zip(tangents, event_ndims, strict=True)
        if not isinstance(t, SymbolicZero)
    ]
    return one * sum(sums, jnp.zeros_like(one))


def _batched_as(arguments: tuple, constant: Array) -> Array:
    """The constant, batched where an argument is: vmap of a rule wants of a value what it wants of its tangent."""
    for a in arguments:
        constant = jnp.where(jnp.any(a == 0), constant, constant)
    return constant


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _one(event_ndims: tuple[int, ...], batch: tuple[int, ...], *arguments: Array) -> Array:
    """1 for each item, with finite derivatives of every order that are not 0."""
    del event_ndims
    return _batched_as(arguments, jnp.ones(batch, jnp.result_type(*arguments)))


def _one_jvp(event_ndims: tuple[int, ...], batch: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    return _one(event_ndims, batch, *primals), trace_of(event_ndims, batch, primals, tangents)


_one.defjvp(_one_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _tripwire(event_ndims: tuple[int, ...], ok: Array, *arguments: Array) -> Array:
    """0 in value; every derivative with respect to an argument is NaN where not ok and 0 elsewhere, to every order.

    Tangents stay finite until the last step, item by item: a NaN any earlier, in an argument that items share, would
    meet their zeros in a product when the rule is differentiated in reverse.
    """
    del event_ndims
    return _batched_as(arguments, jnp.zeros(ok.shape, jnp.result_type(*arguments)))


def _tripwire_jvp(event_ndims: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    ok, *arguments = primals
    moved = trace_of(event_ndims, ok.shape, tuple(arguments), tangents[1:])
    return _tripwire(event_ndims, ok, *arguments), nan_unless(ok, jnp.where(ok, 0, moved))


_tripwire.defjvp(_tripwire_jvp, symbolic_zeros=True)


def guard(value: Array, status: Array, *arguments: tuple[Array, int]) -> Array:
    """`value` where the status is OK; elsewhere NaN, in the value and in all its derivatives.

    `value` has the batch shape of `status`, then any event axes. `arguments` are (array, number of event axes) pairs of
    everything that the value depends on; their batch axes broadcast to those of `status`. `value` must have been
    computed from stand-ins that are finite where invalid, so that a cotangent of 0 stays 0 on its way back.
    """
    return nan_in_derivatives(stand_in(value, status, jnp.nan), status, *arguments)


def nan_in_derivatives(value: Array, status: Array, *arguments: tuple[Array, int]) -> Array:
    """The part of `guard` that only derivatives see."""
    wire = _tripwire(tuple(ndim for _, ndim in arguments), status == Status.OK, *(array for array, _ in arguments))
    return value + jnp.expand_dims(wire, tuple(range(status.ndim, value.ndim))).astype(value.dtype)


def is_traced(*trees: Any) -> bool:
    """Whether any leaf is a tracer, so that its value cannot be read."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def raise_if_invalid(status: Array, **arguments: Any) -> None:
    """Raise ValueError with the reason, the place and what to do, unless the status is OK or anything is traced."""
    if is_traced(status, arguments):  # under an eager grad the status is known and the arguments are traced
        return
    codes = np.asarray(status)
    if not codes.any():
        return
    index = tuple(int(i) for i in np.argwhere(codes)[0]) if codes.ndim else ()
    reason = Status(int(codes[index]))
    where = f" (item {index if len(index) > 1 else index[0]} of the batch)" if index else ""
    finite = all(np.isfinite(array).all() for array in jax.tree.leaves(arguments))
    if reason is Status.NOT_FINITE and finite:
        raise ValueError(f"{_largest(arguments)}{where}, whose square is infinite: choose units in which it is not.")
    raise ValueError(f"{_locate(reason, arguments)}{where}: {reason.explain()}")


def _largest(arguments: dict[str, Any]) -> str:
    """The entry that is the largest in size of all arguments."""
    entries = [
        (np.max(np.abs(a), initial=0), name, a) for name, tree in arguments.items() for a in jax.tree.leaves(tree)
    ]
    _, name, array = max(entries, key=lambda entry: entry[0])
    place = np.unravel_index(np.argmax(np.abs(array)), np.shape(array))
    return f"{name}: got {np.asarray(array)[place]:.6g} at {_index(place)}"


def _locate(reason: Status, arguments: dict[str, Any]) -> str:
    """Which argument is meant, and which entries."""
    if reason is Status.NOT_FINITE:
        for name, argument in arguments.items():
            for array in map(np.asarray, jax.tree.leaves(argument)):
                bad = np.argwhere(~np.isfinite(array))
                if len(bad):
                    return f"{name}: got {array[tuple(bad[0])]} at {_index(bad[0])}, wanted finite numbers"
    name, array = next(reversed(arguments.items()))
    matrix = np.asarray(array)
    if reason is Status.NOT_SYMMETRIC:
        ratio = np.abs(matrix - matrix.swapaxes(-1, -2))
        place = np.unravel_index(np.argmax(ratio), ratio.shape)
        mirror = (*place[:-2], place[-1], place[-2])
        pair = f"{matrix[place]:.9g} at {_index(place)} and {matrix[mirror]:.9g} at {_index(mirror)}"
        return f"{name}: got {pair}, wanted them equal"
    if reason is Status.NOT_LOWER_TRIANGULAR:
        place = np.argwhere(np.triu(matrix, 1))[0]
        return f"{name}: got {matrix[tuple(place)]:.6g} at {_index(place)}, wanted 0 above the diagonal"
    return f"{name}, of shape {matrix.shape}"


def _index(place: Any) -> str:
    return "[" + ", ".join(str(int(i)) for i in place) + "]"
