"""Maximum likelihood in closed form, against NumPy, SciPy and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gdiff import SufficientStatistics, closed_form, maximum_likelihood, symmetric
from gdiff.tolerance import tolerance
from tests.oracle import covariance

D = 3
S = covariance(np.random.default_rng(0), D, 20.0, scales=1.0)
ROWS = np.random.default_rng(1).multivariate_normal([1.0, -2.0, 0.5], S, size=40)
EXACT = tolerance("float64", conditioning=100 * D)


def test_the_estimate_is_that_of_numpy_and_scipy():
    found = maximum_likelihood(ROWS)
    np.testing.assert_allclose(found.mean, ROWS.mean(axis=0), rtol=EXACT)
    np.testing.assert_allclose(found.cov, np.cov(ROWS, rowvar=False, bias=True), rtol=EXACT)
    np.testing.assert_allclose(found.correlation, np.corrcoef(ROWS, rowvar=False), rtol=EXACT)
    fitted = scipy.stats.multivariate_normal(ROWS.mean(axis=0), np.cov(ROWS, rowvar=False, bias=True))
    np.testing.assert_allclose(found.log_likelihood, fitted.logpdf(ROWS).sum(), rtol=EXACT)


def test_data_statistics_and_weights_agree():
    weights = np.arange(40) % 3
    repeated = np.repeat(ROWS, weights, axis=0)
    for found in (maximum_likelihood(ROWS, weights), maximum_likelihood(SufficientStatistics.of(repeated))):
        wanted = maximum_likelihood(repeated)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=EXACT), found, wanted)
    assert float(found.count) == weights.sum()


def test_standard_errors_are_those_of_the_inverse_information():
    """A k x k information from autodiff of the density in the distinct entries, inverted by NumPy."""
    found = maximum_likelihood(ROWS)

    def likelihood(v):
        s = symmetric.unvech(v[D:])
        r = ROWS - v[:D]
        return -(40 * jnp.linalg.slogdet(s)[1] + jnp.trace(r @ jnp.linalg.inv(s) @ r.T)) / 2

    v = jnp.concatenate([found.mean, symmetric.vech(found.cov)])
    inverse = np.linalg.inv(-jax.jit(jax.hessian(likelihood))(v))
    errors = np.concatenate([found.mean_errors, symmetric.vech(found.cov_errors)])
    np.testing.assert_allclose(errors, np.sqrt(np.diag(inverse)), rtol=1e-9)
    np.testing.assert_allclose(found.covariance().matrix(), inverse, rtol=1e-7, atol=1e-9 * np.abs(inverse).max())
    np.testing.assert_allclose(np.asarray(found.information().matrix()) @ inverse, np.eye(9), atol=1e-8)


def test_both_conventions_give_one_entry_one_error():
    found = maximum_likelihood(ROWS)
    full = found.covariance("full")
    np.testing.assert_allclose(symmetric.unvec(jnp.sqrt(jnp.diagonal(full.cov)), D), found.cov_errors, rtol=EXACT)
    with pytest.raises(ValueError, match="convention"):
        found.covariance("half")


def test_errors_of_correlations_are_seen_in_simulations():
    rng, n, replicates = np.random.default_rng(2), 200, 2000
    draws = rng.multivariate_normal(np.zeros(D), S, size=(replicates, n))
    found = jax.vmap(maximum_likelihood)(draws)
    truth = maximum_likelihood(SufficientStatistics(jnp.asarray(float(n)), jnp.zeros(D), n * S))
    several = 5 / np.sqrt(2 * replicates)  # of the standard deviation of a standard deviation; 1/n of the theory
    for seen, errors in ((found.cov, truth.cov_errors), (found.correlation, truth.correlation_errors)):
        off = np.tril_indices(D, -1)
        np.testing.assert_allclose(np.std(seen, axis=0)[off], np.asarray(errors)[off], rtol=several + 3 / n)


def test_one_scoring_step_from_anywhere_with_the_mean_right_lands_on_it():
    found = maximum_likelihood(ROWS)
    start = jnp.diag(jnp.array([1.0, 2.0, 3.0]))
    step = closed_form.fisher_information(start, 40).solve(closed_form.score(ROWS, found.mean, start))
    np.testing.assert_allclose(start + step.cov, found.cov, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maximum_likelihood(ROWS[:3]), "covariance of the data.*more observations"),
        (lambda: maximum_likelihood(np.zeros((0, 3))), "got 0 observations"),
        (lambda: maximum_likelihood(np.where(ROWS > 2, np.nan, ROWS)), "wanted finite"),
        (lambda: maximum_likelihood(SufficientStatistics.of(ROWS), np.ones(40)), "weights beside"),
        (lambda: maximum_likelihood(ROWS).table(("a", "b")), "names: got 2, wanted 3"),
    ],
)
def test_what_has_no_estimate_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_singular_estimate_is_nan_under_jit():
    found = jax.jit(maximum_likelihood)(ROWS[:3])
    assert np.isnan(found.log_likelihood)


def test_the_table_names_each_distinct_entry():
    text = maximum_likelihood(ROWS).table(("x", "y", "z")).text()
    assert [text.count(word) for word in ("mean x", "var y", "cov z, x")] == [1, 1, 1]
    assert text.count("cov ") == 3
