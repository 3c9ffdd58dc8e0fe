import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.domains import PositiveDefinite
from gdiff.verify_density import p_value, verify_density, verify_score


def _normal(cov, log_det=None):
    P, d = np.linalg.inv(cov), len(cov)
    known = np.linalg.slogdet(cov)[1] if log_det is None else log_det

    def f(y):
        return -0.5 * (d * np.log(2 * np.pi) + known + y @ P @ y)

    return f


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_a_density_integrates_to_one_and_det_for_log_det_does_not(d):
    cov = PositiveDefinite().sample(np.random.default_rng(d), (d, d))
    assert verify_density(_normal(cov), np.zeros(d), cov)
    wrong = verify_density(_normal(cov, log_det=np.linalg.det(cov)), np.zeros(d), cov)
    assert not wrong
    assert not wrong.inconclusive
    assert "is not a density" in str(wrong)


def test_a_centre_a_little_off_does_no_harm():
    cov = np.array([[1.0, 0.5], [0.5, 2.0]])
    assert verify_density(_normal(cov), np.full(2, 0.3), 1.3 * cov)


def test_nodes_that_miss_the_mass_are_inconclusive_or_refuted_but_never_held():
    assert not verify_density(_normal(np.eye(1)), [200.0], np.eye(1))


def _poisson_like(y, theta):
    return -0.5 * (jnp.log(2 * jnp.pi) + theta[1] + (y - theta[0]) ** 2 * jnp.exp(-theta[1]))


def test_scores_have_mean_zero_and_bartletts_identity():
    theta = np.array([0.5, 0.3])

    def sampler(rng, n):
        return rng.normal(theta[0], np.exp(theta[1] / 2), size=n)

    held = verify_score(_poisson_like, sampler, theta)
    assert held, str(held)
    assert np.all(np.abs(held.information - np.diag([np.exp(-0.3), 0.5])) < 8 / np.sqrt(held.draws))
    wrong = verify_score(_poisson_like, sampler, theta, score=lambda y, t: jnp.stack([y - t[0], 0.0 * t[1]]))
    assert not wrong
    assert not verify_score(lambda y, t: _poisson_like(y, t) + 0.1 * t[0], sampler, theta)


def test_p_values_are_calibrated_from_above():
    rng = np.random.default_rng(0)
    values = np.array([p_value(rng.standard_exponential(size=(2000, 3)) - 1) for _ in range(400)])
    for level in (0.5, 0.1, 0.02):
        assert np.mean(values < level) <= level + 4 * np.sqrt(level / 400)
    assert np.mean(values < 0.5) > 0.2
    assert p_value(rng.normal(size=(2000, 3)) + [0, 0, 0.5]) < 1e-6
    assert p_value(np.zeros((5, 1))) == 1.0
