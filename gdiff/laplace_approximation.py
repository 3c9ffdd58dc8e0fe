"""The Laplace approximation: a Gaussian at a mode, with minus the Hessian there as its precision.

    p(t) ~ N(m, H^-1),  H = -d2 log p / dt dt' at m,    log Z ~ log p(m) + p/2 log 2 pi - 1/2 log|H|

Its status says whether the mode is one, and its importance weights whether the Gaussian is any good. Nothing is mended
in silence: where the status is not OK there is no covariance, and no evidence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from gdiff import importance, linalg, mode
from gdiff.display import Table, number
from gdiff.parameters import direction, names_of, ravel, spread
from gdiff.status import Status
from gdiff.symmetric.coordinates import symmetrize
from gdiff.validity import is_traced

LogDensity = Callable[[Any], Array]


def _pytree(data: Sequence[str], static: Sequence[str] = ()) -> Callable[[type], type]:
    return partial(jax.tree_util.register_dataclass, data_fields=list(data), meta_fields=list(static))


@_pytree(["draws", "log_weights", "pareto_k", "log_evidence", "mean", "sds", "plain_sds"])
@dataclass(frozen=True)
class ImportanceWeights:
    """Draws (n, ...) with normalised, smoothed log-weights (n,), and what they say in place of the Gaussian.

    `mean`, `sds` are the importance-corrected moments, `plain_sds` those of the Gaussian, trees like the parameters;
    `log_evidence` is log(1/n sum of the raw weights). `pareto_k` is the shape of the tail of the weights: above 0.7 no
    practical number of draws makes the corrected numbers right, and the Gaussian is a poor one.
    """

    draws: Any
    log_weights: Array
    pareto_k: Array
    log_evidence: Array
    mean: Any
    sds: Any
    plain_sds: Any

    @property
    def effective_sample_size(self) -> Array:
        """1 / sum w_i^2 of the normalised weights: as many independent draws of the density are worth as much."""
        return jnp.exp(-jax.nn.logsumexp(2 * self.log_weights))

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Any:
        """Equally weighted draws of the density, resampled by weight: each leaf with `shape` in front."""
        at = jax.random.choice(key, len(self.log_weights), shape, p=jnp.exp(self.log_weights))
        return jax.tree.map(lambda leaf: leaf[at], self.draws)

    @property
    def reliable(self) -> Array:
        """Whether k is at most 0.7, so that the corrected numbers are right to what the draws are worth."""
        return self.pareto_k <= importance.GOOD_K

    @property
    def gaussian(self) -> Array:
        """Whether the Gaussian is a fair approximation: reliable weights, and draws worth a quarter of their number.

        Of an exact Gaussian they are worth at least half.
        """
        return self.reliable & (self.effective_sample_size >= len(self.log_weights) / 4)

    def explain(self) -> str:
        """What the weights say of the approximation, in a sentence."""
        n, k = len(self.log_weights), float(self.pareto_k)
        worth = f"{n} draws are worth {float(self.effective_sample_size):.0f} (Pareto k {k:.2f})"
        poor = (
            "the Gaussian is a poor approximation. There is mass that it does not cover: another mode, or heavy tails."
        )
        if not bool(self.reliable):
            return f"{worth}: {poor} Other parameters (a logarithm, a logit) may help; else use MCMC."
        if not bool(self.gaussian):
            return f"{worth}: {poor} The corrected numbers allow for it, to the precision of so many draws."
        pairs = zip(jax.tree.leaves(self.sds), jax.tree.leaves(self.plain_sds), strict=True)
        off = max(float(jnp.max(jnp.abs(corrected / plain - 1), initial=0)) for corrected, plain in pairs)
        return f"{worth}: the corrected numbers can be relied on. Plain and corrected sds differ by up to {off:.1%}."

    def table(self) -> Table:
        """Plain and corrected sds, a row a parameter."""
        columns = (ravel_pytree(tree)[0] for tree in (self.mean, self.plain_sds, self.sds))
        rows = [
            (name, number(mean), number(plain), number(sd), f"{float(sd / plain - 1):+.1%}")
            for name, mean, plain, sd in zip(names_of(self.mean), *columns, strict=True)
        ]
        head = ("parameter", "corrected mean", "plain sd", "corrected sd", "")
        return Table(head, rows, right=frozenset({1, 2, 3, 4}))

    def __str__(self) -> str:
        return f"{self.table().text()}\n{self.explain()}"

    def _repr_html_(self) -> str:
        return self.table().html() + f"<p>{self.explain()}</p>"


@_pytree(
    ["mode", "precision", "log_evidence", "status", "gradient_norm", "eigenvalues", "eigenvectors", "offending"]
    + ["distance", "steps"],
    ["log_density"],
)
@dataclass(frozen=True, repr=False)
class LaplaceApproximation:
    """N(mode, precision^-1), with the status that says whether it is one. Parameters are in the order of `names`.

    `mode` is a tree like `init`; `precision` (p, p) is minus the Hessian of the log-density there, `eigenvalues` (p,)
    its eigenvalues, ascending, `eigenvectors` (p, p) in columns. `status` is an int32 array: `gdiff.Status(int(...))`.
    `gradient_norm` is that of the log-density at the mode (of the parameters that no bound blocks), `distance` the
    length of the Newton step that is left, in standard deviations, `steps` the number of steps of the search.
    `log_evidence`, `covariance`, `sds` and samples are NaN where the status is not OK.
    """

    mode: Any
    precision: Array
    log_evidence: Array
    status: Array
    gradient_norm: Array
    eigenvalues: Array
    eigenvectors: Array
    offending: Array
    distance: Array
    steps: Array
    log_density: LogDensity | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, their paths in the tree."""
        return names_of(self.mode)

    @property
    def covariance(self) -> Array:
        """H^-1, (p, p), exactly symmetric; (..., p, p) of a batch."""
        root = self._root()
        return symmetrize(linalg.matmul(root, root.mT))

    @property
    def sds(self) -> Any:
        """Marginal standard deviations, the roots of the diagonal of H^-1, a tree like `mode`."""
        self._check_single()
        return self._tree(jnp.sqrt(linalg.diagonal(self.covariance)))

    def _root(self) -> Array:
        """R with H^-1 = R R'; NaN where there is no covariance."""
        ok = self.status == Status.OK
        root, _ = linalg.root_of_inverse(_stand_in(self.precision, ok))
        return jnp.where(ok[..., None, None], root, jnp.nan)

    def _tree(self, vector: Array) -> Any:
        return ravel_pytree(self.mode)[1](vector)

    def _check_single(self) -> None:
        if self.eigenvalues.ndim != 1:
            raise ValueError(
                f"got a batch {self.status.shape} of approximations, wanted one: "
                "jax.vmap(lambda a: a.sds)(approximations), and likewise for samples."
            )

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Any:
        """Draws of N(mode, H^-1): a tree like `mode`, each leaf with `shape` in front."""
        self._check_single()
        vector, unravel = ravel_pytree(self.mode)
        root = self._root()
        z = jax.random.normal(key, (math.prod(shape), len(vector)), vector.dtype)
        draws = jax.vmap(unravel)(vector + linalg.matmul(z, root.T))
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), draws)

    def importance_weights(
        self, log_density: LogDensity | None = None, *, draws: int = 2**14, seed: int = 0
    ) -> ImportanceWeights:
        """The density against the Gaussian, at draws of N(m, H^-1) mixed with a multivariate Cauchy about m.

        Two modes cannot be told from the curvature at one of them; these weights can, where the Cauchy half finds the
        other. `log_density` is the one that the approximation was made of, and needed where that was under jit or
        vmap. NaN where the status is not OK. Source: Vehtari et al. (2024), arXiv 1507.02646.

        Raises ValueError for fewer than 25 draws, TypeError where there is no log-density.
        """
        density = log_density or self.log_density
        if density is None:
            raise TypeError("log_density: got none, and an approximation made under jit keeps none; pass it again.")
        if draws < 25:
            raise ValueError(f"draws: got {draws}, wanted at least 25, to fit a tail of five weights.")
        self._check_single()
        vector, unravel = ravel_pytree(self.mode)
        ok = self.status == Status.OK

        def weigh(vector: Array, precision: Array) -> ImportanceWeights:
            root, log_det = linalg.root_of_inverse(precision)
            x, ratio = importance.log_ratios(lambda t: density(unravel(t)), vector, root, -log_det / 2, draws, seed)
            log_weights, k = importance.smooth(ratio)
            w = jnp.exp(log_weights)[:, None]
            mean = jnp.sum(w * x, axis=0)
            sds = jnp.sqrt(jnp.sum(w * (x - mean) ** 2, axis=0))
            evidence = jax.nn.logsumexp(ratio) - math.log(draws)
            plain = jnp.sqrt(jnp.sum(root * root, axis=1))
            trees = (unravel(moment) for moment in (mean, sds, plain))
            return ImportanceWeights(jax.vmap(unravel)(x), log_weights, k, evidence, *trees)

        found = jax.jit(weigh)(vector, _stand_in(self.precision, ok))
        return jax.tree.map(lambda leaf: jnp.where(ok, leaf, jnp.nan), found)

    def to_numpyro(self) -> Any:
        """numpyro's MultivariateNormal over the parameters as one vector, in the order of `names`.

        Raises ImportError without numpyro.
        """
        try:
            import numpyro.distributions as dist
        except ImportError as error:
            raise ImportError("to_numpyro needs numpyro, which is not installed: pip install gdiff[numpyro]") from error
        self._check_single()
        precision = jnp.where(self.status == Status.OK, self.precision, jnp.nan)
        return dist.MultivariateNormal(ravel_pytree(self.mode)[0], precision_matrix=precision)

    def explain(self) -> str:
        """The status in words, with the eigenvalues and the directions that it is about, by parameter name."""
        if is_traced(self.status):
            raise TypeError("explain: got a traced approximation, wanted one outside of jit and vmap.")
        self._check_single()
        status = Status(int(self.status))
        if status is Status.OK:
            return "ok: a maximum with a curvature in every direction."
        where = f"{status.words}: {status.explain()}"
        vectors = [(i, self.eigenvectors[:, i]) for i in np.flatnonzero(np.asarray(self.offending))]
        largest = number(float(jnp.max(jnp.abs(self.eigenvalues))), 3)
        lines = [
            f"  along {direction(np.asarray(v), self.names)}: curvature {number(float(self.eigenvalues[i]), 3)} "
            f"(the largest: {largest})"
            for i, v in vectors[:5]
        ]
        left = f"  {number(float(self.distance), 2)} standard deviations to go; gradient norm "
        lines += [left + number(float(self.gradient_norm), 3)] if status is Status.NOT_CONVERGED else []
        return "\n".join([where, *lines])

    def table(self) -> Table:
        """Mode and marginal sd, a row a parameter."""
        columns = (ravel_pytree(tree)[0] for tree in (self.mode, self.sds))
        rows = [(n, number(m), number(sd)) for n, m, sd in zip(self.names, *columns, strict=True)]
        return Table(("parameter", "mode", "sd"), rows, right=frozenset({1, 2}))

    def __str__(self) -> str:
        if is_traced(self.status):
            return "LaplaceApproximation(traced)"
        if self.eigenvalues.ndim != 1:
            return f"LaplaceApproximation: a batch {self.status.shape}, status {np.asarray(self.status)}"
        evidence = f"log-evidence {number(float(self.log_evidence), 8)}; " if int(self.status) == Status.OK else ""
        return f"{self.table().text()}\n{evidence}gradient norm {float(self.gradient_norm):.1e}\n{self.explain()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html() + f"<pre>{self.explain()}</pre>"


def _stand_in(precision: Array, ok: Array) -> Array:
    return jnp.where(ok[..., None, None], precision, jnp.eye(precision.shape[-1], dtype=precision.dtype))


def laplace(
    log_density: LogDensity,
    init: Any,
    *,
    bounds: tuple[Any, Any] | None = None,
    max_steps: int = 256,
    rtol: float = 1e-8,
) -> LaplaceApproximation:
    """The Laplace approximation of a density at the mode that is reached from `init`.

        N(m, H^-1),  H = -d2 log p / dt dt' at m,    log Z = log p(m) + p/2 log 2 pi - 1/2 log|H|

    `log_density` takes a tree like `init` (a number, an array, or any pytree) and returns a number; it need not be
    normalised. `bounds` is (lower, upper), each a number, a tree like `init` or a prefix of it, or None; a mode on a
    bound has status AT_BOUND. `max_steps` bounds the steps of the search, `rtol` is the distance from the mode, in
    standard deviations, at which it ends. Works under jit and vmap, where the status is an array; `jax.grad` of
    `log_evidence` and `mode` with respect to what `log_density` closes over are the exact first derivatives, through
    the mode too (dm = H^-1 d(gradient), the implicit function theorem).

    Raises ImportError without optimistix (`pip install gdiff[fit]`); TypeError for a log-density that does not return
    a real number; ValueError for bounds that do not fit or exclude `init`. A mode that is none raises nothing: read
    `status`, or `print` the approximation.

    >>> approximation = laplace(lambda t: -jnp.sum((t - 1.0) ** 2), jnp.zeros(2))
    >>> Status(int(approximation.status)).name, approximation.precision.round(3).tolist()
    ('OK', [[2.0, 0.0], [0.0, 2.0]])
    """
    start, unravel = ravel(init, "init")
    limits = _read_bounds(bounds, init, start)
    _check_returns_number(log_density, unravel, start)
    if max_steps < 1:
        raise ValueError(f"max_steps: got {max_steps}, wanted at least 1.")

    def density(t: Array) -> Array:
        return log_density(unravel(t)).astype(start.dtype)

    hoisted, constants = jax.closure_convert(density, start)

    def approximate(start: Array, constants: list[Array]) -> LaplaceApproximation:
        def f(t: Array) -> Array:
            return hoisted(t, *constants)

        still = lax.stop_gradient(constants)
        found, steps = mode.find(lambda t: hoisted(t, *still), lax.stop_gradient(start), limits, max_steps, rtol)
        point = mode.expand(f, mode.polished(f, found, limits), limits)
        judgement = jax.tree.map(lax.stop_gradient, mode.judge(lambda t: hoisted(t, *still), point, limits, rtol))
        ok = judgement.status == Status.OK
        _, log_det = linalg.root_of_inverse(_stand_in(-point.hessian, ok))
        evidence = point.value + (len(start) * math.log(2 * math.pi) - log_det) / 2
        return LaplaceApproximation(
            mode=unravel(point.x),
            precision=-point.hessian,
            log_evidence=jnp.where(ok, evidence, jnp.nan),
            status=judgement.status,
            gradient_norm=jnp.linalg.norm(point.slope),
            eigenvalues=point.eigenvalues,
            eigenvectors=point.eigenvectors,
            offending=judgement.offending,
            distance=point.distance,
            steps=steps,
        )

    made = jax.jit(approximate)(start, constants)
    traced = is_traced(made, constants)
    return made if traced else LaplaceApproximation(**{**vars(made), "log_density": log_density})


def _read_bounds(bounds: tuple[Any, Any] | None, init: Any, start: Array) -> mode.Bounds:
    if bounds is not None and not (isinstance(bounds, tuple) and len(bounds) == 2):
        raise ValueError(f"bounds: got {bounds!r}, wanted a pair (lower, upper), with None for no bound.")
    lower, upper = bounds or (None, None)
    low = spread(-jnp.inf if lower is None else lower, init, "lower bounds").astype(start.dtype)
    high = spread(jnp.inf if upper is None else upper, init, "upper bounds").astype(start.dtype)
    if not is_traced(low, high, start):
        for name, x, least, most in zip(names_of(init), start, low, high, strict=True):
            if not least <= x <= most:
                raise ValueError(f"init: {name} is {x:g}, wanted within its bounds [{least:g}, {most:g}].")
    return mode.Bounds(low, high)


def _check_returns_number(log_density: LogDensity, unravel: Callable, start: Array) -> None:
    returned = jax.eval_shape(lambda t: log_density(unravel(t)), start)
    array = isinstance(returned, jax.ShapeDtypeStruct)
    if not (array and returned.shape == () and jnp.issubdtype(returned.dtype, jnp.floating)):
        got = f"shape {returned.shape} and dtype {returned.dtype}" if array else type(returned).__name__
        raise TypeError(f"log_density: returned {got}, wanted one real number (a sum over observations, say).")
