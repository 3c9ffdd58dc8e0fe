import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.domains import PositiveDefinite
from gdiff.testing import assert_differential, assert_gradient, assert_hessian, assert_jacobian

S = np.array([[4.0, 1.0], [1.0, 3.0]])


def test_what_is_right_passes():
    assert_gradient(lambda x: jnp.sum(x**3), lambda x: 3 * x**2, [1.0, 2.0])
    assert_hessian(lambda x: jnp.sum(x**3), lambda x: jnp.diag(6 * x), [1.0, 2.0])
    assert_jacobian(jnp.sin, lambda x: jnp.diag(jnp.cos(x)), [1.0, 2.0])
    assert_differential(lambda x: x @ x, lambda x, dx: 2 * x @ dx, [1.0, 2.0])


def test_the_message_is_the_diagnosis():
    with pytest.raises(AssertionError, match="every entry is -1 times the derivative"):
        assert_gradient(lambda s: jnp.linalg.slogdet(s)[1], lambda s: -jnp.linalg.inv(s), S, domains=PositiveDefinite())


def test_inconclusive_fails_too():
    stationary = np.zeros(2)
    with pytest.raises(AssertionError, match="inconclusive: the derivative is zero"):
        assert_gradient(lambda x: jnp.sum(jnp.cos(x - jnp.pi)), stationary, [0.0, 0.0])
