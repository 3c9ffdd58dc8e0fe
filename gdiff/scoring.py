"""Fisher scoring: a likelihood climbed by t + F^-1 score, and what is found there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gdiff import linalg
from gdiff.ascent import ascend, nearness, not_there
from gdiff.display import Table, number
from gdiff.information import Information, unit_diagonal
from gdiff.mode import resolved
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import is_traced


class Place(NamedTuple):
    """A point of the search, with the scoring step of the q parameters that are free, among p."""

    x: Array  # (p,)
    value: Array
    slope: Array  # (p,)
    information: Array  # (q, q)
    step: Array  # (p,)
    distance: Array  # sqrt(score' F^-1 score), the length of the step in standard errors

    @property
    def finite(self) -> Array:
        """Whether value, score and information are finite."""
        return jnp.isfinite(self.value) & jnp.all(jnp.isfinite(self.slope)) & jnp.all(jnp.isfinite(self.information))


def climb(
    value: Callable[[Array], Array],
    local: Callable[[Array], tuple[Array, Array]],
    start: Array,
    free: np.ndarray,
    max_steps: int,
    rtol: float,
    tell: Callable[[str], None] | None,
) -> tuple[Place, Array]:
    """The maximum of `value` that scoring reaches, moving the entries `free` of a vector (p,), and the steps made.

    `local` returns score (p,) and information (p, p). Along combinations of parameters without information no step is
    made.
    """

    def look(x: Array) -> Place:
        score, information = local(x)
        information = information[jnp.ix_(free, free)]
        scaled, s = unit_diagonal(information)
        eigenvalues, vectors = linalg.eigh(scaled)
        known = eigenvalues > resolved(eigenvalues)
        root = jnp.sqrt(jnp.where(known, eigenvalues, 1))
        along = jnp.where(known, linalg.matvec(vectors.T, score[free] / s) / root, 0)
        step = jnp.zeros_like(x).at[free].set(linalg.matvec(vectors, along / root) / s)
        slope = jnp.zeros_like(x).at[free].set(score[free])
        return Place(x, value(x), slope, information, step, jnp.linalg.norm(along))

    report = None if tell is None else partial(_report, tell)
    enough = nearness(rtol, start.dtype)
    return ascend(value, look, start, steps=0, max_steps=max_steps, enough=enough, tell=report)


def _report(tell: Callable[[str], None], steps: Array, height: Array, distance: Array) -> None:
    left = f"{number(float(distance), 2)} standard errors to go"
    tell(f"step {int(steps)}, log-likelihood {number(float(height), 8)}, {left}")


def judged(
    value: Callable[[Array], Array], found: Place, free: np.ndarray, names: tuple[str, ...], rtol: float
) -> dict[str, Any]:
    """What a `Fit` says of the point that was found: informations, status and distance."""
    own, values = tuple(names[i] for i in free), found.x[free]
    hessian = symmetrize(jax.hessian(value)(found.x))[jnp.ix_(free, free)]
    expected, observed = Information(own, values, found.information), Information(own, values, -hessian)
    curvatures, _ = linalg.eigh(unit_diagonal(-hessian)[0])
    limit = resolved(curvatures)
    status = jnp.asarray(Status.OK, jnp.int32)
    for applies, reason in (  # the last that applies
        (jnp.any(curvatures <= limit), Status.FLAT_DIRECTION),
        (jnp.any(curvatures < -limit), Status.SADDLE),
        (expected.status == Status.FLAT_DIRECTION, Status.FLAT_DIRECTION),
        (not_there(found.distance, rtol), Status.NOT_CONVERGED),
        (~jnp.isfinite(found.value) | ~jnp.all(jnp.isfinite(hessian)), Status.NOT_FINITE),
    ):
        status = jnp.where(applies, reason, status)
    return {
        "status": status,
        "distance": found.distance,
        "information": expected,
        "observed": observed,
    }


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["theta", "log_likelihood", "status", "steps", "distance", "information", "observed", "meat"],
    meta_fields=[],
)
@dataclass(frozen=True, repr=False)
class Fit:
    """A maximum of the likelihood (of the posterior, with a prior), and what it is worth.

    `theta` is a tree like `init`; `information` is the expected and `observed` the observed one (priors added), of the
    parameters that are free; `status` an int32 array for `gdiff.Status`; `distance` the length of the scoring step that
    is left, in standard errors.
    """

    theta: Any
    log_likelihood: Array
    status: Array
    steps: Array
    distance: Array
    information: Information
    observed: Information
    meat: Array | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters that are free."""
        return self.information.names

    @property
    def covariance(self) -> Array:
        """F^-1, (q, q), from the expected information; NaN where the status is not OK."""
        return jnp.where(self.status == Status.OK, self.information.covariance, jnp.nan)

    @property
    def standard_errors(self) -> Array:
        """Roots of the diagonal of F^-1, (q,), in the order of `names`."""
        return jnp.sqrt(jnp.diagonal(self.covariance))

    @property
    def sandwich(self) -> Array:
        """J^-1 (sum_k s_k s_k') J^-1, (q, q), right for a wrong model too (White 1982).

        Raises TypeError where the data were statistics, or one observation.
        """
        if self.meat is None:
            raise TypeError("sandwich: the fit was to statistics or one observation; it needs rows (n, d).")
        bread = self.observed.covariance
        return linalg.matmul(linalg.matmul(bread, self.meat), bread)

    def explain(self) -> str:
        """The status in words."""
        if is_traced(self.status):
            raise TypeError("explain: got a traced fit, wanted one outside of jit and vmap.")
        status = Status(int(self.status))
        if status is Status.OK:
            return f"ok: a maximum, reached in {int(self.steps)} steps."
        if status is Status.FLAT_DIRECTION:
            which = self.information if int(self.information.status) != Status.OK else self.observed
            return which.explain()
        to_go = f" {number(float(self.distance), 2)} standard errors to go after {int(self.steps)} steps."
        said = f"{status.words}: {status.explain()}"
        return said + (to_go if status is Status.NOT_CONVERGED else "")

    def table(self) -> Table:
        """Estimate and standard errors, a row a parameter: expected, observed, and sandwich where there are rows."""
        columns = [self.information.values, self.standard_errors, self.observed.errors]
        head = ["parameter", "estimate", "standard error", "observed"]
        if self.meat is not None:
            columns, head = [*columns, jnp.sqrt(jnp.diagonal(self.sandwich))], [*head, "sandwich"]
        rows = [(n, *(number(float(c)) for c in cells)) for n, *cells in zip(self.names, *columns, strict=True)]
        return Table(tuple(head), rows, right=frozenset(range(1, len(head))))

    def __str__(self) -> str:
        if is_traced(self.status):
            return "Fit(traced)"
        if self.status.ndim:
            return f"Fit: a batch {self.status.shape}, status {np.asarray(self.status)}"
        return f"{self.table().text()}\nlog-likelihood {number(float(self.log_likelihood), 8)}\n{self.explain()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html() + f"<p>{self.explain()}</p>"
