"""Derivatives through the lower triangle, for functions written in plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import symmetric
from tests.oracle import Gaussian, assert_close, bound, covariance, exact, gradient, hessian, pairs, unvech

pytestmark = pytest.mark.usefixtures("strict_dtypes")


def textbook(x, mean, cov):
    """The log-density as anybody writes it."""
    r = x - mean
    return -(r @ jnp.linalg.solve(cov, r) + jnp.linalg.slogdet(cov)[1] + len(r) * jnp.log(2 * jnp.pi)) / 2


def cubic(weights, s):
    """A scalar function of all entries, for JAX and for 60 digits alike."""
    return (weights * (s @ s @ s)).sum()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_grad_is_b_where_jax_grad_is_a(d):
    rng = np.random.default_rng(d)
    x, mean, cov = rng.normal(size=d), rng.normal(size=d), covariance(rng, d, 10.0)
    want = Gaussian(x[None], mean, cov)
    b, a = jax.jit(lambda s: (symmetric.grad(textbook, 2)(x, mean, s), jax.grad(textbook, 2)(x, mean, s)))(cov)
    assert_close(b, want.symmetric_gradient, bound(cov))
    assert_close(a, want.full_gradient, bound(cov))


def test_hessian_is_in_mean_and_vech_coordinates():
    rng = np.random.default_rng(5)
    x, mean, cov = rng.normal(size=3), rng.normal(size=3), covariance(rng, 3, 10.0, scales=0.5)
    want = Gaussian(x[None], mean, cov)
    (mm, mv), (vm, vv) = jax.jit(symmetric.hessian(textbook, (1, 2)))(x, mean, cov)
    assert_close(mm, want.mean_hessian, bound(cov))
    assert_close(mv, want.cross_hessian, bound(cov))
    assert_close(vm, want.cross_hessian.T, bound(cov))
    assert_close(vv, want.cov_hessian, bound(cov))


def test_grad_and_hessian_equal_differences_that_move_both_entries_together():
    rng = np.random.default_rng(1)
    weights, s = rng.normal(size=(3, 3)), covariance(rng, 3, 4.0, scales=0.0)
    v = np.array([s[i, j] for i, j in pairs(3)])

    def moved(v):
        return cubic(exact(weights), unvech(v, 3))

    b, h = jax.jit(lambda s: (symmetric.grad(cubic, 1)(weights, s), symmetric.hessian(cubic, 1)(weights, s)))(s)
    assert_close(b, unvech(gradient(moved, v), 3), bound(s))
    assert_close(h, hessian(moved, v), bound(s))


def test_one_directional_derivative_has_three_readings():
    # per unit step of S_ij and S_ji together 2 A_ij = B_ij; along the unit direction sqrt(2) A_ij; of one alone G_ij
    weights, s = np.random.default_rng(2).normal(size=(2, 2)), np.array([[2.0, 0.5], [0.5, 1.0]])
    together = np.array([[0.0, 1.0], [1.0, 0.0]])
    b = np.asarray(jax.jit(symmetric.grad(cubic, 1))(weights, s))
    a = (b + b * np.eye(2)) / 2
    along = jax.jit(lambda direction: jax.jvp(lambda s: cubic(weights, s), (s,), (direction,))[1])
    step, unit = along(together), along(together / np.sqrt(2))
    assert_close(step, b[0, 1], bound(s))
    assert_close(unit, np.sqrt(2) * a[0, 1], bound(s))


def test_the_sum_of_a_gradient_does_not_see_the_convention():
    weights, s = np.random.default_rng(3).normal(size=(3, 3)), np.diag([1.0, 2.0, 3.0])
    b = np.asarray(jax.jit(symmetric.grad(cubic, 1))(weights, s))
    assert_close(np.sum(np.tril(b)), np.sum(b + b * np.eye(3)) / 2, bound(s))


def test_scalars_and_vectors_are_differentiated_as_jax_does():
    def f(scale, x, s):
        return scale * (x @ s @ x)

    x, s = jnp.array([1.0, 2.0]), jnp.array([[2.0, 1.0], [1.0, 3.0]])
    got, plain = jax.jit(lambda *a: (symmetric.grad(f, (0, 1, -1))(*a), jax.grad(f, (0, 1))(*a)))(2.0, x, s)
    np.testing.assert_array_equal(got[0], plain[0])
    np.testing.assert_array_equal(got[1], plain[1])
    assert got[2].tolist() == [[2.0, 8.0], [8.0, 8.0]]  # 2 (x x'), doubled off the diagonal
    assert jax.jit(symmetric.hessian(f, 1))(2.0, x, s).tolist() == (4 * s).tolist()


def test_arguments_may_be_pytrees_and_batches():
    def f(model, power):
        return jnp.sum(model["s"] ** power) + jnp.sum(model["m"])

    stack = jnp.stack([jnp.array([[1.0, 2.0], [2.0, 3.0]]), jnp.eye(2)])
    got = jax.jit(symmetric.grad(f), static_argnames="power")({"s": stack, "m": jnp.ones(2)}, power=2)
    assert got["m"].tolist() == [1.0, 1.0]
    assert got["s"].tolist() == [[[2.0, 8.0], [8.0, 6.0]], [[2.0, 0.0], [0.0, 2.0]]]


def test_value_and_auxiliary_data_come_along():
    def f(s):
        return jnp.sum(s * s), {"trace": jnp.trace(s)}

    s = jnp.array([[1.0, 2.0], [2.0, 3.0]])
    (value, aux), g = symmetric.value_and_grad(f, has_aux=True)(s)
    again, aux_again = symmetric.grad(f, has_aux=True)(s)
    assert (float(value), float(aux["trace"]), float(aux_again["trace"])) == (18.0, 4.0, 4.0)
    assert g.tolist() == again.tolist() == [[2.0, 8.0], [8.0, 6.0]]


def test_integers_count_as_floats():
    assert symmetric.grad(lambda s: jnp.sum(s * s))(np.array([[1, 2], [2, 3]])).tolist() == [[2.0, 8.0], [8.0, 6.0]]


def test_a_small_asymmetry_is_rounding():
    s = np.array([[1.0, 2.0], [2.0 + 1e-12, 3.0]])
    g = symmetric.grad(lambda s: jnp.sum(s * s))(s)
    assert np.array_equal(g, g.T)


def test_transforms_nest_with_jit_and_vmap():
    weights = np.random.default_rng(4).normal(size=(2, 2))
    stack = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    once = jax.jit(symmetric.grad(cubic, 1))
    batched = jax.jit(jax.vmap(symmetric.grad(cubic, 1), in_axes=(None, 0)))(weights, stack)
    assert_close(batched, np.stack([once(weights, s) for s in stack]), bound(stack[0]))
    through_vech = jax.jit(
        lambda s: jax.jacfwd(lambda v: symmetric.vech(symmetric.grad(cubic, 1)(weights, symmetric.unvech(v))))(
            symmetric.vech(s)
        )
    )
    assert_close(through_vech(stack[0]), jax.jit(symmetric.hessian(cubic, 1))(weights, stack[0]), bound(stack[0]))


@pytest.mark.parametrize("transform", [symmetric.grad, symmetric.value_and_grad, symmetric.hessian])
def test_bad_arguments_raise(transform):
    f = transform(lambda s: jnp.sum(s))
    with pytest.raises(ValueError, match=r"\(2, 3\).*wanted symmetric matrices"):
        f(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"not symmetric.*wanted at most sqrt"):
        f(np.array([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(ValueError, match="argnums=1"):
        transform(lambda s: jnp.sum(s), 1)(np.eye(2))


def test_a_traced_matrix_that_is_not_symmetric_gives_nan():
    ones = np.ones((2, 2))
    both = jax.jit(lambda s: (symmetric.grad(cubic, 1)(ones, s), symmetric.hessian(cubic, 1)(ones, s)))
    for bad in (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, np.nan], [2.0, 3.0]])):
        g, h = both(bad)
        assert np.isnan(g).all()
        assert np.isnan(h).all()
