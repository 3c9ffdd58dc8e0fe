"""Is it a density, and is its score a score? What holds of every log-density, whatever its parameters.

- A density integrates to one: by Gauss-Hermite quadrature about its centre for d <= 3, by importance sampling above.
  This catches |Sigma| written for log|Sigma|, and lost constants.
- E[score] = 0, and Bartlett's identity E[score score'] = -E[Hessian], under draws from the density itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, lgamma, log, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.oracles import judging, refuse_tracers
from gdiff.tolerance import question

_NODES = {1: 80, 2: 50, 3: 30}  # of the quadrature along each axis, for each dimension
_COARSER = 0.75  # the share of them in the second rule, whose difference is the error estimate
_WIDER = 1.5  # the importance sampler is so much wider than the density's own curvature says
_DEGREES = 5.0  # and has tails as heavy as Student's t with so many degrees of freedom
_SIGNIFICANT = 1e-4  # a p-value below this refutes, after Bonferroni


@dataclass(frozen=True)
class Mass:
    """The integral of a density, with its error, and whether that is one."""

    integral: float
    error: float
    method: str
    inconclusive: bool = False

    @property
    def holds(self) -> bool:
        """One within its error, and the error small enough to say so."""
        return not self.inconclusive and abs(self.integral - 1) <= self.error

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        verdict = "inconclusive" if self.inconclusive else "integrates to one" if self.holds else "is not a density"
        return f"{verdict}: the integral is {self.integral:.8g} +- {self.error:.1e}, by {self.method}."


def verify_density(
    log_density: Callable[..., Any], centre: Any, scale: Any, *, draws: int = 100_000, seed: int = 0
) -> Mass:
    """Does exp(log_density(y)) integrate to one over y in R^d?

    `centre` (d,) and `scale` (d, d), a covariance, say roughly where the mass is (the mean and covariance, say): they
    place the nodes or the draws, and do not enter the answer. `log_density` takes one y of shape (d,).

    Raises ValueError for shapes that do not match, TypeError for tracers.
    """
    refuse_tracers((centre, scale))
    centre = np.atleast_1d(np.asarray(centre, dtype=float))
    d = len(centre)
    scale = np.asarray(scale, dtype=float).reshape(-1, d) if np.size(scale) == d * d else np.asarray(scale)
    if centre.ndim != 1 or scale.shape != (d, d):
        raise ValueError(f"got a centre of shape {centre.shape} and a scale of {scale.shape}, wanted (d,) and (d, d).")
    factor = np.linalg.cholesky(scale)
    with judging():
        f = jax.jit(jax.vmap(log_density))
        if d in _NODES:
            fine, coarse = (_quadrature(f, centre, factor, int(_NODES[d] * s)) for s in (1.0, _COARSER))
            error = 4 * abs(fine - coarse) + question() / 10
            return Mass(fine, error, "Gauss-Hermite quadrature", not error < sqrt(question()))
        return _importance(f, centre, factor, draws, np.random.default_rng(seed))


def _values(f: Callable[..., Any], points: np.ndarray) -> np.ndarray:
    values = np.asarray(f(jnp.asarray(points)), dtype=float)
    if values.shape != (len(points),):
        raise ValueError(f"log_density returned the shape {values.shape[1:]} for one point, wanted a scalar.")
    return values


def _quadrature(f: Callable[..., Any], centre: np.ndarray, factor: np.ndarray, nodes: int) -> float:
    d = len(centre)
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack(np.meshgrid(*[x] * d, indexing="ij"), axis=-1).reshape(-1, d)
    weight = np.log(np.stack(np.meshgrid(*[w] * d, indexing="ij"), axis=-1)).reshape(-1, d).sum(axis=1)
    z = _WIDER * grid
    values = _values(f, centre + z @ factor.T)
    jacobian = d * log(_WIDER) + np.sum(np.log(np.diag(factor)))
    with np.errstate(over="ignore"):
        return float(np.sum(np.exp(values + weight + 0.5 * np.sum(grid**2, axis=1) + jacobian)))


def _importance(
    f: Callable[..., Any], centre: np.ndarray, factor: np.ndarray, draws: int, rng: np.random.Generator
) -> Mass:
    d = len(centre)
    z = rng.normal(size=(draws, d)) / np.sqrt(rng.chisquare(_DEGREES, size=(draws, 1)) / _DEGREES)
    constant = lgamma((_DEGREES + d) / 2) - lgamma(_DEGREES / 2) - d / 2 * log(_DEGREES * pi)
    log_q = constant - (_DEGREES + d) / 2 * np.log1p(np.sum(z**2, axis=1) / _DEGREES)
    log_q = log_q - np.sum(np.log(np.diag(factor)))
    with np.errstate(over="ignore"):
        weights = np.exp(_values(f, centre + z @ factor.T) - log_q)
    mean, error = float(np.mean(weights)), float(np.std(weights) / sqrt(draws))
    share = float(np.max(weights) / np.sum(weights)) if np.sum(weights) > 0 else 1.0
    return Mass(mean, 5 * error, f"importance sampling, {draws} draws", not (np.isfinite(mean) and share < 0.05))


@dataclass(frozen=True)
class ScoreVerdict:
    """E[score] = 0 and Bartlett's identity: with p-values by draws, with the largest gap by exact moments."""

    mean: np.ndarray
    mean_p_value: float | None
    information: np.ndarray
    minus_hessian: np.ndarray
    bartlett_p_value: float | None
    draws: int
    gap: float | None = None  # in units of the standard deviations of the scores
    inconclusive: bool = False

    @property
    def holds(self) -> bool:
        """Neither identity is contradicted."""
        if self.mean_p_value is None or self.bartlett_p_value is None:
            return not self.inconclusive and self.gap is not None and self.gap <= question()
        return min(self.mean_p_value, self.bartlett_p_value) >= _SIGNIFICANT

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        verdict = "inconclusive" if self.inconclusive else "holds" if self.holds else "refuted"
        if self.inconclusive:
            return f"{verdict}: the score is no quadratic function of the data, so Gaussian moments are not enough."
        if self.gap is not None:
            return (
                f"{verdict}: E[score] = 0 and E[score score'] = -E[Hessian] but for {self.gap:.1e}, by exact moments."
            )
        return (
            f"{verdict}: E[score] = 0 has p = {self.mean_p_value:.3g}, E[score score'] = -E[Hessian] has "
            f"p = {self.bartlett_p_value:.3g}, by {self.draws} draws."
        )


def verify_score(
    log_density: Callable[..., Any],
    sampler: Callable[[np.random.Generator, int], Any] | None,
    theta: Any,
    *,
    moments: tuple[Any, Any] | None = None,
    score: Callable[..., Any] | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> ScoreVerdict:
    """Do E[score] = 0 and E[score score'] = -E[Hessian] hold in theta (p,), under draws from the density?

    `log_density(y, theta)` for one y; `sampler(rng, n)` draws n of them at theta. `score(y, theta)` is a claimed score,
    by default the gradient of log_density. `moments`, the mean and covariance of a Gaussian y, in place of a sampler:
    then the expectations are exact, if the score is at most quadratic in y, and there is no p-value. The p-values are
    those of normal means, the smallest of the entries times their number (Bonferroni), so under the truth they are
    calibrated from above.

    Raises ValueError without either or with both, TypeError for tracers.
    """
    refuse_tracers((theta, moments))
    theta = np.atleast_1d(np.asarray(theta, dtype=float))
    if (sampler is None) == (moments is None):
        raise ValueError("verify_score: wanted a sampler or moments=(mean, cov), one of them.")
    if moments is not None:
        return _by_moments(log_density, score, theta, *moments, seed=seed)
    assert sampler is not None
    y = np.asarray(sampler(np.random.default_rng(seed), draws), dtype=float)
    if len(y) != draws:
        raise ValueError(f"sampler returned {len(y)} draws, wanted {draws}.")
    scores, hessians = _scores(log_density, score, y, theta)
    p = len(theta)
    products = scores[:, :, None] * scores[:, None, :]
    rows, columns = np.tril_indices(p)
    gaps = (products + hessians.reshape(draws, p, p))[:, rows, columns]
    return ScoreVerdict(
        scores.mean(axis=0),
        p_value(scores),
        products.mean(axis=0),
        -hessians.reshape(draws, p, p).mean(axis=0),
        p_value(gaps),
        draws,
    )


def _scores(
    log_density: Callable[..., Any], score: Callable[..., Any] | None, y: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    own, p = score or jax.grad(log_density, argnums=1), len(theta)
    with judging():
        scores = np.asarray(jax.jit(jax.vmap(own, (0, None)))(y, theta), dtype=float)
        hessians = np.asarray(jax.jit(jax.vmap(jax.hessian(log_density, argnums=1), (0, None)))(y, theta), dtype=float)
    return scores.reshape(len(y), -1), hessians.reshape(len(y), p, p)


def _gaussian_points(d: int) -> tuple[np.ndarray, np.ndarray]:
    """2 d^2 + 1 points and weights whose sums are E over N(0, I) of every polynomial of degree 5 (McNamee, Stenger)."""
    axis = sqrt(3) * np.eye(d)
    pairs = [a * axis[i] + b * axis[j] for i in range(d) for j in range(i) for a in (1, -1) for b in (1, -1)]
    points = np.concatenate([np.zeros((1, d)), axis, -axis, np.reshape(pairs, (-1, d))])
    counts = (1, 2 * d, len(pairs))
    return points, np.repeat([1 + d * (d - 7) / 18, (4 - d) / 18, 1 / 36], counts)


def _by_moments(
    log_density: Callable[..., Any], score: Callable[..., Any] | None, theta: np.ndarray, mean: Any, cov: Any, seed: int
) -> ScoreVerdict:
    """Exact expectations, twice, with the points rotated: where the two differ the score is not quadratic."""
    mean = np.asarray(mean, dtype=float)
    d = mean.size
    factor = np.linalg.cholesky(np.asarray(cov, dtype=float).reshape(d, d))
    points, weights = _gaussian_points(d)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    rules = [(points, weights), (points @ turn, weights)]
    if d == 1:
        nodes, own = np.polynomial.hermite_e.hermegauss(5)
        rules[1] = nodes[:, None], own / np.sum(own)
    means, products, curvatures = [], [], []
    for nodes, w in rules:
        y = (mean.reshape(-1) + nodes @ factor.T).reshape(-1, *mean.shape)
        scores, hessians = _scores(log_density, score, y, theta)
        means.append(w @ scores)
        products.append(np.einsum("n,ni,nj->ij", w, scores, scores))
        curvatures.append(-np.einsum("n,nij->ij", w, hessians))
    size = np.sqrt(np.maximum(np.abs(np.diag(products[0])), np.abs(np.diag(curvatures[0]))))
    size = np.where(size > 0, size, 1.0)

    def largest(gaps: np.ndarray) -> float:
        return float(np.max(np.abs(gaps) / (np.outer(size, size) if gaps.ndim == 2 else size), initial=0.0))

    apart = max(largest(pair[0] - pair[1]) for pair in (means, products, curvatures))
    gap = max(largest(means[0]), largest(products[0] - curvatures[0]))
    return ScoreVerdict(
        means[0], None, products[0], curvatures[0], None, len(points), gap, inconclusive=not apart <= question()
    )


def p_value(samples: np.ndarray) -> float:
    """That all means are zero: the smallest two-sided p-value times their number."""
    n, count = samples.shape
    mean, deviation = samples.mean(axis=0), samples.std(axis=0) / sqrt(n)
    floor = question() * np.max(np.abs(samples), initial=0.0)  # identities that hold draw by draw have no deviation
    z = np.abs(mean) / np.where(deviation > floor, deviation, np.where(np.abs(mean) > floor, floor / 1e3, np.inf))
    if not np.all(np.isfinite(mean)):
        return 0.0
    return min(1.0, count * min(erfc(float(v) / sqrt(2)) for v in z))
