"""Sufficient statistics: of arrays, of weights, of streams, merged, sharded, differentiated."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdiff import SufficientStatistics, multivariate_normal
from gdiff.tolerance import tolerance
from tests.oracle import assert_close

of = jax.jit(SufficientStatistics.of)


def by_fractions(data):
    """Count, mean and scatter without rounding."""
    rows = [[Fraction(float(x)) for x in row] for row in data]
    n, d = len(rows), len(rows[0])
    mean = [sum(row[j] for row in rows) / n for j in range(d)]
    scatter = [[sum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) for j in range(d)] for i in range(d)]
    return n, np.array(mean, float), np.array(scatter, float)


def assert_same(a, b, amplification=1):
    limit = tolerance(np.float64, conditioning=amplification)
    for got, want in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert_close(got, np.asarray(want), limit)


def test_count_mean_and_scatter_are_those_of_the_rows():
    data = np.random.default_rng(0).normal(size=(7, 2))
    got, (n, mean, scatter) = of(data), by_fractions(data)
    assert_same(got, (n, mean, scatter), amplification=len(data))
    assert_close(got.covariance, scatter / n, tolerance(np.float64, conditioning=len(data)))
    assert np.array_equal(got.scatter, got.scatter.T)
    assert got.dimension == 2


@pytest.mark.parametrize(("center", "spread"), [(1e8, 1.0), (-1e12, 1.0), (1e150, 1e140)])
def test_a_large_mean_does_not_cancel_the_scatter(center, spread):
    data = center + spread * np.random.default_rng(1).normal(size=(50, 2))
    assert_same(of(data), by_fractions(data), amplification=len(data))


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_merging_loses_no_more_than_the_rounding_of_the_means(drift):
    data = 1e8 + np.random.default_rng(2).normal(size=(40, 2)) + drift * np.arange(40)[:, None]
    n, mean, scatter = by_fractions(data)
    parts = np.split(data, 4)
    amplification = n * 1e8 / np.sqrt(np.min(np.diag(scatter)) / n)  # of u in a mean, against the spread
    for merged in (sum(map(of, parts[1:]), of(parts[0])), SufficientStatistics.of_batches(parts)):
        assert_same(merged, (n, mean, scatter), amplification)


def test_one_observation_is_a_vector():
    got = SufficientStatistics.of(np.array([3.0, 4.0]))
    assert (float(got.count), got.mean.tolist(), got.scatter.tolist()) == (1.0, [3.0, 4.0], [[0.0, 0.0], [0.0, 0.0]])


def test_no_observations_are_the_neutral_element():
    some = of(np.random.default_rng(3).normal(size=(3, 2)))
    none = SufficientStatistics.of(np.zeros((0, 2)))
    assert [leaf.tolist() for leaf in jax.tree.leaves(none)] == [0.0, [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]]
    zeros = jax.tree.map(jnp.zeros_like, some)
    for total in (some + none, none + some, some + zeros, zeros + some):
        for got, want in zip(jax.tree.leaves(total), jax.tree.leaves(some), strict=True):
            np.testing.assert_array_equal(got, want)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(none + none))


@given(st.lists(st.lists(st.tuples(*[st.integers(-50, 50)] * 2), min_size=0, max_size=4), min_size=3, max_size=3))
def test_merging_does_not_depend_on_order_or_grouping(samples):
    a, b, c = (SufficientStatistics.of_batches([np.array(rows, float).reshape(-1, 2)]) for rows in samples)
    together = SufficientStatistics.of_batches([np.array(sum(samples, []), float).reshape(-1, 2)])
    scale = np.array([1.0, 50.0, 2500.0 * 12])  # of count, mean and scatter
    for merged in ((a + b) + c, a + (b + c), c + (b + a)):
        for got, want, size in zip(jax.tree.leaves(merged), jax.tree.leaves(together), scale, strict=True):
            assert_close(got, want, tolerance(np.float64, conditioning=12), terms=size)


def test_merging_other_things_is_refused():
    two, three = SufficientStatistics.of(np.ones((1, 2))), SufficientStatistics.of(np.ones((1, 3)))
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        two + three
    with pytest.raises(TypeError):
        two + 1


def test_weights_repeat_rows():
    data = np.random.default_rng(4).normal(size=(4, 2))
    got = SufficientStatistics.of(data, weights=np.array([2, 0, 1, 3]))
    assert_same(got, of(np.repeat(data, [2, 0, 1, 3], axis=0)), amplification=6)
    assert_same(SufficientStatistics.of(data, weights=np.zeros(4)), SufficientStatistics.of(np.zeros((0, 2))))


def test_weights_need_not_be_integers():
    data = np.random.default_rng(5).normal(size=(4, 2))
    half = SufficientStatistics.of(data, weights=np.full(4, 0.5))
    assert_same(jax.tree.map(lambda a: 2 * a, half).count, 4.0)
    assert_same(half.covariance, of(data).covariance, amplification=4)


def test_streams_equal_the_whole_array_in_any_split():
    data = np.random.default_rng(6).normal(size=(11, 2))
    whole = of(data)
    for cuts in ([], [3], [0, 4, 4, 11]):
        got = SufficientStatistics.of_batches(iter(np.split(data, cuts)))
        assert_same(got, whole, amplification=len(data))
    assert_same(SufficientStatistics.of_batches(list(data)), whole, amplification=len(data))


def test_a_stream_counts_in_float64_and_keeps_the_dtype_of_its_batches():
    got = SufficientStatistics.of_batches([np.ones((2, 3), np.float32)])
    assert (np.asarray(got.count).dtype, got.mean.dtype, got.scatter.dtype) == (np.float64, np.float32, np.float32)


def test_dtypes_follow_the_data():
    assert {leaf.dtype for leaf in jax.tree.leaves(of(np.ones((2, 1), np.float32)))} == {np.dtype(np.float32)}
    assert {leaf.dtype for leaf in jax.tree.leaves(of(np.ones((2, 1), int)))} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SufficientStatistics.of(np.ones((2, 2, 2))), ValueError, r"\(2, 2, 2\).*wanted \(n, d\)"),
        (lambda: SufficientStatistics.of(1.0), ValueError, r"got shape \(\)"),
        (lambda: SufficientStatistics.of([[1.0, np.nan]]), ValueError, r"nan at \[0, 1\].*mask"),
        (lambda: SufficientStatistics.of([[1.0, -np.inf]]), ValueError, r"-inf at \[0, 1\].*mask"),
        (lambda: SufficientStatistics.of(np.ones((2, 2)), np.ones(3)), ValueError, r"weights.*\(3,\).*wanted \(2,\)"),
        (lambda: SufficientStatistics.of(np.ones((2, 2)), [1.0, -1.0]), ValueError, "weights.*negative"),
        (lambda: SufficientStatistics.of(np.ones((2, 2)), [1.0, np.inf]), ValueError, "weights.*inf"),
        (lambda: SufficientStatistics.of(np.ones((2, 2), complex)), TypeError, "complex"),
        (lambda: SufficientStatistics.of(np.ones((2, 2), np.float16)), TypeError, "float16"),
        (lambda: SufficientStatistics.of_batches([]), ValueError, "no batches"),
        (lambda: SufficientStatistics.of_batches([[[1.0, np.nan]]]), ValueError, "nan.*mask"),
        (lambda: SufficientStatistics.of_batches([np.ones((1, 2)), np.ones((1, 3))]), ValueError, "dimensions"),
    ],
)
def test_bad_samples_raise_and_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_traced_nan_stays_nan():
    got = of(np.array([[1.0, np.nan], [2.0, 3.0]]))
    assert np.isnan(got.mean[1])
    assert np.isnan(got.scatter[1, 1])


def test_statistics_are_pytrees_for_jit_vmap_scan_and_grad():
    data = np.random.default_rng(7).normal(size=(3, 4, 2))
    each = jax.jit(jax.vmap(SufficientStatistics.of))(data)
    assert each.mean.shape == (3, 2)
    start = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), each)
    total, _ = jax.jit(lambda start, each: jax.lax.scan(lambda a, b: (a + b, None), start, each))(start, each)
    assert_same(total, of(data.reshape(-1, 2)), amplification=12)


def test_derivatives_with_respect_to_the_statistics_are_those_of_the_formula():
    """L = n log N(xbar) - tr(P C)/2, to second order, in every leaf and in the mean and covariance together."""
    data = np.random.default_rng(8).normal(size=(6, 2))
    cov, mean = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.1, -0.2])
    leaves = jax.tree.leaves(of(data))
    theta = np.concatenate([np.ravel(a) for a in (*leaves, mean, cov)])

    def parts(theta):
        n, center, scatter, mean, s = jnp.split(theta, [1, 3, 7, 9])
        scatter, s = scatter.reshape(2, 2), s.reshape(2, 2)
        return n[0], center, (scatter + scatter.T) / 2, mean, (s + s.T) / 2

    def ours(theta):
        *statistics, mean, s = parts(theta)
        return multivariate_normal.log_likelihood(SufficientStatistics(*statistics), mean, s)

    def formula(theta):
        n, center, scatter, mean, s = parts(theta)
        p, r = jnp.linalg.inv(s), center - mean
        one = -(r @ p @ r + jnp.linalg.slogdet(s)[1] + 2 * jnp.log(2 * jnp.pi)) / 2
        return n * one - jnp.trace(p @ scatter) / 2

    def second_order(f):
        return jax.jit(lambda theta: (f(theta), jax.grad(f)(theta), jax.hessian(f)(theta)))(theta)

    limit = tolerance(np.float64, conditioning=len(data) * np.linalg.cond(cov) ** 2)
    for got, want in zip(second_order(ours), second_order(formula), strict=True):
        assert_close(got, np.asarray(want), limit)


def test_derivatives_pass_through_the_statistics_to_the_rows_and_weights():
    data, weights = np.random.default_rng(9).normal(size=(5, 2)), np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    cov, mean = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.1, -0.2])

    def from_statistics(data, weights):
        return multivariate_normal.log_likelihood(SufficientStatistics.of(data, weights), mean, cov)

    def from_rows(data, weights):
        return jnp.sum(weights * multivariate_normal.logpdf(data, mean, cov))

    got = jax.jit(jax.grad(from_statistics, (0, 1)))(data, weights)
    want = jax.jit(jax.grad(from_rows, (0, 1)))(data, weights)
    for a, b in zip(got, want, strict=True):
        assert_close(a, np.asarray(b), tolerance(np.float64, conditioning=5 * np.linalg.cond(cov)))


SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
jax.config.update("jax_enable_x64", True)
from gdiff import SufficientStatistics, multivariate_normal
mesh = jax.make_mesh((8,), ("n",), axis_types=(AxisType.Auto,))
data = 1e3 + np.random.default_rng(0).normal(size=(64, 2))
sharded = jax.device_put(data, NamedSharding(mesh, PartitionSpec("n")))
assert len(sharded.sharding.device_set) == 8
cov, mean = np.eye(2), np.full(2, 1e3)
def both(data):
    value, gradient = jax.value_and_grad(multivariate_normal.log_likelihood, 2)(data, mean, cov)
    return SufficientStatistics.of(data), value, gradient
a, b = jax.jit(both)(sharded), jax.jit(both)(data)
worst = max(float(np.max(np.abs(x - y)) / np.max(np.abs(y))) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))
print("worst", worst)
"""


def test_a_sample_sharded_over_eight_devices_gives_the_same_numbers():
    root = Path(__file__).parent.parent
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    environment = os.environ | flags | {"PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", SHARDED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) <= tolerance(np.float64, conditioning=64)
