"""An information matrix whose rows have names: errors, correlations, priors, fixed parameters, ellipses.

For estimates with information F, the covariance is F^-1. The *marginal* error of a parameter, sqrt((F^-1)_ii), is for
others that are unknown; the *conditional* one, 1/sqrt(F_ii), for others that are known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff import linalg
from gdiff.arrays import ArrayLike
from gdiff.display import Table, number
from gdiff.mode import resolved
from gdiff.parameters import direction, places
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import is_traced


def unit_diagonal(m: Array) -> tuple[Array, Array]:
    """E and s with M = E∘(s s'), E of unit diagonal: the units of the parameters taken out; s_i = 1 where M_ii <= 0."""
    diagonal = linalg.diagonal(m)
    s = jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1))
    return m / linalg.outer(s, s), s


# Compiled once for each size: operation by operation, the first table that somebody prints would take seconds.


@jax.jit
def _spectrum(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors in units of the conditional errors."""
    return linalg.eigh(symmetrize(unit_diagonal(matrix)[0]))


@jax.jit
def _status(matrix: Array) -> Array:
    eigenvalues, _ = _spectrum(matrix)
    flat = jnp.any(eigenvalues <= resolved(eigenvalues))
    status = jnp.where(flat, Status.FLAT_DIRECTION, Status.OK)
    return jnp.where(jnp.all(jnp.isfinite(matrix)), status, Status.NOT_FINITE).astype(jnp.int32)


@jax.jit
def _covariance(matrix: Array) -> Array:
    ok = _status(matrix) == Status.OK
    root, _ = linalg.root_of_inverse(jnp.where(ok, matrix, jnp.eye(len(matrix), dtype=matrix.dtype)))
    return jnp.where(ok, linalg.matmul(root, root.T), jnp.nan)


@partial(jax.jit, static_argnames="kept")
def _complement(matrix: Array, kept: tuple[int, ...]) -> Array:
    """F_aa - F_ab F_bb^-1 F_ba, a the parameters that are kept, b the others."""
    a, b = np.array(kept), np.setdiff1d(np.arange(len(matrix)), kept)
    across = matrix[jnp.ix_(b, a)]
    inner = _covariance(matrix[jnp.ix_(b, b)])
    return symmetrize(matrix[jnp.ix_(a, a)] - linalg.matmul(across.T, linalg.matmul(inner, across)))


@partial(jax.tree_util.register_dataclass, data_fields=["values", "matrix"], meta_fields=["names"])
@dataclass(frozen=True)
class Information:
    """An information matrix (p, p) at parameter values (p,), with their names.

    Raises ValueError for shapes that do not match.
    """

    names: tuple[str, ...]
    values: Array
    matrix: Array

    def __post_init__(self) -> None:
        p, shapes = len(self.names), [getattr(a, "shape", None) for a in (self.values, self.matrix)]
        single = all(shape is not None and len(shape) == rank for rank, shape in enumerate(shapes, 1))
        if single and shapes != [(p,), (p, p)]:  # batches, and what JAX puts in place of arrays, pass
            raise ValueError(f"got values and a matrix of shapes {shapes}, wanted ({p},) and ({p}, {p}).")

    @property
    def status(self) -> Array:
        """OK, NOT_FINITE, or FLAT_DIRECTION where a combination of parameters has no information (an int32 array).

        In units of the parameters' own conditional errors: an eigenvalue below 32 p eps of the largest is rounding.
        """
        return _status(self.matrix)

    @property
    def covariance(self) -> Array:
        """F^-1, (p, p); NaN where the status is not OK."""
        return _covariance(self.matrix)

    @property
    def errors(self) -> Array:
        """Marginal errors sqrt((F^-1)_ii), (p,)."""
        return jnp.sqrt(jnp.diagonal(self.covariance))

    @property
    def conditional_errors(self) -> Array:
        """1/sqrt(F_ii), (p,), infinite without information."""
        return 1 / jnp.sqrt(jnp.diagonal(self.matrix))

    @property
    def correlation(self) -> Array:
        """The correlation of the estimates, (p, p)."""
        covariance, errors = self.covariance, self.errors
        return covariance / linalg.outer(errors, errors)

    def fixing(self, *names: str) -> "Information":
        """With parameters known, and so left out: their rows and columns go."""
        gone = {i for name in names for i in places(self.names, name, "fixing")}
        return self._of([i for i in range(len(self.names)) if i not in gone])

    def marginal(self, *names: str) -> "Information":
        """Of these parameters alone, the others unknown: the inverse of their block of F^-1.

        F_aa - F_ab F_bb^-1 F_ba, the Schur complement.
        """
        kept = [i for name in names for i in places(self.names, name, "marginal")]
        return replace(self._of(kept), matrix=_complement(self.matrix, tuple(kept)))

    def _of(self, kept: Sequence[int]) -> "Information":
        at = np.array(kept, dtype=int)
        return Information(tuple(self.names[i] for i in kept), self.values[at], self.matrix[jnp.ix_(at, at)])

    def with_prior(self, prior: Mapping[str, float] | ArrayLike) -> "Information":
        """With an independent prior, whose precision adds: standard deviations by name, or a precision (p, p)."""
        return replace(self, matrix=self.matrix + prior_precision(self.names, prior))

    def __add__(self, other: "Information") -> "Information":
        """Of two independent experiments on the same parameters."""
        if not isinstance(other, Information):
            return NotImplemented
        if self.names != other.names:
            raise ValueError(f"got information on {self.names} and on {other.names}, wanted the same parameters.")
        return replace(self, matrix=self.matrix + other.matrix)

    def ellipse(self, first: str, second: str, level: float = 0.683, points: int = 200) -> Array:
        """The region of two parameters with the probability `level`, the others unknown: its border, (points, 2).

        {t: (t - m)' C^-1 (t - m) = -2 log(1 - level)}, C their 2 x 2 block of F^-1.
        """
        at = np.array([self._one(first), self._one(second)])
        if not 0 < level < 1:
            raise ValueError(f"level: got {level}, wanted a probability between 0 and 1.")
        angle = jnp.linspace(0, 2 * math.pi, points, dtype=self.matrix.dtype)
        circle = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        lower = linalg.cholesky(symmetrize(self.covariance[jnp.ix_(at, at)]))
        return self.values[at] + math.sqrt(-2 * math.log1p(-level)) * linalg.matmul(circle, lower.T)

    def _one(self, name: str) -> int:
        found = places(self.names, name, "parameter")
        if len(found) > 1:
            raise ValueError(f"parameter: got {name!r}, wanted one of {', '.join(self.names[i] for i in found)}.")
        return found[0]

    def plot(
        self,
        *names: str,
        figure: Any = None,
        color: str = "C0",
        label: str | None = None,
        levels: Sequence[float] = (0.683, 0.954),
    ) -> Any:
        """Confidence ellipses of each pair of parameters below the curves of each one: a matplotlib figure.

        `names` chooses parameters (all, if none), `figure` is one that an earlier call returned, to draw over.
        Raises ImportError without matplotlib.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError("plot needs matplotlib, which is not installed: pip install gdiff[plot]") from error
        at = [i for name in names or self.names for i in places(self.names, name, "plot")]
        p = len(at)
        if figure is None:
            figure, axes = pyplot.subplots(
                p, p, figsize=(1.9 * p + 0.8, 1.9 * p + 0.8), squeeze=False, sharex="col", layout="constrained"
            )
        else:
            axes = np.array(figure.axes, dtype=object).reshape(p, p)
        errors, values = np.asarray(self.errors), np.asarray(self.values)
        for row, i in enumerate(at):
            for column, j in enumerate(at):
                ax = axes[row, column]
                if column > row:
                    ax.set_axis_off()
                elif column == row:
                    t = np.linspace(values[i] - 3.5 * errors[i], values[i] + 3.5 * errors[i], 201)
                    curve = np.exp(-(((t - values[i]) / errors[i]) ** 2) / 2)
                    ax.plot(t, curve, color=color, lw=1.8, label=label)
                    ax.set(yticks=[], ylim=(0, 1.15))
                    ax.set_title(f"{self.names[i]}\n{number(values[i], 4)} ± {number(errors[i], 2)}", fontsize=9)
                else:
                    for level, alpha in zip(
                        sorted(levels, reverse=True), np.linspace(0.15, 0.4, len(levels)), strict=True
                    ):
                        x, y = np.asarray(self.ellipse(self.names[j], self.names[i], level)).T
                        ax.fill(x, y, facecolor=color, alpha=alpha, lw=0)
                        ax.plot(x, y, color=color, lw=1.2)
                    ax.plot(values[j], values[i], "+", color="black", ms=6)
                    if column == 0:
                        ax.set_ylabel(self.names[i], fontsize=9)
                    else:
                        ax.tick_params(labelleft=False)
                if row == p - 1 and column <= row:
                    ax.set_xlabel(self.names[j], fontsize=9)
                ax.tick_params(labelsize=7)
        if label is not None:
            legend = axes[0, 0].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1))
            legend.set_in_layout(False)  # it stands where the panels above the diagonal would
        return figure

    def explain(self) -> str:
        """What the status says, with the combinations of parameters that have no information."""
        status = Status(int(self.status))
        if status is Status.OK:
            return "ok: every combination of parameters is identified."
        if status is Status.NOT_FINITE:
            return f"not finite: {status.explain()}"
        eigenvalues, vectors = _spectrum(self.matrix)
        flat = np.flatnonzero(np.asarray(eigenvalues <= resolved(eigenvalues)))
        lines = [f"  along {direction(np.asarray(vectors[:, i]), self.names)}" for i in flat]
        lines[-1] += ", in units of their conditional errors"
        return "\n".join([f"flat direction: {status.explain()}", *lines])

    def table(self) -> Table:
        """Value, marginal and conditional error, a row a parameter."""
        columns = (self.values, self.errors, self.conditional_errors)
        rows = [(n, *(number(float(c)) for c in cells)) for n, *cells in zip(self.names, *columns, strict=True)]
        return Table(("parameter", "value", "error", "others known"), rows, right=frozenset({1, 2, 3}))

    def __str__(self) -> str:
        if is_traced(self.matrix):
            return f"Information({', '.join(self.names)}; traced)"
        said = "" if int(self.status) == Status.OK else f"\n{self.explain()}"
        return self.table().text() + said

    def _repr_html_(self) -> str:
        return self.table().html()


def prior_precision(names: Sequence[str], prior: Mapping[str, float] | ArrayLike) -> Array:
    """The precision (p, p) of a prior: standard deviations by name, or the matrix itself.

    Raises ValueError for names that there are not, deviations that are not positive, and shapes that do not match.
    """
    p = len(names)
    if not isinstance(prior, Mapping):
        precision = jnp.asarray(prior)
        if precision.shape != (p, p):
            raise ValueError(f"prior: got shape {precision.shape}, wanted ({p}, {p}), or deviations by name.")
        return symmetrize(precision)
    diagonal: list[Any] = [0.0] * p
    for name, sd in prior.items():
        if not is_traced(sd) and not sd > 0:
            raise ValueError(f"prior: got a standard deviation of {sd} for {name!r}, wanted a positive number.")
        for i in places(names, name, "prior"):
            diagonal[i] = diagonal[i] + 1 / sd**2
    return jnp.diag(jnp.asarray(diagonal))
