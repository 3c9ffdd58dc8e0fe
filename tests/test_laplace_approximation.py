"""Laplace: right statuses, exact on Gaussians, checked against published estimates and a long MCMC run."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import Status, laplace
from gdiff.parameters import direction
from tests.oracle import covariance

ROOT = Path(__file__).parents[1]
DOUBLE, SINGLE = jnp.array([1.0, 1.5]), jnp.array([1.0, 1.5], jnp.float32)


def pair(t):
    return t, t


def rosenbrock(t):
    return -((1 - t[0]) ** 2) - 100 * (t[1] - t[0] ** 2) ** 2


def on_a_kink(t):
    """Of max(t, -t) JAX's gradient at 0 is 0, and so is the second derivative."""
    return -jnp.maximum(t[0], -t[0]) - t[1] ** 2


def bimodal(t):
    return jnp.logaddexp(-((t - 5) ** 2) / 2, -((t + 5) ** 2) / 2)


# Of `../RELIABILITY` row 10, and what its neighbours are: a log-density, a start, options, and the right status.
CASES = {
    "flat": (lambda t: -((t[0] + t[1]) ** 2), DOUBLE, {}, Status.FLAT_DIRECTION),
    "constant": (lambda t: 0 * jnp.sum(t), DOUBLE, {}, Status.FLAT_DIRECTION),
    "saddle": (lambda t: -(t[0] ** 2) + t[1] ** 2 - t[1] ** 4, jnp.array([1.0, 0.0]), {}, Status.SADDLE),
    "minimum": (lambda t: jnp.sum(t**2) - jnp.sum(t**4), jnp.zeros(2), {}, Status.SADDLE),
    "maximum": (rosenbrock, jnp.array([-1.2, 1.0]), {}, Status.OK),
    "quartic": (lambda t: -(t[0] ** 2) - t[1] ** 4, DOUBLE, {}, Status.FLAT_DIRECTION),
    "quartic alone": (lambda t: -((t - 0.3) ** 4), 1.0, {}, Status.FLAT_DIRECTION),
    "kink": (lambda t: -jnp.sum(jnp.abs(t)), DOUBLE, {}, Status.NOT_CONVERGED),
    "kink, started on it": (on_a_kink, jnp.zeros(2), {}, Status.NOT_CONVERGED),
    "near-flat": (lambda t: -(t[0] ** 2) - 1e-16 * t[1] ** 2, DOUBLE, {}, Status.FLAT_DIRECTION),
    "weak, and resolved": (lambda t: -(t[0] ** 2) - 1e-10 * t[1] ** 2, DOUBLE, {}, Status.OK),
    "near-flat in float32": (lambda t: -(t[0] ** 2) - 1e-8 * t[1] ** 2, SINGLE, {}, Status.FLAT_DIRECTION),
    "weak, and resolved in float32": (lambda t: -(t[0] ** 2) - 1e-4 * t[1] ** 2, SINGLE, {}, Status.OK),
    "unconverged": (rosenbrock, jnp.array([-1.2, 1.0]), {"max_steps": 5}, Status.NOT_CONVERGED),
    "rises without end": (lambda t: t[1] - t[0] ** 2, DOUBLE, {}, Status.NOT_CONVERGED),
    "rises to overflow": (lambda t: t[1] ** 2 - t[0] ** 2, DOUBLE, {}, Status.NOT_CONVERGED),
    "separable": (lambda t: -jnp.logaddexp(0, -t), 1.0, {}, Status.NOT_CONVERGED),
    "bimodal": (bimodal, 4.0, {}, Status.OK),  # from the mode alone: see test_importance
    "bound": (lambda t: jnp.where(t > 0, -t, -jnp.inf), 1.0, {}, Status.AT_BOUND),
    "bound, NaN beyond": (lambda t: jnp.where(t > 0, -t, jnp.nan), 1.0, {}, Status.AT_BOUND),
    "bound, level there": (lambda t: jnp.where(t >= 0, -(t**2), -jnp.inf), 1.0, {}, Status.AT_BOUND),
    "bound, declared": (lambda t: -jnp.sum((t + 1) ** 2), DOUBLE, {"bounds": (0.0, None)}, Status.AT_BOUND),
    "bound, declared, level there": (lambda t: -jnp.sum(t**2), DOUBLE, {"bounds": (0.0, None)}, Status.AT_BOUND),
    "bounds on both sides": (lambda t: -((t - 3) ** 2), 0.5, {"bounds": (0.0, 1.0)}, Status.AT_BOUND),
    "within declared bounds": (lambda t: 3 * jnp.log(t) - t, 1.0, {"bounds": (0.0, 10.0)}, Status.OK),
    "within bounds that are not said": (lambda t: 3 * jnp.log(t) - t, 1.0, {}, Status.OK),
    "NaN": (lambda t: jnp.nan * t, 1.0, {}, Status.NOT_FINITE),
    "NaN at the start": (jnp.log, -1.0, {}, Status.NOT_FINITE),
    "no second derivative": (lambda t: -(jnp.sqrt(t**2) ** 3), 0.0, {}, Status.NOT_FINITE),
    "a long way": (lambda t: -jnp.log1p(t**2), 1e6, {}, Status.OK),
    "a large constant": (lambda t: 1e8 - 1e4 * jnp.sum((t - 3) ** 2), DOUBLE, {}, Status.OK),
}


NEIGHBOURS = {  # eager alone: each compiles the density some ten times
    "constant", "minimum", "quartic alone", "kink, started on it", "weak, and resolved", "rises without end",
    "weak, and resolved in float32",
    "rises to overflow", "separable", "bound, NaN beyond", "bound, level there",
    "bound, declared, level there", "bounds on both sides", "within bounds that are not said", "NaN at the start",
    "no second derivative", "a long way", "a large constant",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_statuses_are_right_eager_and_under_jit(name):
    log_density, start, options, expected = CASES[name]
    start = jnp.asarray(start)
    eager = laplace(log_density, start, **options)
    found = [eager]
    if name not in NEIGHBOURS:
        found.append(jax.jit(lambda start: laplace(log_density, start, **options))(start))
    for approximation in found:
        assert Status(int(approximation.status)) is expected, approximation
        assert approximation.status.dtype == jnp.int32
        assert approximation.precision.dtype == start.dtype
        told = np.isfinite(np.asarray(approximation.covariance)).all() and np.isfinite(approximation.log_evidence)
        assert bool(told) == (expected is Status.OK)  # no covariance where there is none
    assert Status(int(eager.status)).explain() in eager.explain() or expected is Status.OK


def test_a_status_names_the_direction_by_its_parameters():
    found = laplace(
        lambda t: -((t["slope"] + t["level"][1]) ** 2) - t["level"][0] ** 2, {"slope": 1.0, "level": DOUBLE}
    )
    assert "0.71 slope" in found.explain()
    assert "0.71 level[1]" in found.explain()
    assert "level[0]" not in found.explain()
    assert direction(np.array([1.0, 0.0]), ("a", "b")) == "1 a"


@pytest.mark.parametrize(("d", "condition"), [(1, 1.0), (2, 1e8), (5, 1e6), (12, 1e4)])
def test_a_gaussian_is_exact(d, condition):
    s = covariance(np.random.default_rng(d), d, condition)
    p, m, constant = np.linalg.inv(s), np.linspace(-2, 3, d), 1.7

    def log_density(t):
        x = jnp.concatenate([t["b"], t["a"][None]]) if d > 1 else t["a"][None]
        return constant - (x - m) @ p @ (x - m) / 2

    start = {"a": jnp.asarray(0.0)} | ({"b": jnp.zeros(d - 1)} if d > 1 else {})
    found = laplace(log_density, start)
    assert Status(int(found.status)) is Status.OK
    order = [d - 1, *range(d - 1)]  # "a" comes first
    scale = np.sqrt(np.diag(s))[order]
    mode = np.concatenate([np.atleast_1d(leaf) for leaf in jax.tree.leaves(found.mode)])
    assert np.max(np.abs(mode - m[order]) / scale) <= 1e-8
    error = np.abs(np.asarray(found.covariance) - s[np.ix_(order, order)]) / (scale[:, None] * scale)
    assert np.max(error) <= 1e-8
    sign, log_det = np.linalg.slogdet(p)
    assert sign == 1
    assert abs(float(found.log_evidence) - (constant + d / 2 * math.log(2 * math.pi) - log_det / 2)) <= 1e-8
    sds = np.concatenate([np.atleast_1d(leaf) for leaf in jax.tree.leaves(found.sds)])
    np.testing.assert_allclose(sds, scale, rtol=1e-8)
    assert float(found.gradient_norm) <= 1e-8 * np.max(np.linalg.eigvalsh(p)) * (1 + np.max(scale))


def o_rings():
    temperature, pressure, distressed = np.loadtxt(ROOT / "notebooks" / "o_rings.csv", delimiter=",", skiprows=1).T
    return temperature, pressure, (distressed > 0).astype(float)


def logistic(x, y):
    return lambda b: jnp.sum(y * (x @ b) - jnp.logaddexp(0, x @ b))


def test_the_published_maximum_likelihood_of_the_o_rings():
    """R's glm(distress ~ temperature, binomial): 15.0429 (7.3786) and -0.2322 (0.1082)."""
    temperature, _, y = o_rings()
    found = laplace(logistic(np.column_stack([np.ones(23), temperature]), y), jnp.zeros(2))
    np.testing.assert_allclose(found.mode, [15.0429, -0.2322], atol=5e-5)
    np.testing.assert_allclose(found.sds, [7.3786, 0.1082], atol=5e-5)


def test_corrected_sds_are_those_of_a_long_mcmc_run():
    temperature, pressure, y = o_rings()
    columns = [(c - c.mean()) / c.std() for c in (temperature, pressure)]
    likelihood = logistic(np.column_stack([np.ones(23), *columns]), y)
    found = laplace(lambda b: likelihood(b) - jnp.sum(b**2) / 18, jnp.zeros(3))
    weights = found.importance_weights()
    reference = json.loads((ROOT / "tests" / "data" / "o_rings_nuts.json").read_text())
    corrected = np.abs(np.asarray(weights.sds) / reference["sd"] - 1)
    plain = np.abs(np.asarray(found.sds) / reference["sd"] - 1)
    assert np.all(corrected <= 0.01)
    assert np.all(plain > 0.05)  # there was something to correct
    assert np.all(np.abs(np.asarray(weights.mean) - reference["mean"]) <= 0.01 * np.array(reference["sd"]))
    assert bool(weights.reliable)
    lines = str(weights).splitlines()
    assert any("plain sd" in line and "corrected sd" in line for line in lines)


def test_evidence_and_mode_have_their_exact_derivatives():
    """Against sixth-order differences of the search itself, in what the log-density closes over."""
    _, _, y = o_rings()
    temperature = (o_rings()[0] - 69.6) / 7
    likelihood = logistic(np.column_stack([np.ones(23), temperature]), y)

    def at(sd):
        return laplace(lambda b: likelihood(b) - jnp.sum(b**2) / 2 / sd**2 - 2 * jnp.log(sd), jnp.zeros(2))

    h, weights = 0.02, np.array([-1, 9, -45, 0, 45, -9, 1]) / 60
    at_sd = jax.jit(at)
    made = [at_sd(2.0 + h * step) for step in range(-3, 4)]
    slope, moved = jax.grad(lambda sd: at(sd).log_evidence)(2.0), jax.jacfwd(lambda sd: at(sd).mode)(2.0)
    assert abs(float(slope) - weights @ np.array([a.log_evidence for a in made]) / h) <= 1e-8
    np.testing.assert_allclose(moved, weights @ np.array([a.mode for a in made]) / h, atol=1e-8)


def test_batches_under_vmap():
    curvatures = jnp.array([[1.0, 2.0], [1.0, 0.0], [1.0, -2.0]])

    def one(c):
        return laplace(lambda t: -jnp.sum(c * t**2) - jnp.sum(jnp.where(c < 0, t**4, 0)), jnp.zeros(2))

    found = jax.vmap(one)(curvatures)
    assert found.status.tolist() == [Status.OK, Status.FLAT_DIRECTION, Status.SADDLE]
    np.testing.assert_allclose(jax.vmap(lambda a: a.sds)(found)[0], np.sqrt([0.5, 0.25]))
    np.testing.assert_allclose(found.covariance[0], np.diag([0.5, 0.25]), atol=1e-15)
    assert np.isnan(found.covariance[1:]).all()
    with pytest.raises(ValueError, match="jax.vmap"):
        _ = found.sds
    assert "a batch (3,)" in str(found)
    with pytest.raises(TypeError, match="log_density"):
        jax.jit(one)(curvatures[0]).importance_weights()


def test_samples_have_the_covariance_and_the_tree():
    s = covariance(np.random.default_rng(4), 3, 50.0)
    p = np.linalg.inv(s)

    def log_density(t):
        x = jnp.append(t["a"], t["b"])
        return -x @ p @ x / 2

    found = laplace(log_density, {"a": jnp.zeros(2), "b": 0.0})
    draws = found.sample(jax.random.key(0), (20_000,))
    assert jax.tree.map(jnp.shape, draws) == {"a": (20_000, 2), "b": (20_000,)}
    seen = np.cov(np.column_stack([draws["a"], draws["b"]]), rowvar=False)
    sd = np.sqrt(np.diag(s))
    assert np.max(np.abs(seen - s) / np.outer(sd, sd)) < 4 * math.sqrt(2 / 20_000)
    assert jax.tree.map(jnp.shape, found.sample(jax.random.key(0))) == {"a": (2,), "b": ()}


def test_numpyro_gets_the_same_gaussian():
    found = laplace(lambda t: -(t["a"] ** 2) - 2 * (t["b"] - t["a"] - 1) ** 2, {"a": 0.5, "b": 0.0})
    distribution = found.to_numpyro()
    np.testing.assert_allclose(distribution.loc, [0.0, 1.0], atol=1e-8)
    np.testing.assert_allclose(distribution.covariance_matrix, found.covariance, rtol=1e-10)


def test_without_optimistix_the_message_names_the_extra():
    code = """
import sys
sys.modules["optimistix"] = None
import gdiff
try:
    gdiff.laplace(lambda t: -t**2, 1.0)
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install gdiff[fit]" in ran.stdout


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: laplace(lambda t: -(t**2), DOUBLE), TypeError, r"log_density: returned shape \(2,\)"),
        (lambda: laplace(pair, 1.0), TypeError, "log_density: returned tuple"),
        (lambda: laplace(lambda t: 1j * t, 1.0), TypeError, "log_density: returned.*complex"),
        (lambda: laplace(lambda t: -(t**2), 1.0, bounds=0.0), ValueError, r"bounds: got 0.0, wanted a pair"),
        (lambda: laplace(lambda t: -(t**2), 1.0, bounds=(2.0, None)), ValueError, r"init: theta is 1.*\[2, inf\]"),
        (lambda: laplace(lambda t: -jnp.sum(t), DOUBLE, bounds=(jnp.zeros(3), None)), ValueError, "lower bounds: got"),
        (lambda: laplace(lambda t: -(t**2), 1.0, max_steps=0), ValueError, "max_steps: got 0"),
        (lambda: laplace(lambda t: -(t**2), 1.0).importance_weights(draws=3), ValueError, "draws: got 3"),
        (lambda: laplace(lambda t: -(t**2), {}), ValueError, "init: got no parameters"),
    ],
)
def test_mistakes_are_told(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_printing_shows_names_modes_and_why():
    found = laplace(lambda t: -((t["rate"] - 2) ** 2), {"rate": 1.0})
    assert "rate" in str(found)
    assert "0.707107" in str(found)
    assert "ok: a maximum" in str(found)
    assert "NaN" in str(laplace(lambda t: jnp.nan * t, 1.0))
