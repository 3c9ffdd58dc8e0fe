import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.domains import PositiveDefinite
from gdiff.tolerance import agree, question
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


def _gaussian(y, theta):
    cov = jnp.array([[1.0, 0.3], [0.3, 2.0]]) * jnp.exp(theta[2])
    r = y - theta[:2]
    return -0.5 * (jnp.linalg.slogdet(cov)[1] + r @ jnp.linalg.solve(cov, r))


def test_gaussian_moments_make_it_exact():
    theta = np.array([0.5, -0.2, 0.3])
    moments = theta[:2], np.array([[1.0, 0.3], [0.3, 2.0]]) * np.exp(0.3)
    held = verify_score(_gaussian, None, theta, moments=moments)
    assert held
    assert held.gap < question()
    assert held.mean_p_value is None
    assert "by exact moments" in str(held)
    assert agree(held.information[2, 2], 1.0)  # d / 2
    wrong = verify_score(lambda y, t: _gaussian(y, t) + 1e-5 * t[2], None, theta, moments=moments)
    assert not wrong
    assert not wrong.inconclusive
    one = verify_score(_poisson_like, None, np.array([0.5, 0.3]), moments=(0.5, np.exp(0.3)))
    assert one


def test_moments_are_not_enough_for_a_score_that_is_not_quadratic():
    verdict = verify_score(lambda y, t: -t[0] * jnp.sum(jnp.cosh(y)), None, [1.0], moments=(np.zeros(2), np.eye(2)))
    assert not verdict
    assert verdict.inconclusive
    with pytest.raises(ValueError, match="one of them"):
        verify_score(_gaussian, None, np.zeros(3))
