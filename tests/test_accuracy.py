"""Rounding errors in units of d kS u, against 60 digits: kS = cond(D^-1/2 Sigma D^-1/2), D = diag(Sigma)."""

import math
from functools import cache

import jax
import numpy as np
import pytest

from gdiff import closed_form, symmetric
from gdiff.multivariate_normal import logpdf
from gdiff.tolerance import difference_step, tolerance, unit_roundoff
from tests.oracle import Gaussian, bound, covariance, error, exact, pair_units, scaled_condition, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@cache
def first_order():
    def evaluate(x, mean, cov, factor):
        score = closed_form.score(x, mean, cov)
        return {
            "log-density": logpdf(x, mean, cov),
            "log-density from the factor": logpdf(x, mean, cholesky=factor),
            "jax.grad": jax.grad(logpdf, (1, 2))(x, mean, cov),
            "symmetric.grad": symmetric.grad(logpdf, 2)(x, mean, cov),
            "closed form": (score.mean, score.cov),
            "cholesky": jax.grad(lambda factor: logpdf(x, mean, cholesky=factor))(factor),
            "cholesky closed form": closed_form.score_cholesky(x, mean, factor).cholesky,
        }

    return jax.jit(evaluate)


@cache
def second_order():
    def evaluate(x, mean, cov):
        (mm, mv), (_, vv) = symmetric.hessian(logpdf, (1, 2))(x, mean, cov)
        blocks = closed_form.hessian(x, mean, cov)
        return {
            "by JAX": (mm, mv, vv),
            "closed form": (blocks.mean, blocks.cross, blocks.cov),
            "fisher": closed_form.fisher_information(cov).cov,
        }

    return jax.jit(evaluate)


def draw(rng, d, condition, dtype=np.float64, scales=2.0):
    cov = covariance(rng, d, condition, dtype, scales)
    mean = rng.normal(size=d) * units(cov)
    x = mean + np.linalg.cholesky(cov.astype(float)) @ rng.normal(size=d)
    factor = np.linalg.cholesky(cov.astype(float))
    return [a.astype(dtype) for a in (x, mean, cov, factor)]


def first_errors(x, mean, cov, factor):
    """The relative error of each first-order result, by name."""
    want = Gaussian(x[None], mean, cov)
    at_factor = Gaussian(x[None], mean, exact(factor) @ exact(factor).T)
    unit = units(cov)
    area, cholesky = np.outer(unit, unit), at_factor.cholesky_gradient(factor)
    terms = want.terms.full_gradient
    got = first_order()(x, mean, cov, factor)

    def of_cholesky(name):
        return error(got[name], cholesky, unit[:, None], at_factor.terms.cholesky_gradient(factor))

    return {
        "log-density": error(got["log-density"], want.log_likelihood, terms=want.terms.log_likelihood),
        "log-density from the factor": error(
            got["log-density from the factor"], at_factor.log_likelihood, terms=at_factor.terms.log_likelihood
        ),
        "grad mean": error(got["jax.grad"][0], want.mean_gradient, unit),
        "grad cov": error(got["jax.grad"][1], want.full_gradient, area, terms),
        "grad cov, symmetric": error(got["symmetric.grad"], want.symmetric_gradient, area, terms),
        "score mean": error(got["closed form"][0], want.mean_gradient, unit),
        "score cov": error(got["closed form"][1], want.full_gradient, area, terms),
        "grad cholesky": of_cholesky("cholesky"),
        "score cholesky": of_cholesky("cholesky closed form"),
    }


def second_errors(x, mean, cov):
    want, unit, pair = Gaussian(x[None], mean, cov), units(cov), pair_units(cov)
    rows = slice(0, None, 1 + len(pair) // 20)  # of the k x k blocks, for large k
    got, square = second_order()(x, mean, cov), np.outer(pair[rows], pair)
    hessian, terms = want.cov_hessian_rows(rows), want.terms.cov_hessian_rows(rows)
    errors = {"fisher": error(got["fisher"][rows], want.cov_fisher_rows(rows), square)}
    for source in ("by JAX", "closed form"):
        mean_block, cross, cov_block = got[source]
        errors[f"mean block {source}"] = error(mean_block, want.mean_hessian, np.outer(unit, unit))
        errors[f"cross block {source}"] = error(cross, want.cross_hessian, np.outer(unit, pair))
        errors[f"cov block {source}"] = error(cov_block[rows], hessian, square, terms)
    return errors


def assert_within_the_yardstick(errors, cov, condition):
    limit = bound(cov, cov.dtype)
    worst = {name: e / limit for name, e in errors.items() if not e <= limit}
    assert not worst, f"d = {len(cov)}, cond {condition:.0e}: in units of the bound {worst}"


@pytest.mark.parametrize(
    ("d", "dtype"),
    [*((d, np.float64) for d in (1, 2, 3, 5, 20)), (1, np.float32), (3, np.float32), (20, np.float32)],
)
def test_value_and_gradients_are_within_the_yardstick(d, dtype):
    rng = np.random.default_rng(d)
    for condition in (1.0, 1e4, 1e8, 1e12) if dtype == np.float64 else (1.0, 1e2, 1e4):
        x, mean, cov, factor = draw(rng, d, condition, dtype)
        assert scaled_condition(cov) * unit_roundoff(dtype) < 0.1
        assert_within_the_yardstick(first_errors(x, mean, cov, factor), cov, condition)


@pytest.mark.parametrize(
    ("d", "dtype", "conditions"),
    [
        (1, np.float64, (1.0,)),
        (2, np.float64, (1.0, 1e6, 1e12)),
        (3, np.float64, (1.0, 1e6, 1e12)),
        (5, np.float64, (1.0, 1e6, 1e12)),
        (5, np.float32, (1.0, 1e4)),
        (20, np.float64, (1e6,)),
    ],
)
def test_hessian_blocks_and_fisher_information_are_within_the_yardstick(d, dtype, conditions):
    rng = np.random.default_rng(100 + d)
    for condition in conditions:
        x, mean, cov, _ = draw(rng, d, condition, dtype)
        assert_within_the_yardstick(second_errors(x, mean, cov), cov, condition)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_most_errors_are_far_within_the_yardstick(dtype):
    """max <= 8 and 99 of 100 <= 2, in units of d kS u, over random covariances of d = 5."""
    rng = np.random.default_rng(7)
    top = 14 if dtype == np.float64 else 6.5
    measured = {}
    for power in rng.uniform(0, top, size=100):
        x, mean, cov, factor = draw(rng, 5, 10**power, dtype, scales=rng.choice([0.0, 2.0]))
        if scaled_condition(cov) * unit_roundoff(dtype) >= 0.1:
            continue
        errors = first_errors(x, mean, cov, factor) | second_errors(x, mean, cov)
        for name, e in errors.items():
            measured.setdefault(name, []).append(e / bound(cov, dtype))
    for name, ratios in measured.items():
        assert len(ratios) >= 80
        assert max(ratios) <= 1, f"{name}: {max(ratios)}"
        assert np.quantile(ratios, 0.99) <= 1 / 4, f"{name}: {np.quantile(ratios, 0.99)}"


@pytest.mark.parametrize("d", [1, 2, 3, 5, 20])
def test_whitened_finite_differences_agree(d):
    """Steps L E L' stay within the cone whatever the condition, E a random symmetric direction of size 1."""
    rng = np.random.default_rng(200 + d)
    h, weights = difference_step(), np.array([3 / 4, -3 / 20, 1 / 60])  # sixth order
    evaluate = jax.jit(logpdf)
    for condition in (1.0, 1e6, 1e12):
        x, mean, cov, factor = draw(rng, d, condition)
        e = rng.normal(size=(d, d))
        e = (e + e.T) / np.linalg.norm(e + e.T)
        direction = factor @ e @ factor.T
        direction = (direction + direction.T) / 2
        steps = np.arange(1, 4)[:, None, None] * h * direction
        slope = weights @ (np.asarray(evaluate(x, mean, cov + steps)) - np.asarray(evaluate(x, mean, cov - steps))) / h
        want = Gaussian(x[None], mean, cov)
        by_a = (want.full_gradient * exact(direction)).sum()  # the Frobenius pairing
        by_b = (want.symmetric_gradient * exact(direction))[np.tri(d, dtype=bool)].sum()  # with the distinct entries
        size = (want.terms.full_gradient * np.abs(direction)).sum()
        noise = d * scaled_condition(cov) * float(want.terms.log_likelihood)
        truncation = math.factorial(7) / 140 * h**6 * size  # f7 h^6/140, and 1/(1 + t) has f7 = 7!
        limit = tolerance(np.float64, conditioning=noise, step=h, truncation=truncation)
        for along in (by_a, by_b):
            assert abs(slope - float(along)) <= limit, f"cond {condition:.0e}: {slope}, {float(along)}, {limit}"
