"""Structured Gaussians: score, information and Fisher scoring, against autodiff of plain formulas and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax.flatten_util import ravel_pytree

from gdiff import Status, StructuredGaussian, SufficientStatistics, structured
from gdiff.tolerance import tolerance

D = 5


def ar1(theta):
    """Correlation rho^|i-j|, rho = tanh z."""
    at = jnp.arange(D)
    return theta["level"], jnp.exp(theta["log_variance"]) * jnp.tanh(theta["z"]) ** jnp.abs(at[:, None] - at)


TRUTH = {"level": 1.0, "log_variance": 0.3, "z": 0.6}
AR1 = StructuredGaussian(ar1)


def sample(model, theta, n, seed=0):
    mean, cov = model.mean_and_cov(theta)
    return np.random.default_rng(seed).multivariate_normal(mean, cov, size=n)


def plain_log_likelihood(moments, theta, data):
    """The log-likelihood from statistics as a text-book has it, with inverse and determinant."""
    mean, cov = moments(theta)
    r = data.mean - mean
    spread = data.scatter + data.count * jnp.outer(r, r)
    d = len(data.mean)
    constant = d * jnp.log(2 * jnp.pi)
    return -(data.count * (jnp.linalg.slogdet(cov)[1] + constant) + jnp.trace(jnp.linalg.inv(cov) @ spread)) / 2


def moments_by_numpy(moments, v, unravel):
    """Jacobians of mean and covariance, and the precision, as NumPy arrays."""
    d_mean, d_cov = jax.jit(jax.jacfwd(lambda v: moments(unravel(v))))(v)
    return np.asarray(d_mean), np.asarray(d_cov).reshape(-1, len(v)), np.linalg.inv(moments(unravel(v))[1])


def ravelled(theta):
    """AR(1) parameters as a vector, in the order of their names."""
    return jnp.array([theta[name] for name in ("level", "log_variance", "z")], float)


def _plain_ar1(v, data):
    return plain_log_likelihood(ar1, dict(zip(("level", "log_variance", "z"), v, strict=True)), data)


PLAIN = jax.jit(jax.value_and_grad(_plain_ar1))  # compiled once for all tests
PLAIN_HESSIAN = jax.jit(jax.hessian(_plain_ar1))


def process(d):
    """A Gaussian process with a trend, on d places: five parameters in mean and covariance."""
    at = np.linspace(0, 3, d)

    def moments(theta):
        apart = (at[:, None] - at) / jnp.exp(theta["log_length"])
        smooth = jnp.exp(2 * theta["log_scale"]) * jnp.exp(-(apart**2) / 2)
        noise = jnp.exp(2 * theta["log_noise"]) * jnp.eye(d)
        return theta["trend"][0] + theta["trend"][1] * at, smooth + noise

    theta = {"log_length": -0.5, "log_scale": 0.2, "log_noise": -1.0, "trend": jnp.array([0.5, -0.3])}
    return moments, jax.tree.map(jnp.asarray, theta)


def test_the_fisher_information_is_minus_the_expected_hessian_and_the_kronecker_formula():
    """At d = 40, in both conventions of writing it: the expected Hessian is the Hessian at the expected statistics."""
    d, count = 40, 3.0
    moments, theta = process(d)
    found = StructuredGaussian(moments).fisher_information(theta, count)
    v, unravel = ravel_pytree(theta)
    mean, cov = moments(theta)
    expected = SufficientStatistics(jnp.asarray(count), mean, count * cov)
    hessian = jax.jit(jax.hessian(lambda v: plain_log_likelihood(moments, unravel(v), expected)))(v)
    assert np.max(np.abs(found + hessian)) <= 1e-9 * np.max(np.abs(hessian))

    d_mean, delta, p = moments_by_numpy(moments, v, unravel)
    kronecker = count * (d_mean.T @ p @ d_mean + delta.T @ np.kron(p, p) @ delta / 2)
    assert np.max(np.abs(found - kronecker)) <= 1e-9 * np.max(np.abs(kronecker))
    assert np.array_equal(found, found.T)


def test_scores_are_the_gradient_however_the_data_come():
    rows = sample(AR1, TRUTH, 30)
    theta = {"level": 0.7, "log_variance": 0.0, "z": 0.2}
    statistics = SufficientStatistics.of(rows)
    wanted = dict(zip(("level", "log_variance", "z"), PLAIN(ravelled(theta), statistics)[1], strict=True))
    exact = tolerance("float64", conditioning=100 * D)
    for data in (rows, statistics):
        score = AR1.score(theta, data)
        assert set(score) == set(theta)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=exact), score, wanted)
    each = AR1.score_contributions(theta, rows)
    assert each.shape == (30, 3)
    np.testing.assert_allclose(np.sum(each, axis=0), ravel_pytree(wanted)[0], rtol=10 * exact)
    _, one = PLAIN(ravelled(theta), SufficientStatistics.of(rows[7]))
    np.testing.assert_allclose(each[7], one, rtol=10 * exact)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_the_score_inside_the_scoring_is_that_of_the_likelihood(n):
    """Rows fewer than dimensions, more, and statistics go different ways."""
    rows = jnp.asarray(sample(AR1, TRUTH, n))
    vector, unravel = ravel_pytree({"level": 0.5, "log_variance": 0.1, "z": 0.3})
    tangents, _ = structured._tangents(*AR1._moved(vector, unravel))
    _, wanted = PLAIN(vector, SufficientStatistics.of(rows))
    for data in (rows, SufficientStatistics.of(rows)):
        np.testing.assert_allclose(tangents.score(data), wanted, rtol=1e-11)


def test_the_observed_information_is_minus_the_hessian():
    rows = sample(AR1, TRUTH, 12)
    hessian = PLAIN_HESSIAN(ravelled(TRUTH), SufficientStatistics.of(rows))
    for data in (rows, SufficientStatistics.of(rows)):
        np.testing.assert_allclose(AR1.observed_information(TRUTH, data), -hessian, rtol=1e-10, atol=1e-10)


def reaches_the_maximum(model, moments, data, init):
    """The fit against SciPy's BFGS on the plain formula: the same height, fewer iterations."""
    fit = model.fit(data, init)
    assert Status(int(fit.status)) is Status.OK, fit
    start, unravel = ravel_pytree(init)
    statistics = SufficientStatistics.of(data)
    negative = jax.jit(jax.value_and_grad(lambda v: -plain_log_likelihood(moments, unravel(v), statistics)))
    bfgs = scipy.optimize.minimize(
        lambda v: [np.asarray(a, float) for a in negative(v)],
        start,
        jac=True,
        method="BFGS",
        options={"gtol": 1e-6, "maxiter": 5000},
    )
    assert abs(float(fit.log_likelihood) + bfgs.fun) <= 1e-9 * abs(bfgs.fun)
    assert int(fit.steps) < bfgs.nit
    return fit


def factor_model(d, factors):
    """Loadings zero above their diagonal, so that no rotation is left; a free mean."""
    place = np.tril_indices(d, 0, factors)

    def moments(theta):
        loadings = jnp.zeros((d, factors)).at[place].set(theta["loadings"])
        return theta["mean"], loadings @ loadings.T + jnp.diag(jnp.exp(theta["log_uniqueness"]))

    return moments, len(place[0])


def test_a_factor_model_is_fitted():
    d, factors = 12, 3
    moments, size = factor_model(d, factors)
    rng = np.random.default_rng(5)
    theta = {
        "loadings": jnp.asarray(rng.normal(size=size)),
        "log_uniqueness": jnp.asarray(rng.uniform(-1, 0.5, d)),
        "mean": jnp.zeros(d),
    }
    model = StructuredGaussian(moments)
    data = sample(model, theta, 300, seed=6)
    init = {
        "loadings": jnp.asarray(0.1 + 0.1 * rng.normal(size=size)),
        "log_uniqueness": jnp.log(data.var(axis=0) / 2),
        "mean": jnp.asarray(data.mean(axis=0)),
    }
    fit = reaches_the_maximum(model, moments, data, init)
    d_mean, delta, p = moments_by_numpy(moments, *ravel_pytree(fit.theta))
    information = 300 * (d_mean.T @ p @ d_mean + delta.T @ np.kron(p, p) @ delta / 2)
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-7)


def test_an_autoregression_is_fitted_with_all_kinds_of_errors():
    data = sample(AR1, TRUTH, 200)
    fit = reaches_the_maximum(AR1, ar1, data, {"level": 0.0, "log_variance": 0.0, "z": 0.1})
    v = ravelled(fit.theta)
    observed = -np.asarray(PLAIN_HESSIAN(v, SufficientStatistics.of(data)))
    np.testing.assert_allclose(fit.observed.errors, np.sqrt(np.diag(np.linalg.inv(observed))), rtol=1e-8)
    scores = np.array([PLAIN(v, SufficientStatistics.of(x))[1] for x in data])
    bread = np.linalg.inv(observed)
    np.testing.assert_allclose(fit.sandwich, bread @ (scores.T @ scores) @ bread, rtol=1e-7)
    np.testing.assert_allclose(AR1.sandwich(fit.theta, data), fit.sandwich, rtol=1e-7)
    for kind in ("standard error", "observed", "sandwich", "log_variance", "ok: a maximum"):
        assert kind in str(fit)


def test_statistics_give_the_same_fit_without_a_sandwich():
    data = sample(AR1, TRUTH, 50)
    init = {"level": 0.0, "log_variance": 0.0, "z": 0.1}
    from_rows, from_statistics = AR1.fit(data, init), AR1.fit(SufficientStatistics.of(data), init)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8), from_rows.theta, from_statistics.theta)
    with pytest.raises(TypeError, match="rows"):
        _ = from_statistics.sandwich
    assert "sandwich" not in str(from_statistics)


def test_priors_and_fixed_parameters():
    data = sample(AR1, TRUTH, 20)
    init = {"level": 0.0, "log_variance": 0.2, "z": 0.1}
    statistics = SufficientStatistics.of(data)
    fit = AR1.fit(data, init, prior={"level": (-1.0, 0.05)}, fixed=["log_variance"])
    assert fit.names == ("level", "z")
    assert float(fit.theta["log_variance"]) == 0.2

    @jax.jit
    def negative(v):
        theta = {"level": v[0], "log_variance": 0.2, "z": v[1]}
        return -plain_log_likelihood(ar1, theta, statistics) + (v[0] + 1) ** 2 / 2 / 0.05**2

    found = scipy.optimize.minimize(
        negative, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    np.testing.assert_allclose([fit.theta["level"], fit.theta["z"]], found.x, atol=1e-6)
    np.testing.assert_allclose(fit.observed.matrix, jax.hessian(negative)(jnp.asarray(found.x)), rtol=1e-4)
    as_matrix = AR1.fit(data, init, prior=({**init, "level": -1.0}, np.diag([400.0, 0, 0])), fixed=["log_variance"])
    np.testing.assert_allclose(as_matrix.theta["level"], fit.theta["level"], rtol=1e-9)


def test_what_the_data_do_not_identify_is_named():
    """Two levels of which only the sum is seen; and the rotations of a factor model."""
    model = StructuredGaussian(lambda t: (t["a"] + t["b"], jnp.exp(t["c"]) * jnp.eye(2)))
    data = np.random.default_rng(0).normal(size=(30, 2))
    fit = model.fit(data, {"a": 0.0, "b": 0.0, "c": 0.5})
    assert Status(int(fit.status)) is Status.FLAT_DIRECTION
    assert "0.71 a - 0.71 b" in fit.explain()
    assert np.isnan(fit.standard_errors).all()
    np.testing.assert_allclose(
        fit.theta["a"] + fit.theta["b"], data.mean(), rtol=1e-8
    )  # and what is identified, is found
    assert Status(int(model.fit(data, {"a": 0.0, "b": 0.0, "c": 0.5}, prior={"b": (0.0, 1.0)}).status)) is Status.OK


def test_a_maximum_without_expected_information_has_no_errors():
    """A mean of t^2 with data below zero: at t = 0 the data curve the likelihood, and the model expects nothing."""
    model = StructuredGaussian(lambda t: (t**2, jnp.eye(2)))
    fit = model.fit(np.random.default_rng(0).normal(size=(30, 2)) - 2, 0.0)
    assert float(fit.observed.matrix[0, 0]) > 0
    assert Status(int(fit.status)) is Status.FLAT_DIRECTION
    assert np.isnan(fit.standard_errors).all()
    assert "theta" in fit.explain()


def test_fits_that_do_not_end_and_starts_that_are_invalid():
    data = sample(AR1, TRUTH, 20)
    fit = AR1.fit(data, {"level": 0.0, "log_variance": 0.0, "z": 0.1}, max_steps=1)
    assert Status(int(fit.status)) is Status.NOT_CONVERGED
    assert "after 1 steps" in fit.explain()
    with pytest.raises(ValueError, match="cov at theta.*not positive definite"):
        AR1.fit(data, {"level": 0.0, "log_variance": -jnp.inf, "z": 0.1})
    with pytest.raises(ValueError, match="fixed: got 'zz', wanted one of the parameters level, log_variance, z"):
        AR1.fit(data, TRUTH, fixed=["zz"])
    with pytest.raises(ValueError, match="fixed: got all"):
        AR1.fit(data, TRUTH, fixed=["z", "level", "log_variance"])


def test_fits_under_jit_and_vmap():
    """A parametric bootstrap, all at once: the spread of the estimates is their standard error."""
    replicates, n = 200, 60
    draws = sample(AR1, TRUTH, replicates * n).reshape(replicates, n, D)
    fits = jax.jit(jax.vmap(lambda rows: AR1.fit(rows, TRUTH)))(draws)
    assert (np.asarray(fits.status) == Status.OK).all()
    expected = AR1.forecast(TRUTH, n)
    spread = np.std(ravel_pytree(jax.vmap(lambda t: ravel_pytree(t)[0])(fits.theta))[0].reshape(replicates, 3), axis=0)
    np.testing.assert_allclose(spread, expected.errors, rtol=5 / np.sqrt(2 * replicates))
    assert "a batch (200,)" in str(fits)


def test_a_forecast_is_the_information_with_names():
    forecast = AR1.forecast(TRUTH, 100, fixed=["level"])
    assert forecast.names == ("log_variance", "z")
    np.testing.assert_allclose(forecast.matrix, AR1.fisher_information(TRUTH, 100)[1:, 1:], rtol=1e-12)


def test_derivatives_of_the_information_itself():
    """Under jit and grad, as Jeffreys' prior 1/2 log|F| needs; NaN where the covariance is invalid."""

    def log_prior(z):
        return jnp.linalg.slogdet(AR1.fisher_information({"level": 0.0, "log_variance": 0.0, "z": z}))[1] / 2

    h, weights = 0.02, np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
    values = [float(log_prior(0.4 + h * k)) for k in range(-3, 4)]
    np.testing.assert_allclose(jax.jit(jax.grad(log_prior))(0.4), weights @ values / h, rtol=1e-7)
    theta = {"level": 0.0, "log_variance": jnp.inf, "z": 0.1}
    assert np.isnan(jax.jit(AR1.fisher_information)(theta)).all()


@pytest.mark.parametrize(
    ("moments", "error", "message"),
    [
        (lambda t: t * jnp.eye(2), TypeError, "wanted a pair"),
        (lambda t: (jnp.zeros(3), t * jnp.eye(2)), ValueError, r"mean of moments: got shape \(3,\), wanted \(2,\)"),
        (lambda t: (t, t * jnp.ones(2)), ValueError, "cov of moments: got shape"),
        (lambda t: (t, t * jnp.ones((2, 2))), ValueError, "cov at theta.*not positive definite"),
    ],
)
def test_moments_that_are_none_are_told(moments, error, message):
    with pytest.raises(error, match=message):
        StructuredGaussian(moments).fisher_information(1.0)


def test_statistics_have_no_contributions():
    with pytest.raises(TypeError, match="statistics have no rows"):
        AR1.score_contributions(TRUTH, SufficientStatistics.of(np.ones((3, D))))
