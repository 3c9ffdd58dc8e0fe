"""Factorisations and their derivative rules, against 60 digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import linalg
from tests.oracle import (
    assert_close,
    bound,
    covariance,
    exact,
    gradient,
    hessian,
    inverse,
    log_abs_det,
    pair_units,
    pairs,
    scaled_condition,
    units,
    unvech,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 3, 20])
def test_inverse_is_right_exactly_symmetric_and_knows_the_log_determinant(d, dtype):
    rng = np.random.default_rng(d)
    invert = jax.jit(linalg.inverse)
    for condition in (1.0, 1e3, 1e5) if dtype == np.float32 else (1.0, 1e6, 1e12):
        cov = covariance(rng, d, condition, dtype)
        got, true, within = invert(cov), inverse(cov), bound(cov, dtype)
        scale = units(cov)
        assert got.precision.dtype == dtype
        assert_close(got.precision, true, within, np.outer(scale, scale), what=f"cond {condition}")
        assert_close(got.log_det, log_abs_det(cov), within, what=f"cond {condition}")
        assert np.array_equal(got.precision, got.precision.T)
        variances = np.diag(exact(cov)) * np.diag(true)
        assert_close(got.inflation, max(variances), within, what=f"cond {condition}")


@pytest.mark.parametrize("d", [2, 6])
def test_inverse_of_a_batch_says_which_items_failed(d):
    stack = np.stack([np.eye(d), -np.eye(d), 4 * np.eye(d)])
    got = jax.jit(linalg.inverse)(stack)
    assert np.isfinite(got.log_det).tolist() == [True, False, True]
    assert np.asarray(got.precision)[[0, 2]].tolist() == [np.eye(d).tolist(), (np.eye(d) / 4).tolist()]
    assert np.asarray(got.inflation)[[0, 2]].tolist() == [1.0, 1.0]


def test_inverse_and_solve_differentiate_twice():
    rng = np.random.default_rng(1)
    weights, w, r = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2)
    cov = covariance(rng, 2, 10.0, scales=0.0)
    v = np.array([cov[i, j] for i, j in pairs(2)])

    def f(v):
        s = v[jnp.array([[0, 1], [1, 2]])]
        p = linalg.inverse(s)
        return jnp.sum(weights * p.precision) + p.log_det + jnp.sum(w * linalg.solve(s, p.precision, r))

    def f_exact(v):
        p = inverse(unvech(v, 2))
        return (exact(weights) * p).sum() + log_abs_det(unvech(v, 2)) + exact(w) @ p @ exact(r)

    g, h = jax.jit(lambda v: (jax.grad(f)(v), jax.hessian(f)(v)))(v)
    assert_close(g, gradient(f_exact, v), bound(cov), pair_units(cov))
    assert_close(h, hessian(f_exact, v), bound(cov), np.outer(pair_units(cov), pair_units(cov)))


def test_the_derivative_of_solve_in_its_right_hand_side_is_the_inverse():
    cov = covariance(np.random.default_rng(2), 3, 10.0)
    p = jax.jit(linalg.inverse)(cov).precision
    jacobian = jax.jit(jax.jacrev(lambda r: linalg.solve(jnp.asarray(cov), p, r)))(np.ones(3))
    np.testing.assert_array_equal(jacobian, p)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [5, 20, linalg.PROBED + 6])
def test_inflation_is_within_a_limit_just_as_the_inverse_says(d, dtype):
    rng = np.random.default_rng(d)
    decide = jax.jit(lambda s, limit: linalg.inflation_within(s, linalg.cholesky(s), limit))
    invert = jax.jit(lambda s: linalg.inverse(s).inflation)
    for condition in (1.0, 1e2, 1e4):
        cov = covariance(rng, d, condition, dtype)
        inflation = float(invert(cov))
        for factor, within in ((0.99, False), (1.01, True), (1e6, True)):
            limit = np.asarray(inflation * factor, dtype)
            assert bool(decide(cov, limit)) is within, (condition, factor)
    assert not bool(decide(-cov, np.asarray(1e30, dtype)))


def test_small_products_are_what_they_say():
    a, x, y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([5.0, 6.0]), jnp.array([7.0, 8.0])
    assert linalg.matvec(a, x).tolist() == [17.0, 39.0]
    assert linalg.matvec(a, jnp.stack([x, y])).tolist() == [[17.0, 39.0], [23.0, 53.0]]
    assert linalg.outer(x, y).tolist() == [[35.0, 40.0], [42.0, 48.0]]
    assert float(linalg.inner(a, a.T)) == 1 + 6 + 6 + 16


def test_solve_lower_and_its_transpose():
    lower = jnp.array([[2.0, 0.0], [1.0, 4.0]])
    b = jnp.array([[2.0, 4.0], [9.0, 6.0]])
    assert linalg.solve_lower(lower, b).tolist() == [[1.0, 2.0], [2.0, 1.0]]
    assert linalg.solve_lower(lower, b, transpose=True).tolist() == [[-0.125, 1.25], [2.25, 1.5]]
    batched = linalg.solve_lower(lower[None], jnp.stack([b, 2 * b]))
    assert batched.tolist() == [[[1.0, 2.0], [2.0, 1.0]], [[2.0, 4.0], [4.0, 2.0]]]


@pytest.mark.parametrize("shape", [(), (2,), (7,), (2, 2)], ids=["one", "few", "many", "many in a grid"])
def test_whitening_is_the_same_by_solve_and_by_product(shape):
    rng = np.random.default_rng(3)
    cov = covariance(rng, 3, 100.0)
    lower, r = np.linalg.cholesky(cov), rng.normal(size=(*shape, 3))
    want = exact(r).reshape(-1, 3) @ inverse(lower).T
    assert_close(jax.jit(linalg.whiten)(lower, r), want.reshape(r.shape), bound(cov))


def test_whitening_with_a_factor_for_each_vector():
    lower = np.stack([np.eye(2), np.diag([2.0, 4.0])])
    got = jax.jit(linalg.whiten)(lower, np.array([[1.0, 2.0], [4.0, 4.0]]))
    assert got.tolist() == [[1.0, 2.0], [2.0, 1.0]]
    both = jax.jit(linalg.whiten)(lower, np.array([4.0, 4.0]))
    assert both.tolist() == [[4.0, 4.0], [2.0, 1.0]]


def test_inverse_of_a_matrix_that_is_not_symmetric():
    x = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 5.0], [3.0, 0.0, 1.0]])
    assert_close(jax.jit(linalg.inverse_general)(x), inverse(x), bound(x @ x.T))


def test_solving_an_indefinite_system_keeps_its_digits_under_bad_scaling():
    rng = np.random.default_rng(4)
    m = np.array([[1.0, 2.0, 0.5], [2.0, -3.0, 1.0], [0.5, 1.0, 2.0]])
    scale = 2.0 ** np.array([-60, 0, 60])
    scaled, b = scale[:, None] * m * scale[None, :], scale[:, None] * rng.normal(size=(3, 2))
    want = inverse(scaled) @ exact(b)
    got = jax.jit(linalg.solve_symmetric)(scaled, b)
    assert_close(got, want, bound(m @ m.T) * scaled_condition(m @ m.T), scale[:, None])
