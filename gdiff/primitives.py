"""What the primitives of a JAX program mean, in NumPy: arithmetic, shapes, indexing and small factorisations.

Each rule takes arrays and the primitive's parameters. They are to be exact where XLA is exact, backward stable where it
is, and quick for stacks of small matrices; `is_plain` says for which arguments a rule is the primitive's meaning.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_SMALL = 32  # rows up to which factorising by NumPy, a row at a time for a whole stack, is quick

Rule = Callable[..., Any]  # arrays and the primitive's parameters -> an array, or a list of them


def _select(which: Any, off: Any, on: Any) -> Any:
    return np.where(which, on, off)


def _broadcast(x: Any, *, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...], **_: Any) -> Any:
    sizes = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, x.shape, strict=True):
        sizes[axis] = size
    return np.broadcast_to(x.reshape(sizes), shape)


def _slice(x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    steps = strides or (1,) * x.ndim
    return x[tuple(slice(*bounds) for bounds in zip(start_indices, limit_indices, steps, strict=True))]


def _iota(*_: Any, dtype: Any, shape: tuple[int, ...], dimension: int, **__: Any) -> Any:
    sizes = [shape[dimension] if axis == dimension else 1 for axis in range(len(shape))]
    return np.broadcast_to(np.arange(shape[dimension], dtype=dtype).reshape(sizes), shape)


def _dot(x: Any, y: Any, *, dimension_numbers: Any, **_: Any) -> Any:
    """lax.dot_general by matmul: batch axes, then those of x that are free, then those of y."""
    (summed_x, summed_y), (batch_x, batch_y) = dimension_numbers
    free_x = [a for a in range(x.ndim) if a not in (*summed_x, *batch_x)]
    free_y = [a for a in range(y.ndim) if a not in (*summed_y, *batch_y)]
    batch = [x.shape[a] for a in batch_x]
    inner = int(np.prod([x.shape[a] for a in summed_x], dtype=int))
    shapes = [x.shape[a] for a in free_x], [y.shape[a] for a in free_y]
    rows, columns = (int(np.prod(s, dtype=int)) for s in shapes)
    left = x.transpose((*batch_x, *free_x, *summed_x)).reshape(*batch, rows, inner)
    right = y.transpose((*batch_y, *summed_y, *free_y)).reshape(*batch, inner, columns)
    return np.matmul(left, right).reshape((*batch, *shapes[0], *shapes[1]))


def _pad(x: Any, value: Any, *, padding_config: Any) -> Any:
    low, high, inside = zip(*padding_config, strict=True) if padding_config else ((), (), ())
    grown = [max(n + (n - 1) * k, 0) for n, k in zip(x.shape, inside, strict=True)]
    out = np.full([n + max(a, 0) + max(b, 0) for n, a, b in zip(grown, low, high, strict=True)], value, x.dtype)
    out[tuple(slice(max(a, 0), max(a, 0) + n, k + 1) for a, n, k in zip(low, grown, inside, strict=True))] = x
    return out[tuple(slice(max(-a, 0), n + min(b, 0)) for n, a, b in zip(out.shape, low, high, strict=True))]


def _sort(*xs: Any, dimension: int, **_: Any) -> Any:
    order = np.argsort(xs[0], axis=dimension, kind="stable")
    return [np.take_along_axis(x, order, dimension) for x in xs]


def _windows(
    shape: Sequence[int], starts: Any, widths: Mapping[int, int], starting: Sequence[int], batching: Any, paired: Any
) -> tuple[tuple[Any, ...], Any]:
    """The index of windows of these widths at the starts, clipped, and which starts lie inside.

    Axes: those of the batch of starts, then one for each axis of the array that has a width. `starting` are the axes
    that a start has numbers for, `batching` those that go along with the axes `paired` of the batch.
    """
    batch = starts.shape[:-1]
    rank = len(batch) + len(widths)
    index, inside = [], np.ones(batch, dtype=bool)
    for k, size in enumerate(shape):
        width = widths.get(k, 1)
        start = np.zeros(batch, dtype=np.int64)
        if k in starting:
            start = starts[..., list(starting).index(k)].astype(np.int64)
            inside &= (start >= 0) & (start <= size - width)
            start = np.clip(start, 0, size - width)
        elif k in batching:
            axis = paired[list(batching).index(k)]
            start = np.broadcast_to(np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(batch))]), batch)
        start = start.reshape(batch + (1,) * len(widths))
        if k in widths:
            place = len(batch) + list(widths).index(k)
            start = start + np.arange(width).reshape([-1 if a == place else 1 for a in range(rank)])
        index.append(start)
    return tuple(index), inside


def _gather(
    x: Any, starts: Any, *, dimension_numbers: Any, slice_sizes: Any, mode: Any, fill_value: Any, **_: Any
) -> Any:
    """lax.gather: windows of x at the starts, whose axes stand at `offset_dims` of the result."""
    d = dimension_numbers
    gone = {*d.collapsed_slice_dims, *d.operand_batching_dims}
    widths = {k: width for k, width in enumerate(slice_sizes) if k not in gone}
    batch = starts.shape[:-1]
    index, inside = _windows(
        x.shape, starts, widths, d.start_index_map, d.operand_batching_dims, d.start_indices_batching_dims
    )
    out = x[index] if index else np.broadcast_to(x, batch)
    out = np.broadcast_to(out, (*batch, *widths.values()))
    if mode.name == "FILL_OR_DROP" and not inside.all():
        filler = fill_value if fill_value is not None else np.iinfo(x.dtype).min if x.dtype.kind in "iu" else np.nan
        out = np.where(inside.reshape(batch + (1,) * len(widths)), out, np.asarray(filler, x.dtype))
    return np.moveaxis(out, range(len(batch), out.ndim), d.offset_dims)


def _scatter(combine: Callable[..., Any]) -> Rule:
    """lax.scatter: windows of updates put into x at the starts, those that do not fit left out."""

    def rule(x: Any, starts: Any, updates: Any, *, dimension_numbers: Any, **_: Any) -> Any:
        d = dimension_numbers
        gone = {*d.inserted_window_dims, *d.operand_batching_dims}
        kept = [k for k in range(x.ndim) if k not in gone]
        widths = {k: updates.shape[axis] for k, axis in zip(kept, d.update_window_dims, strict=True)}
        index, inside = _windows(
            x.shape,
            starts,
            widths,
            d.scatter_dims_to_operand_dims,
            d.operand_batching_dims,
            d.scatter_indices_batching_dims,
        )
        moved = np.moveaxis(updates, d.update_window_dims, range(inside.ndim, updates.ndim))
        fits = np.broadcast_to(inside.reshape(inside.shape + (1,) * len(widths)), moved.shape)
        out = np.array(x)
        combine(out, tuple(np.broadcast_to(i, moved.shape)[fits] for i in index), moved[fits])
        return out

    return rule


def _scipy(name: str) -> Rule:
    def rule(x: Any, **_: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return rule


def _cumulative(function: Callable[..., Any]) -> Rule:
    def rule(x: Any, *, axis: int, reverse: bool) -> Any:
        return np.flip(function(np.flip(x, axis), axis=axis), axis) if reverse else function(x, axis=axis)

    return rule


def _lu(a: Any, **_: Any) -> Any:
    """P A = L U with partial pivoting, of a stack: the factors in one array, the swaps, the permutation."""
    a = np.array(a)
    m, n = a.shape[-2:]
    swaps = np.empty((*a.shape[:-2], min(m, n)), dtype=np.int32)
    order = np.broadcast_to(np.arange(m, dtype=np.int32), a.shape[:-1]).copy()
    for k in range(min(m, n)):
        pivot = k + np.argmax(np.abs(a[..., k:, k]), axis=-1)
        swaps[..., k] = pivot
        for array, axis in ((a, -2), (order, -1)):
            places = pivot[..., None, None] if axis == -2 else pivot[..., None]
            top = array[..., k : k + 1, :].copy() if axis == -2 else array[..., k : k + 1].copy()
            chosen = np.take_along_axis(array, places, axis=axis)
            np.put_along_axis(array, places, top, axis=axis)
            if axis == -2:
                array[..., k : k + 1, :] = chosen
            else:
                array[..., k : k + 1] = chosen
        diagonal = a[..., k, k][..., None]
        a[..., k + 1 :, k] /= np.where(diagonal == 0, 1, diagonal)
        a[..., k + 1 :, k + 1 :] -= a[..., k + 1 :, k, None] * a[..., k, None, k + 1 :]
    return [a, swaps, order]


def _cholesky(a: Any, **_: Any) -> Any:
    """The lower factor of a stack, from lower triangles; NaN where it fails."""
    out = np.zeros_like(a)
    n = a.shape[-1]
    failed = np.zeros(a.shape[:-2], dtype=bool)
    for j in range(n):
        column = a[..., j:, j] - np.einsum("...ik,...k->...i", out[..., j:, :j], out[..., j, :j])
        failed |= ~(column[..., 0] > 0)
        root = np.sqrt(column[..., 0])
        out[..., j, j] = root
        out[..., j + 1 :, j] = column[..., 1:] / root[..., None]
    out[failed] = np.where(np.tri(n, dtype=bool), np.nan, 0)
    return out


def _triangular_solve(
    a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
) -> Any:
    """op(A) X = B or X op(A) = B, by substitution, a row of the whole stack at a time."""
    a = np.conj(a) if conjugate_a else a
    if transpose_a != (not left_side):  # X op(A) = B is op(A)' X' = B'
        a, lower = np.swapaxes(a, -1, -2), not lower
    b = b if left_side else np.swapaxes(b, -1, -2)
    out = np.empty(b.shape, b.dtype)
    n = a.shape[-1]
    for step in range(n):
        i = step if lower else n - 1 - step
        known = slice(0, i) if lower else slice(i + 1, n)
        row = b[..., i, :] - np.einsum("...k,...kj->...j", a[..., i, known], out[..., known, :])
        out[..., i, :] = row if unit_diagonal else row / a[..., i, i, None]
    return out if left_side else np.swapaxes(out, -1, -2)


def _eigh(a: Any, *, lower: bool, **_: Any) -> Any:
    """Eigenvectors and ascending eigenvalues of a stack of symmetric or Hermitian matrices, from one triangle."""
    values, vectors = np.linalg.eigh(a, "L" if lower else "U")
    return [vectors, values]


def _eig(a: Any, *, compute_right_eigenvectors: bool, **_: Any) -> Any:
    """Eigenvalues of a stack, and right eigenvectors if asked."""
    if not compute_right_eigenvectors:
        return [np.linalg.eigvals(a)]
    return list(np.linalg.eig(a))


def _svd(a: Any, *, full_matrices: bool, compute_uv: bool, **_: Any) -> Any:
    """Singular values of a stack, with U and V' if asked."""
    if not compute_uv:
        return [np.linalg.svd(a, compute_uv=False)]
    u, s, vt = np.linalg.svd(a, full_matrices=full_matrices)
    return [s, u, vt]


def _reduction(reduce: Callable[..., Any]) -> Rule:
    return lambda x, *, axes, **_: reduce(x, axis=tuple(axes)) if axes else x


def _plain(function: Callable[..., Any]) -> Rule:
    return lambda *arrays, **_: function(*arrays)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative,
    "div": np.divide, "pow": np.power, "max": np.maximum, "min": np.minimum, "atan2": np.arctan2,
    "rsqrt": lambda x: 1 / np.sqrt(x), "is_finite": np.isfinite, "stop_gradient": lambda x: x,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert, "copy": lambda x: x, "copy_p": lambda x: x,
}  # fmt: skip
RULES: Mapping[str, Rule] = {
    **{name: _plain(getattr(np, name)) for name in ("exp", "expm1", "log", "log1p", "sqrt", "square")},
    **{name: _plain(getattr(np, name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "abs")},
    **{name: _plain(function) for name, function in _FUNCTIONS.items()},
    "sign": lambda x, **_: np.where(np.isnan(x) | (x == 0), x, np.sign(x)),  # the sign of zero stays
    "integer_pow": lambda x, *, y: x ** np.asarray(y, x.dtype) if y >= 0 else 1 / x ** np.asarray(-y, x.dtype),
    "select_n": _select,
    "convert_element_type": lambda x, *, new_dtype, **_: x.astype(new_dtype),
    "broadcast_in_dim": _broadcast,
    "reshape": lambda x, *, new_sizes, **_: x.reshape(new_sizes),
    "transpose": lambda x, *, permutation: x.transpose(permutation),
    "squeeze": lambda x, *, dimensions: np.squeeze(x, tuple(dimensions)),
    "rev": lambda x, *, dimensions: np.flip(x, tuple(dimensions)),
    "slice": _slice,
    "concatenate": lambda *xs, dimension: np.concatenate(xs, axis=dimension),
    "split": lambda x, *, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis=axis),
    "iota": _iota,
    "platform_index": lambda *, platforms: next(i for i, p in enumerate(platforms) if p is None or "cpu" in p),
    "dot_general": _dot,
    "rem": lambda x, y: np.fmod(x, y),
    "pad": _pad,
    "sort": _sort,
    "gather": _gather,
    "lu": _lu,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "reduce_sum": _reduction(np.sum),
    "reduce_prod": _reduction(np.prod),
    "reduce_max": _reduction(np.max),
    "reduce_min": _reduction(np.min),
    "reduce_and": _reduction(np.all),
    "reduce_or": _reduction(np.any),
    "stack": lambda *xs, axis: np.stack(xs, axis=axis),
    "unstack": lambda x, *, axis: list(np.moveaxis(x, axis, 0)),
    "scatter": _scatter(lambda out, index, updates: out.__setitem__(index, updates)),
    "scatter-add": _scatter(np.add.at),
    "argmax": lambda x, *, axes, index_dtype: np.argmax(x, axis=axes[0]).astype(index_dtype),
    "ceil": _plain(np.ceil),
    "floor": _plain(np.floor),
    "cumsum": _cumulative(np.cumsum),
    "cumprod": _cumulative(np.cumprod),
    "lgamma": _scipy("gammaln"),
    "digamma": _scipy("digamma"),
    "real": lambda z: np.real(z),
    "imag": lambda z: np.imag(z),
    "conj": lambda z, **_: np.conj(z),
    "complex": lambda x, y: x + np.multiply(1j, y, dtype=np.result_type(y, np.complex64)),
    "eigh": _eigh,
    "eig": _eig,
    "svd": _svd,
}  # fmt: skip
FLOATS_ONLY = {"div", "pow", "sign", "integer_pow"}
_OF_COMPLEX = {
    "add", "add_any", "sub", "mul", "neg", "div", "eq", "ne", "copy", "copy_p", "exp", "log", "sqrt", "sin", "cos",
    "square", "abs", "integer_pow", "select_n", "convert_element_type", "broadcast_in_dim", "reshape", "transpose",
    "squeeze", "rev", "slice", "concatenate", "split", "dot_general", "pad", "gather", "lu", "triangular_solve",
    "reduce_sum", "reduce_prod", "stack", "unstack", "scatter", "scatter-add", "real", "imag", "conj", "stop_gradient",
    "eigh", "eig",
}  # fmt: skip
_FACTORISATIONS = {"lu", "cholesky", "triangular_solve", "eigh", "eig", "svd"}


def is_plain(name: str, arguments: Sequence[Any], parameters: Mapping[str, Any]) -> bool:
    """Whether there is a rule, and it is the primitive's meaning here: its kinds of numbers, small matrices."""
    kinds = "fbiuc" if name in _OF_COMPLEX else "fbiu"
    if name not in RULES or not all(isinstance(a, np.ndarray) and a.dtype.kind in kinds for a in arguments):
        return False
    if name == "select_n":
        return len(arguments) == 3 and arguments[0].dtype == bool and arguments[0].ndim in (0, arguments[1].ndim)
    if name == "convert_element_type":
        new, old = np.dtype(parameters["new_dtype"]), arguments[0].dtype.kind
        allowed = {"f": "fcb", "c": "c"}.get(old, "fbiuc")
        return new.isbuiltin == 1 and new.kind in allowed
    if name == "reshape":
        return parameters.get("dimensions") is None
    if name == "argmax":
        return len(parameters["axes"]) == 1 and not np.any(np.isnan(arguments[0]))
    if name in ("scatter", "scatter-add"):
        return parameters["mode"].name in ("PROMISE_IN_BOUNDS", "FILL_OR_DROP")
    if name == "sort":
        return parameters["num_keys"] == 1 and (arguments[0].dtype.kind != "f")
    if name == "gather":
        return parameters["mode"].name in ("CLIP", "PROMISE_IN_BOUNDS", "FILL_OR_DROP")
    if name == "eig" and parameters["compute_left_eigenvectors"]:
        return False
    if name in ("eigh", "svd") and parameters.get("subset_by_index") is not None:
        return False
    if name in _FACTORISATIONS:  # of what is not finite NumPy raises, and JAX returns NaN
        spectral = name in ("eigh", "eig", "svd")
        return arguments[0].shape[-2] <= _SMALL and (not spectral or bool(np.all(np.isfinite(arguments[0]))))
    return name not in FLOATS_ONLY or all(a.dtype.kind in "fc" for a in arguments)
