"""A or B? The experiment, its bookkeeping, and what tells the two apart.

    A = -1/2 (P - P x x' P),   B = 2A - A∘I,   P = Sigma^-1,   f = N(x | 0, Sigma),   d = 4

Differences carry their own bound. t -> f(Sigma + tE) is analytic for |t| rho < 1, rho = |L^-1 E L^-T|_2, and on the
circle |t| = r = 1/(2 rho) it is at most twice the peak N(0 | 0, Sigma): with W = t L^-1 E L^-T, |W| <= 1/2 and of rank
at most 2, |det(I + W)| >= 1/4 and z'(I + W)^-1 z has a real part >= 0. By Cauchy, a central difference with step h then
misses by at most M (h^2/r^3) / (1 - h^2/r^2), with M twice the peak; for log f, M = log 2 + x'P x.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gdiff import SufficientStatistics, closed_form, symmetric
from gdiff import multivariate_normal as mvn
from gdiff.tolerance import tolerance

D = 4
OFF_DIAGONAL = ~np.eye(D, dtype=bool)
SEED = 1  # a draw in the middle of the cone
SEED_NEAR_THE_EDGE = 12  # one on which an absolute step misses by percents
STEP = 1e-3  # absolute, in units of the entries of Sigma
FRACTION = 1e-4  # whitened, in units of the way to the edge of the cone


class Draw(NamedTuple):
    """A covariance, an observation of it, and what the bounds need to know of them."""

    cov: np.ndarray
    x: np.ndarray
    cholesky: np.ndarray
    peak: float
    mahalanobis: float
    conditioning: float


def wishart_draw(seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    cov = scipy.stats.wishart(df=D, scale=np.eye(D)).rvs(random_state=rng)
    cholesky = np.linalg.cholesky(cov)
    z = rng.standard_normal(D)
    peak = float(np.exp(log_density(cov, np.zeros(D))))
    scale = np.sqrt(np.diag(cov))
    kappa = float(np.linalg.cond(cov / np.outer(scale, scale)))
    mahalanobis = float(z @ z)
    return Draw(cov, cholesky @ z, cholesky, peak, mahalanobis, D * kappa * (D + mahalanobis) / 2)


def log_density(cov: np.ndarray, x: np.ndarray) -> float:
    """The plain formula, with slogdet and inv: it takes any invertible matrix, symmetric or not."""
    return float(-(D * math.log(2 * math.pi) + np.linalg.slogdet(cov)[1] + x @ np.linalg.inv(cov) @ x) / 2)


def density(cov: np.ndarray, x: np.ndarray) -> float:
    return math.exp(log_density(cov, x))


def one_entry(i: int, j: int) -> np.ndarray:
    """e_i e_j': the entry (i, j) alone."""
    e = np.zeros((D, D))
    e[i, j] = 1
    return e


def both_entries(i: int, j: int) -> np.ndarray:
    """(i, j) and (j, i) together, a diagonal entry once."""
    return np.maximum(one_entry(i, j), one_entry(j, i))


def reach(draw: Draw, e: np.ndarray) -> float:
    """rho = |L^-1 E L^-T|: no step shorter than 1/rho along E leaves the positive definite matrices."""
    half = np.linalg.solve(draw.cholesky, e)
    return float(np.linalg.norm(np.linalg.solve(draw.cholesky, half.T), 2))


def slope(f: Callable, draw: Draw, e: np.ndarray, step: float) -> float:
    return float((f(draw.cov + step * e, draw.x) - f(draw.cov - step * e, draw.x)) / (2 * step))


def bound(draw: Draw, e: np.ndarray, step: float, *, size: float, height: float) -> float:
    """On the error of `slope`: rounding of a function of that size, and truncation where it is below `height`."""
    ratio = 2 * reach(draw, e) * step  # h / r
    assert ratio < 1, "the step leaves the circle on which the bound stands"
    truncation = height * ratio**3 / (1 - ratio**2) / step
    return tolerance("float64", conditioning=size * draw.conditioning, step=step, truncation=truncation)


def density_slopes(draw: Draw, moved: Callable, *, whitened: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The (d, d) difference quotients of the density, and their bounds."""
    slopes, bounds = np.empty((D, D)), np.empty((D, D))
    for i in range(D):
        for j in range(D):
            e = moved(i, j)
            h = FRACTION / reach(draw, e) if whitened else STEP
            slopes[i, j] = slope(density, draw, e, h)
            bounds[i, j] = bound(draw, e, h, size=density(draw.cov, draw.x), height=2 * draw.peak)
    return slopes, bounds


def gradients_of_the_density(draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """A f and B f."""
    full = closed_form.density_gradient(draw.x, np.zeros(D), draw.cov)
    partials = closed_form.density_gradient(draw.x, np.zeros(D), draw.cov, convention="symmetric")
    return np.asarray(full.cov), np.asarray(partials.cov)


def test_moving_both_entries_gives_b_f_and_not_a_f():
    draw = wishart_draw(SEED)
    a_f, b_f = gradients_of_the_density(draw)
    slopes, bounds = density_slopes(draw, both_entries)
    assert np.all(np.abs(slopes - b_f) <= bounds)
    assert np.all((np.abs(slopes - a_f) > bounds) == OFF_DIAGONAL)


def test_moving_one_entry_gives_the_unconstrained_derivative():
    draw = wishart_draw(SEED)
    a_f, b_f = gradients_of_the_density(draw)
    slopes, bounds = density_slopes(draw, one_entry)
    assert np.all(np.abs(slopes - a_f) <= bounds)
    assert np.all((np.abs(slopes - b_f) > bounds) == OFF_DIAGONAL)


def test_away_from_symmetry_one_entry_needs_the_transposes():
    draw = wishart_draw(SEED)
    general = draw.cov + 0.5 * np.triu(draw.cov, 1)
    expected = -0.5 * np.asarray(
        closed_form.log_det_gradient(general, structure="general")
        + closed_form.quadratic_form_gradient(draw.x, general, structure="general")
    )
    taken = jax.grad(
        lambda m: -0.5 * (jnp.linalg.slogdet(m)[1] + jnp.dot(draw.x, jnp.dot(jnp.linalg.inv(m), jnp.asarray(draw.x))))
    )(jnp.asarray(general))
    scale = np.abs(expected).max()
    assert np.abs(taken - expected).max() <= tolerance("float64", conditioning=D * np.linalg.cond(general)) * scale
    assert np.abs(expected - expected.T).max() > 0.1 * scale


def test_a_whitened_step_works_where_an_absolute_one_misses_by_percents():
    draw = wishart_draw(SEED_NEAR_THE_EDGE)
    a_f, b_f = gradients_of_the_density(draw)
    scale = np.abs(b_f)
    absolute = np.array([[slope(density, draw, both_entries(i, j), STEP) for j in range(D)] for i in range(D)])
    whitened, bounds = density_slopes(draw, both_entries, whitened=True)
    miss = np.max(np.abs(absolute - b_f) / scale)
    assert miss > 0.01
    assert np.max(np.abs(whitened - b_f) / scale) < miss / 1000
    assert np.all(np.abs(whitened - b_f) <= bounds)
    assert np.all((np.abs(whitened - a_f) > bounds) == OFF_DIAGONAL)


@pytest.mark.parametrize(("i", "j"), [(1, 0), (3, 2), (2, 0)])
def test_one_definition_gives_a_root_two_a_and_two_a(i, j):
    draw = wishart_draw(SEED)
    score = closed_form.score(draw.x, np.zeros(D), draw.cov)
    entry = float(score.cov[i, j])
    both = both_entries(i, j)
    limit = tolerance("float64", conditioning=draw.conditioning) * reach(draw, both)

    def plain(s):
        return -0.5 * (jnp.linalg.slogdet(s)[1] + jnp.dot(draw.x, jnp.dot(jnp.linalg.inv(s), jnp.asarray(draw.x))))

    for direction, multiple in ((one_entry(i, j), 1), (both / math.sqrt(2), math.sqrt(2)), (both, 2)):
        along = jax.jvp(plain, (jnp.asarray(draw.cov),), (jnp.asarray(direction),))[1]
        assert abs(float(along) - multiple * entry) <= limit
        assert float(jnp.sum(score.cov * direction)) == pytest.approx(multiple * entry, abs=limit)
    partial = closed_form.score(draw.x, np.zeros(D), draw.cov, convention="symmetric").cov[i, j]
    assert abs(float(partial) - 2 * entry) <= limit


def jax_scipy(cov, x):
    return jax.scipy.stats.multivariate_normal.logpdf(jnp.asarray(x), jnp.zeros(D), jnp.asarray(cov))


def scipy_stats(cov, x):
    return scipy.stats.multivariate_normal.logpdf(x, np.zeros(D), cov)


def numpy_cholesky(cov, x):
    lower = np.linalg.cholesky(cov)
    z = np.linalg.solve(lower, x)
    return -(D * math.log(2 * math.pi) + z @ z) / 2 - np.log(np.diag(lower)).sum()


@pytest.mark.parametrize(
    ("implementation", "multiples"),
    [(log_density, (1, 1, 2)), (jax_scipy, (1, 1, 2)), (scipy_stats, (2, 0, 2)), (numpy_cholesky, (2, 0, 2))],
    ids=["slogdet", "jax.scipy", "scipy", "numpy cholesky"],
)
def test_what_an_implementation_does_with_one_entry(implementation, multiples):
    """In units of A_10, for the lower entry moved, the upper, and both."""
    draw = wishart_draw(SEED)
    entry = float(closed_form.score(draw.x, np.zeros(D), draw.cov).cov[1, 0])
    both = both_entries(1, 0)
    height = math.log(2) + draw.mahalanobis
    limit = bound(draw, both, STEP, size=1.0, height=height)
    assert limit < abs(entry) / 4, "the bound must tell the multiples apart"
    for e, multiple in zip((one_entry(1, 0), one_entry(0, 1), both), multiples, strict=True):
        assert abs(slope(implementation, draw, e, STEP) - multiple * entry) <= limit


def test_the_log_density_refuses_one_entry_moved():
    draw = wishart_draw(SEED)
    with pytest.raises(ValueError, match="symmetric"):
        mvn.logpdf(draw.x, np.zeros(D), draw.cov + STEP * one_entry(1, 0))


def test_reverse_mode_gives_a_and_the_lower_triangle_gives_b():
    draw = wishart_draw(SEED)
    zero, cov = jnp.zeros(D), jnp.asarray(draw.cov)
    a = closed_form.score(draw.x, zero, cov).cov
    b = closed_form.score(draw.x, zero, cov, convention="symmetric").cov
    limit = tolerance("float64", conditioning=draw.conditioning) * float(jnp.abs(b).max())
    assert float(jnp.abs(jax.grad(mvn.logpdf, 2)(draw.x, zero, cov) - a).max()) <= limit
    assert float(jnp.abs(symmetric.grad(mvn.logpdf, 2)(draw.x, zero, cov) - b).max()) <= limit
    by_duplication = symmetric.duplication_matrix(D).T @ symmetric.vec(a)
    assert float(jnp.abs(symmetric.vech(b) - by_duplication).max()) <= limit


def sample(draw: Draw, n: int = 50) -> SufficientStatistics:
    rows = np.random.default_rng(SEED).standard_normal((n, D)) @ draw.cholesky.T
    return SufficientStatistics.of(rows)


def relabelled(score: closed_form.Score) -> closed_form.Score:
    """The mistake: A, passed off as the partial derivatives."""
    return closed_form.Score(score.mean, score.cov, "symmetric")


def test_maximum_likelihood_cannot_tell_a_from_b():
    """B = 2A - A∘I is one to one, so that A = 0 iff B = 0; at the maximum both are."""
    unit = np.eye(D * D).reshape(-1, D, D)
    symmetric_units = np.asarray(symmetric.symmetrize(unit))
    assert np.array_equal(symmetric.to_full(symmetric.to_symmetric(symmetric_units)), symmetric_units)
    data = sample(wishart_draw(SEED))
    scale = np.sqrt(np.diag(data.covariance))
    kappa = float(np.linalg.cond(data.covariance / np.outer(scale, scale)))
    for convention in ("full", "symmetric"):
        g = closed_form.score(data, data.mean, data.covariance, convention=convention).cov
        standardised = np.abs(g) * np.outer(scale, scale) / float(data.count)
        assert standardised.max() <= tolerance("float64", conditioning=D * kappa**2)


def test_one_scoring_step_can():
    """From a diagonal start B lands on the maximum likelihood covariance, A half way in every covariance."""
    data = sample(wishart_draw(SEED))
    target = np.asarray(data.covariance)
    start = np.diag(np.diag(target))
    limit = tolerance("float64", conditioning=D) * np.abs(target).max()  # a diagonal start has kS = 1
    information = closed_form.fisher_information(start, data.count)
    score = closed_form.score(data, data.mean, start)
    for convention in ("full", "symmetric"):
        step = information.solve(score.to(convention)).cov
        assert np.abs(start + np.asarray(step) - target).max() <= limit
    mixed = start + np.asarray(information.solve(relabelled(score)).cov)
    assert np.abs(mixed - np.where(OFF_DIAGONAL, target / 2, target)).max() <= limit


def test_standard_errors_can():
    """Scores A in place of B have a quarter of the information off the diagonal: every covariance's error doubles."""
    draw = wishart_draw(SEED)
    n = 50
    information = closed_form.fisher_information(draw.cov, n)
    right = np.sqrt(np.diag(closed_form.inverse_fisher_information(draw.cov, n).cov))
    s = draw.cov
    by_hand = np.sqrt((np.outer(np.diag(s), np.diag(s)) + s**2) / n)
    limit = tolerance("float64", conditioning=draw.conditioning)
    assert np.allclose(right, symmetric.vech(by_hand), rtol=limit, atol=0)
    half = np.asarray(symmetric.vech(np.where(OFF_DIAGONAL, 0.5, 1.0)))  # vech A = half * vech B
    confused = closed_form.Blocks(information.mean, information.cross, half[:, None] * information.cov * half[None, :])
    wrong = np.sqrt(np.diag(confused.inverse().cov))
    squared = tolerance("float64", conditioning=D * np.linalg.cond(confused.matrix()))
    assert np.allclose(wrong / right, 1 / half, rtol=squared, atol=0)
