"""Importance weights against distributions whose answers are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from gdiff import importance, laplace
from gdiff.importance import pareto_shape, proposal, smooth

SEVERAL = 4.0  # standard errors


@pytest.mark.parametrize("k", [-0.5, 0.0, 0.3, 0.9])
def test_the_shape_of_a_generalised_pareto_is_found(k):
    n = 20_000
    values = np.sort(scipy.stats.genpareto.rvs(k, scale=2.0, size=n, random_state=1))
    found, scale = pareto_shape(jnp.asarray(values))
    prior = 5 / n  # of the weak prior, k = 1/2 with the weight of ten values
    assert abs(float(found) - k) <= SEVERAL * (1 + k) / math.sqrt(n) + prior  # asymptotic sd: Smith (1987)
    assert abs(float(scale) / 2 - 1) <= SEVERAL * math.sqrt(2 * (1 + k) / n)


def test_the_proposal_is_the_mixture_whose_density_it_states():
    e, log_q = proposal(2, 2**14, 3)
    assert e.shape == (2**14, 2)
    gaussian = scipy.stats.multivariate_normal(np.zeros(2))
    cauchy = scipy.stats.multivariate_t(np.zeros(2), np.eye(2), df=1)
    np.testing.assert_allclose(np.exp(log_q), (gaussian.pdf(e) + cauchy.pdf(e)) / 2, rtol=1e-10)
    for radius in (0.5, 2.0, 30.0):  # P(|e| <= r) of either half, in the plane
        share = (1 - math.exp(-(radius**2) / 2)) / 2 + (1 - 1 / math.sqrt(1 + radius**2)) / 2
        assert abs(np.mean(np.linalg.norm(e, axis=1) <= radius) - share) <= 2 / math.sqrt(2**14)


def test_smoothed_weights_keep_their_order_and_sum_to_one():
    log_ratio = jnp.asarray(np.random.default_rng(0).standard_t(2, 2_000))
    log_weights, k = jax.jit(smooth)(log_ratio)
    assert abs(float(jnp.sum(jnp.exp(log_weights))) - 1) < 1e-12
    assert np.all(np.diff(np.asarray(log_weights)[np.argsort(log_ratio)]) >= 0)
    assert float(k) > 0.2  # log-ratios with tails of their own
    equal, k = smooth(jnp.zeros(100))
    np.testing.assert_allclose(jnp.exp(equal), 0.01)
    assert float(k) == -math.inf


def test_a_gaussian_is_weighed_as_it_should_be():
    """Effective sample size over n -> 1 / E_q[(p/q)^2], by quadrature; the evidence and moments are exact."""
    weights = laplace(lambda t: -((t - 3) ** 2) / 8, 0.0).importance_weights()

    def squared(t):
        p, c = scipy.stats.norm.pdf(t), scipy.stats.cauchy.pdf(t)
        return 2 * p * p / (p + c)

    expected = 1 / scipy.integrate.quad(squared, -40, 40)[0]
    n = len(weights.log_weights)
    assert abs(float(weights.effective_sample_size) / n / expected - 1) < 0.01
    assert abs(float(weights.log_evidence) - math.log(2 * math.sqrt(2 * math.pi))) < 1e-3
    assert abs(float(weights.mean) - 3) < 1e-3
    assert abs(float(weights.sds) - 2) < 2e-3
    draws = weights.sample(jax.random.key(0), (50, 100))
    assert draws.shape == (50, 100)
    assert abs(float(draws.mean()) - 3) < SEVERAL * 2 / math.sqrt(5_000)
    assert abs(float(draws.std()) / 2 - 1) < SEVERAL / math.sqrt(2 * 5_000)
    assert bool(weights.gaussian)
    assert "corrected numbers can be relied on" in str(weights)


def test_heavy_tails_are_corrected():
    """Student's t with 5 degrees of freedom: minus the Hessian at 0 is 6/5, the variance is 5/3."""
    approximation = laplace(lambda t: scipy_free_t(t["x"]), {"x": jnp.asarray(0.5)})
    assert abs(float(approximation.sds["x"]) - math.sqrt(5 / 6)) < 1e-8
    weights = approximation.importance_weights(draws=2**15)
    assert abs(float(weights.sds["x"]) / math.sqrt(5 / 3) - 1) < 0.01
    assert abs(float(weights.log_evidence)) < 1e-3  # it is normalised
    assert float(weights.plain_sds["x"]) == float(approximation.sds["x"])


def scipy_free_t(x):
    return jax.scipy.stats.t.logpdf(x, 5)


def test_two_modes_are_told_by_the_weights():
    def bimodal(t):
        return jnp.logaddexp(-jnp.sum((t - 4) ** 2) / 2, -jnp.sum((t + 4) ** 2) / 2)

    for d in (1, 2):
        weights = laplace(bimodal, jnp.full(d, 3.0)).importance_weights()
        assert float(weights.pareto_k) > importance.GOOD_K
        assert float(weights.effective_sample_size) < 0.05 * len(weights.log_weights)
        assert not bool(weights.reliable)
        assert "another mode" in weights.explain()


def test_a_mode_nearby_is_told_and_corrected_for():
    """At -3 and 3 the Cauchy half covers both: the weights can be relied on, and say that the Gaussian cannot."""
    weights = laplace(lambda t: jnp.logaddexp(-((t - 3) ** 2) / 2, -((t + 3) ** 2) / 2), 2.0).importance_weights()
    assert bool(weights.reliable)
    assert not bool(weights.gaussian)
    assert "another mode" in weights.explain()
    assert abs(float(weights.sds) / math.sqrt(1 + 9) - 1) < 0.02
    assert abs(float(weights.log_evidence) - math.log(2 * math.sqrt(2 * math.pi))) < 0.02
