"""The closed forms, against differences of 60-digit values, against JAX, and against the moments of the Gaussian."""

import itertools
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import SufficientStatistics, closed_form, symmetric
from gdiff.multivariate_normal import log_likelihood
from gdiff.tolerance import tolerance
from tests.oracle import (
    Gaussian,
    assert_close,
    bound,
    covariance,
    exact,
    gradient,
    hessian,
    inverse,
    log_abs_det,
    mp,
    pairs,
    scaled_condition,
    unvech,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")

SIZES = [(1, 2), (2, 5), (3, 2)]  # (d, n): n <= d works with rows, n > d with statistics


def sample(d, n):
    rng = np.random.default_rng(10 * d + n)
    cov = covariance(rng, d, 10.0, scales=0.25)
    return rng.normal(size=(n, d)), rng.normal(size=d), cov


def joint(d, n):
    """The log-likelihood as a function of (mean, vech cov), for 60-digit numbers, and the point."""
    rows, mean, cov = sample(d, n)

    def f(theta):
        return Gaussian(rows, theta[:d], unvech(theta[d:], d)).log_likelihood

    return f, np.concatenate([mean, [cov[i, j] for i, j in pairs(d)]])


@cache
def everything(d, n):
    """All closed forms of a sample, from its rows and from its statistics, in one compilation."""

    def forms(data, mean, cov, factor, precision, tangent):
        return {
            "score": [closed_form.score(data, mean, cov, c) for c in ("full", "symmetric")],
            "hessian": [closed_form.hessian(data, mean, cov, c) for c in ("full", "symmetric")],
            "observed": closed_form.observed_information(data, mean, cov),
            "cholesky": closed_form.score_cholesky(data, mean, factor),
            "precision": [closed_form.score_precision(data, mean, precision, c) for c in ("full", "symmetric")],
            "product": closed_form.hessian_vector_product(data, mean, cov, tangent[0], tangent),
        }

    rows, mean, cov = sample(d, n)
    tangent = np.random.default_rng(d).normal(size=(d, d))
    arguments = mean, cov, np.linalg.cholesky(cov), inverse(cov).astype(float), tangent

    def both(rows, *arguments):
        return forms(rows, *arguments), forms(SufficientStatistics.of(rows), *arguments)

    return jax.jit(both)(rows, *arguments), arguments


def limit_of(d, n):
    return bound(sample(d, n)[2]) * n


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_reference_formulas_are_the_differences_of_the_log_likelihood(d, n):
    f, theta = joint(d, n)
    want = Gaussian(*sample(d, n))
    by_differences = gradient(f, theta)
    b = np.array([want.symmetric_gradient[i, j] for i, j in pairs(d)])
    assert_close(by_differences.astype(float), np.concatenate([want.mean_gradient, b]), tolerance(np.float64))
    assert_close(hessian(f, theta).astype(float), want.hessian, tolerance(np.float64))


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_score_is_a_in_full_and_b_in_symmetric(d, n):
    want, forms = Gaussian(*sample(d, n)), everything(d, n)[0]
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        full, b = got["score"]
        for score in (full, b):
            assert_close(score.mean, want.mean_gradient, limit_of(d, n), what=source)
        assert_close(full.cov, want.full_gradient, limit_of(d, n), terms=want.terms.full_gradient, what=source)
        assert_close(b.cov, want.symmetric_gradient, limit_of(d, n), terms=want.terms.full_gradient, what=source)
        assert np.array_equal(full.cov, full.cov.T)
        assert (full.convention, b.convention) == ("full", "symmetric")


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_hessian_in_vech_coordinates_is_that_of_the_distinct_entries(d, n):
    want, forms = Gaussian(*sample(d, n)), everything(d, n)[0]
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        assert_close(got["hessian"][1].matrix(), want.hessian, limit_of(d, n), what=source)
        assert_close(got["observed"].matrix(), -want.hessian, limit_of(d, n), what=source)


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_full_hessian_is_n_h_n_and_carries_to_the_other_by_duplication(d, n):
    want, forms = Gaussian(*sample(d, n)), everything(d, n)[0]
    duplication = np.asarray(symmetric.duplication_matrix(d))
    commutation = np.asarray(symmetric.commutation_matrix(d, d))
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        full = got["hessian"][0]
        cov = np.asarray(full.cov)
        assert_close(duplication.T @ cov @ duplication, want.cov_hessian, limit_of(d, n), what=source)
        assert_close(np.asarray(full.cross) @ duplication, want.cross_hessian, limit_of(d, n), what=source)
        assert_close(commutation @ cov, cov, limit_of(d, n), what=source)  # so N cov N = cov
        assert_close(cov, cov.T, limit_of(d, n), what=source)


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_hessian_vector_product_is_the_hessian_times_the_symmetric_part_of_the_tangent(d, n):
    want, (forms, arguments) = Gaussian(*sample(d, n)), everything(d, n)
    tangent = exact(arguments[-1])
    step = np.concatenate([tangent[0], [(tangent[i, j] + tangent[j, i]) / 2 for i, j in pairs(d)]])
    product = want.hessian @ step
    b = unvech(product[d:], d)
    a = np.where(np.eye(d, dtype=bool), b, b / 2)
    size = np.abs(want.hessian) @ np.abs(step)
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        assert_close(got["product"].mean, product[:d], limit_of(d, n), terms=size[:d], what=source)
        assert_close(got["product"].cov, a, limit_of(d, n), terms=unvech(size[d:], d), what=source)
        assert got["product"].convention == "full"


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_score_in_the_factor_is_lower_triangular_and_that_of_its_entries(d, n):
    (forms, arguments), (rows, mean, _) = everything(d, n), sample(d, n)
    factor = arguments[2]

    def f(entries):
        lower = exact(np.zeros((d, d)))
        lower[np.tril_indices(d)] = entries
        return Gaussian(rows, mean, lower @ lower.T).log_likelihood

    want = exact(np.zeros((d, d)))
    want[np.tril_indices(d)] = gradient(f, factor[np.tril_indices(d)])
    at_factor = Gaussian(rows, mean, exact(factor) @ exact(factor).T)
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        terms = at_factor.terms.cholesky_gradient(factor)
        assert_close(got["cholesky"].cholesky, want, limit_of(d, n), terms=terms, what=source)
        assert np.array_equal(got["cholesky"].cholesky, np.tril(got["cholesky"].cholesky))
        assert_close(got["cholesky"].mean, at_factor.mean_gradient, limit_of(d, n), what=source)


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_score_in_the_precision_is_that_of_its_distinct_entries(d, n):
    (forms, arguments), (rows, mean, _) = everything(d, n), sample(d, n)
    precision = symmetric.symmetrize(arguments[3])

    def f(v):
        return Gaussian(rows, mean, inverse(unvech(v, d))).log_likelihood

    b = unvech(gradient(f, [precision[i, j] for i, j in pairs(d)]), d)
    a = np.where(np.eye(d, dtype=bool), b, b / 2)
    size = np.abs(inverse(precision)) * n + np.abs(2 * a)
    for source, got in zip(("rows", "statistics"), forms, strict=True):
        full, sym = got["precision"]
        assert_close(full.precision, a, limit_of(d, n), terms=size, what=source)
        assert_close(sym.precision, b, limit_of(d, n), terms=size, what=source)
        assert_close(full.mean, Gaussian(rows, mean, inverse(precision)).mean_gradient, limit_of(d, n), what=source)


@pytest.mark.parametrize("n", [2, 5, "statistics"])
def test_jax_hessian_of_the_log_likelihood_in_vech_coordinates_is_the_closed_form(n):
    rows, mean, cov = sample(3, 5 if n == "statistics" else n)
    data = jax.jit(SufficientStatistics.of)(rows) if n == "statistics" else rows

    def of_vech(mean, v):
        return log_likelihood(data, mean, symmetric.unvech(v))

    (mm, mv), (vm, vv) = jax.jit(jax.hessian(of_vech, (0, 1)))(mean, symmetric.vech(cov))
    want = jax.jit(closed_form.hessian)(data, mean, cov).matrix()
    assert_close(np.block([[mm, mv], [vm, vv]]), np.asarray(want), bound(cov) * 5)


@pytest.mark.parametrize("d", [1, 2])
def test_the_density_itself_has_gradient_f_times_a_and_f_times_b(d):
    rows, mean, cov = sample(d, 1)
    got = jax.jit(lambda x, m, s: [closed_form.density_gradient(x, m, s, c) for c in ("full", "symmetric")])(
        rows[0], mean, cov
    )

    def density(theta):
        return mp.exp(Gaussian(rows, theta[:d], unvech(theta[d:], d)).log_likelihood)

    _, theta = joint(d, 1)
    want = gradient(density, theta)
    b = unvech(want[d:], d)
    terms = mp.exp(Gaussian(rows, mean, cov).log_likelihood) * exact(Gaussian(rows, mean, cov).terms.full_gradient)
    for score in got:
        assert_close(score.mean, want[:d], bound(cov))
        assert_close(score.to("symmetric").cov, b, bound(cov), terms=terms)


# The pieces, for symmetric and for general matrices.

GENERAL = np.array([[1.0, 2.0, 0.0], [-1.0, 1.0, 3.0], [0.5, 0.0, 2.0]])
VECTOR = np.array([1.0, -2.0, 0.5])


def unvec(v):
    return v.reshape(3, 3).T


def quadratic(x):
    return exact(VECTOR) @ inverse(x) @ exact(VECTOR)


@cache
def pieces_of_a_general_matrix():
    return jax.jit(
        lambda x, m: (
            closed_form.log_det_gradient(m, structure="general"),
            closed_form.quadratic_form_gradient(x, m, structure="general"),
            closed_form.log_det_hessian(m, structure="general"),
            closed_form.quadratic_form_hessian(x, m, structure="general"),
        )
    )(VECTOR, GENERAL)


def test_a_general_matrix_has_its_transposes_right():
    log_det, quadratic_form, *_ = pieces_of_a_general_matrix()
    limit = bound(GENERAL @ GENERAL.T)
    assert_close(log_det, inverse(GENERAL).T, limit)  # X^-T
    vec = GENERAL.T.reshape(-1)
    assert_close(log_det, unvec(gradient(lambda v: log_abs_det(unvec(v)), vec)), limit)
    assert_close(quadratic_form, unvec(gradient(lambda v: quadratic(unvec(v)), vec)), limit)
    assert not np.allclose(log_det, log_det.T)
    assert not np.allclose(quadratic_form, quadratic_form.T)


def test_a_general_matrix_has_the_commutation_matrix_in_its_hessians():
    *_, log_det, quadratic_form = pieces_of_a_general_matrix()
    limit, vec = bound(GENERAL @ GENERAL.T), GENERAL.T.reshape(-1)
    assert_close(log_det, hessian(lambda v: log_abs_det(unvec(v)), vec), limit)
    assert_close(quadratic_form, hessian(lambda v: quadratic(unvec(v)), vec), limit)
    commutation = np.asarray(symmetric.commutation_matrix(3, 3))
    x = inverse(GENERAL).astype(float)
    assert_close(log_det, -commutation @ np.kron(x.T, x), limit)


def test_a_negative_determinant_has_the_same_formula():
    m = -np.eye(1) * 4
    assert closed_form.log_det_gradient(m, structure="general").tolist() == [[-0.25]]


def test_pieces_of_a_symmetric_matrix_are_derivatives_in_its_distinct_entries():
    s = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, -0.5], [0.25, -0.5, 3.0]])
    v = np.array([s[i, j] for i, j in pairs(3)])
    duplication, limit = np.asarray(symmetric.duplication_matrix(3)), bound(s)

    def pieces(x, s, first, second):
        return (
            (closed_form.log_det_gradient(s, first), closed_form.log_det_hessian(s, second)),
            (closed_form.quadratic_form_gradient(x, s, first), closed_form.quadratic_form_hessian(x, s, second)),
        )

    full, partials = jax.jit(lambda x, s: (pieces(x, s, "full", "full"), pieces(x, s, "symmetric", None)))(VECTOR, s)
    for f, (a, h), (b, hb) in zip((log_abs_det, quadratic), full, partials, strict=True):
        g = unvech(gradient(lambda v, f=f: f(unvech(v, 3)), v), 3)
        second = hessian(lambda v, f=f: f(unvech(v, 3)), v)
        assert_close(b, g, limit)
        assert_close(symmetric.to_symmetric(a), g, limit)
        assert_close(hb, second, limit)
        assert_close(duplication.T @ np.asarray(h) @ duplication, second, limit)


# Moments: Gauss-Hermite quadrature of three nodes an axis is exact to degree five, and score score' is of degree four.


def quadrature(mean, cov):
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    d = len(mean)
    points = np.array(list(itertools.product(nodes, repeat=d)))
    return mean + points @ np.linalg.cholesky(cov).T, np.prod(list(itertools.product(weights, repeat=d)), axis=1)


@pytest.mark.parametrize("convention", ["full", "symmetric"])
@pytest.mark.parametrize("d", [1, 3])
def test_the_score_has_mean_zero_and_its_covariance_is_the_fisher_information(d, convention):
    _, mean, cov = sample(d, 2)

    def per_observation(x):
        return (
            closed_form.score(x, mean, cov, convention).vector(),
            closed_form.hessian(x, mean, cov, convention).matrix(),
        )

    points, weights = quadrature(mean, cov)
    (scores, hessians), fisher = jax.jit(
        lambda points: (jax.vmap(per_observation)(points), closed_form.fisher_information(cov, 1, convention).matrix())
    )(points)
    scores, hessians, fisher = np.asarray(scores), np.asarray(hessians), np.asarray(fisher)
    limit = bound(cov) * scaled_condition(cov)
    assert_close(weights @ scores, np.zeros(scores.shape[1]), limit, terms=np.abs(scores))
    assert_close((scores * weights[:, None]).T @ scores, fisher, limit)
    assert_close(-np.tensordot(weights, hessians, 1), fisher, limit)
    if convention == "full":
        p, n = np.linalg.inv(cov), (np.eye(d * d) + np.asarray(symmetric.commutation_matrix(d, d))) / 2
        assert_close(fisher[d:, d:], n @ np.kron(p, p) @ n / 2, limit)


# Steps.


def test_a_fisher_scoring_step_is_one_step_and_lands_on_the_maximum_likelihood_covariance():
    data = np.random.default_rng(0).normal(size=(9, 3)) @ np.array([[1.0, 0.5, 0.0], [0, 1, -0.5], [0, 0, 2]])
    start, mean = np.diag([1.0, 2.0, 3.0]), data.mean(axis=0)
    best = (data - mean).T @ (data - mean) / len(data)

    def steps(data, mean, cov):
        full, b = (closed_form.score(data, mean, cov, c) for c in ("full", "symmetric"))
        found = [closed_form.fisher_information(cov, 9, c).solve(s) for c in ("full", "symmetric") for s in (full, b)]
        found += [closed_form.natural_gradient(s, cov, 9) for s in (full, b)]
        information = closed_form.fisher_information(cov, 9).matrix()
        by_hand = [jnp.linalg.solve(information[3:, 3:], symmetric.vech(s.cov)) for s in (full, b)]
        return found, by_hand

    found, (mixed, right) = jax.jit(steps)(data, mean, start)
    limit = bound(start) * len(data)
    for step in found:
        assert_close(start + step.cov, best, limit)
        assert_close(step.mean, np.zeros(3), limit, terms=np.abs(data))
    off_diagonal = np.array([i != j for i, j in pairs(3)])
    covariances = np.array([best[i, j] for i, j in pairs(3)])[off_diagonal]
    assert_close(np.asarray(right)[off_diagonal], covariances, limit)
    assert_close(np.asarray(mixed)[off_diagonal], covariances / 2, limit)  # A with the information of B: half of each
    assert_close(np.asarray(mixed)[~off_diagonal], np.asarray(right)[~off_diagonal], limit)


def test_both_conventions_vanish_at_the_maximum_and_the_hessian_is_negative_definite_there():
    data = np.random.default_rng(1).normal(size=(9, 2))
    mean = data.mean(axis=0)
    best = (data - mean).T @ (data - mean) / len(data)
    score, observed, fisher = jax.jit(
        lambda m, s: (
            closed_form.score(data, m, s, "symmetric"),
            closed_form.observed_information(data, m, s).matrix(),
            closed_form.fisher_information(s, 9).matrix(),
        )
    )(mean, best)
    want = Gaussian(data, mean, best)
    assert_close(score.cov, np.zeros((2, 2)), bound(best) * 9, terms=want.terms.full_gradient)
    assert np.all(np.linalg.eigvalsh(observed) > 0)
    assert_close(observed, np.asarray(fisher), bound(best) * 9)  # at the maximum they are the same


def test_standard_errors_are_those_of_the_covariance_of_sample_covariances():
    s = np.array([[2.0, 0.5], [0.5, 1.0]])
    got = np.asarray(closed_form.inverse_fisher_information(s, 10).cov)
    entries = pairs(2)
    want = [[(s[i, k] * s[j, m] + s[i, m] * s[j, k]) / 10 for k, m in entries] for i, j in entries]
    assert_close(got, want, tolerance(np.float64))


# Batches, dtypes, edges, mistakes.


def test_batches_are_vmaps_business():
    rows, mean, cov = sample(2, 5)
    f = closed_form.score
    got = jax.jit(jax.vmap(f, in_axes=(None, None, 0)))(rows, mean, np.stack([cov, 4 * cov]))
    for i, s in enumerate((cov, 4 * cov)):
        assert_close(got.cov[i], Gaussian(rows, mean, s).full_gradient, bound(cov) * 5)


def test_one_bad_item_of_a_vmap_leaves_the_others_right():
    rows, mean, cov = sample(2, 5)
    both = jax.jit(jax.vmap(lambda s: (closed_form.score(rows, mean, s), closed_form.hessian(rows, mean, s).matrix())))
    score, second = both(np.stack([cov, -cov]))
    want = Gaussian(rows, mean, cov)
    assert_close(score.cov[0], want.full_gradient, bound(cov) * 5)
    assert_close(second[0], want.hessian, bound(cov) * 5)
    assert all(np.isnan(leaf[1]).all() for leaf in (score.mean, score.cov, second))


def test_float32_stays_float32():
    rows, mean, cov = (a.astype(np.float32) for a in sample(2, 5))
    got = jax.jit(lambda *a: (closed_form.score(*a), closed_form.hessian(*a), closed_form.fisher_information(a[2])))(
        rows, mean, cov
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(np.float32)}
    assert_close(got[1].matrix(), Gaussian(rows, mean, cov).hessian, bound(cov, np.float32) * 5)


def test_no_observations_and_no_dimensions_are_zeros():
    mean, cov = np.zeros(2), np.eye(2)
    score, second = closed_form.score(np.zeros((0, 2)), mean, cov), closed_form.hessian(np.zeros((0, 2)), mean, cov)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((score, second)))
    nothing = np.zeros((3, 0)), np.zeros(0), np.zeros((0, 0))
    assert closed_form.score(*nothing).cov.shape == (0, 0)
    assert closed_form.hessian(*nothing).matrix().shape == (0, 0)
    assert closed_form.score_cholesky(*nothing).cholesky.shape == (0, 0)


@cache
def forms_by_what_they_read():
    """Every closed form of a covariance, grouped by the arguments (data, mean, cov) that its value depends on."""

    def forms(x, mean, s):
        everything = {
            "score": closed_form.score(x, mean, s),
            "score_precision": closed_form.score_precision(x, mean, s),
            "hessian": closed_form.hessian(x, mean, s),
            "observed_information": closed_form.observed_information(x, mean, s),
            "hessian_vector_product": closed_form.hessian_vector_product(x, mean, s, jnp.ones(2), jnp.eye(2)),
            "density_gradient": closed_form.density_gradient(x[0], mean, s),
        }
        data_and_matrix = {
            "quadratic_form_gradient": closed_form.quadratic_form_gradient(x[0], s),
            "quadratic_form_hessian": closed_form.quadratic_form_hessian(x[0], s),
        }
        mean_and_matrix = {"natural_gradient": closed_form.natural_gradient(closed_form.Score(mean, jnp.eye(2)), s)}
        matrix = {
            "fisher_information": closed_form.fisher_information(s),
            "inverse_fisher_information": closed_form.inverse_fisher_information(s),
            "log_det_gradient": closed_form.log_det_gradient(s),
            "log_det_hessian": closed_form.log_det_hessian(s),
        }
        return {(0, 1, 2): everything, (0, 2): data_and_matrix, (1, 2): mean_and_matrix, (2,): matrix}

    return jax.jit(forms)


@cache
def forms_of_other_matrices():
    return jax.jit(
        lambda x, mean, factor, general: (
            closed_form.score_cholesky(x, mean, factor),
            closed_form.log_det_gradient(general, structure="general"),
            closed_form.log_det_hessian(general, structure="general"),
        )
    )


OK = (np.ones((3, 2)), np.ones(2), np.array([[2.0, 1.0], [1.0, 2.0]]))
INVALID = {
    "not symmetric": (2, np.array([[2.0, 1.0], [0.5, 2.0]])),
    "negated": (2, -OK[2]),
    "singular": (2, np.ones((2, 2))),
    "NaN in cov": (2, np.array([[2.0, np.nan], [1.0, 2.0]])),
    "infinite cov": (2, np.array([[np.inf, 1.0], [1.0, 2.0]])),
    "NaN in data": (0, np.array([[np.nan, 1.0], [1.0, 1.0], [1.0, 1.0]])),
    "infinite mean": (1, np.array([np.inf, 0.0])),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_value_raises_and_is_nan_in_every_entry_when_traced(case):
    place, value = INVALID[case]
    bad = tuple(value if i == place else a for i, a in enumerate(OK))
    for f in (closed_form.score, closed_form.hessian):
        with pytest.raises(ValueError, match="finite|symmetric|definite"):
            f(*bad)
    for reads, results in forms_by_what_they_read()(*bad).items():
        for name, result in results.items():
            leaves = [leaf for leaf in jax.tree.leaves(result) if leaf.ndim]  # the count of an information is as it was
            expected = np.isnan if place in reads else np.isfinite
            assert all(expected(leaf).all() for leaf in leaves), name


def test_invalid_factors_and_singular_general_matrices_raise_and_are_nan():
    factor, general = np.array([[2.0, 0.0], [1.0, 2.0]]), np.array([[2.0, 1.0], [0.0, 1.0]])
    for bad in (factor.T, -factor, np.array([[2.0, 0.0], [np.nan, 2.0]])):
        with pytest.raises(ValueError, match="factor|finite"):
            closed_form.score_cholesky(*OK[:2], bad)
        score, *_ = forms_of_other_matrices()(*OK[:2], bad, general)
        assert all(np.isnan(leaf).all() for leaf in score)
    for bad in (np.ones((2, 2)), np.array([[1.0, np.inf], [0.0, 1.0]])):
        with pytest.raises(ValueError, match="singular|finite"):
            closed_form.log_det_gradient(bad, structure="general")
        score, *pieces = forms_of_other_matrices()(*OK[:2], factor, bad)
        assert all(np.isfinite(leaf).all() for leaf in score)
        assert all(np.isnan(leaf).all() for leaf in pieces)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: closed_form.score(np.ones(3), np.ones(2), np.eye(2)), r"data: got shape \(3,\), wanted \(2,\) or"),
        (lambda: closed_form.score(np.ones(3), np.ones(1), np.eye(1)), r"data\[:, None\]"),
        (lambda: closed_form.score(np.ones((2, 2, 2)), np.ones(2), np.eye(2)), r"\(2, 2, 2\).*vmap"),
        (lambda: closed_form.score(np.ones(2), np.ones(3), np.eye(2)), r"mean: got shape \(3,\), wanted \(2,\)"),
        (lambda: closed_form.score(np.ones(2), np.ones(2), np.ones((2, 3))), r"cov: got shape \(2, 3\)"),
        (lambda: closed_form.score(np.ones(2), np.ones(2), np.eye(2), "B"), "'full' .*'symmetric'"),
        (lambda: closed_form.hessian(np.ones(2), np.ones(2), np.eye(2), "vec"), "'full' .*'symmetric'"),
        (lambda: closed_form.fisher_information(np.eye(2), np.ones(3)), r"count: got shape \(3,\), wanted a number"),
        (lambda: closed_form.score_cholesky(np.ones(2), np.ones(2), np.eye(3)), r"cholesky of shape \(3, 3\)"),
        (lambda: closed_form.score_precision(np.ones(2), np.ones(2), np.eye(3)), r"precision of shape \(3, 3\)"),
        (lambda: closed_form.density_gradient(np.ones(3), np.ones(2), np.eye(2)), r"x: got shape \(3,\)"),
        (lambda: closed_form.quadratic_form_gradient(np.ones(3), np.eye(2)), r"x: got shape \(3,\)"),
        (
            lambda: closed_form.hessian_vector_product(np.ones(2), np.ones(2), np.eye(2), np.ones(3), np.eye(2)),
            r"tangent_mean: got shape \(3,\)",
        ),
        (
            lambda: closed_form.hessian_vector_product(np.ones(2), np.ones(2), np.eye(2), np.ones(2), np.ones(3)),
            r"tangent_cov: got shape \(3,\)",
        ),
        (lambda: closed_form.natural_gradient(closed_form.Score(np.ones(3), np.eye(3)), np.eye(2)), "score: got"),
        (lambda: closed_form.log_det_gradient(np.eye(2), "symmetric", "general"), "entries are free"),
        (lambda: closed_form.log_det_hessian(np.eye(2), structure="diagonal"), "structure='diagonal' is not known"),
    ],
)
def test_misuse_says_what_was_got_and_wanted(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_repeated_calls_of_one_shape_trace_once(monkeypatch):
    monkeypatch.setattr(closed_form, "_score", chex.assert_max_traces(closed_form._score, n=1))
    for scale in (1.0, 2.0, 3.0):
        closed_form.score(scale * OK[0], OK[1], scale * OK[2])
