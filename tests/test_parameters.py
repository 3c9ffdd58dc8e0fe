"""A tree of numbers as a named vector."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.parameters import names_of, ravel, spread

TREE = {"kernel": {"scale": 2.0}, "slopes": [np.ones((2, 1)), np.arange(2.0)]}


def test_names_are_paths_in_the_order_of_the_vector():
    vector, unravel = ravel(TREE, "init")
    assert names_of(TREE) == (
        "kernel.scale", "slopes.0[0, 0]", "slopes.0[1, 0]", "slopes.1[0]", "slopes.1[1]",
    )  # fmt: skip
    assert vector.tolist() == [2.0, 1.0, 1.0, 0.0, 1.0]
    assert jax.tree.map(jnp.shape, unravel(vector)) == jax.tree.map(jnp.shape, TREE)
    assert names_of(1.0) == ("theta",)
    assert names_of(jnp.zeros(2)) == ("theta[0]", "theta[1]")


def test_integers_become_floats_and_dtypes_follow_jax():
    assert ravel({"n": 3}, "init")[0].dtype == jnp.result_type(float)
    assert ravel(jnp.zeros(2, jnp.float32), "init")[0].dtype == jnp.float32


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [({}, ValueError, "no parameters"), (jnp.zeros(0), ValueError, "no parameters"), (1j, TypeError, "real numbers")],
)
def test_what_is_no_tree_of_real_numbers_is_refused(tree, error, message):
    with pytest.raises(error, match=f"init.*{message}"):
        ravel(tree, "init")


def test_a_prefix_is_spread_over_what_is_below_it():
    prefix = {"kernel": 1.0, "slopes": [2.0, np.array([3.0, 4.0])]}
    assert spread(prefix, TREE, "sd").tolist() == [1.0, 2.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match=r"sd: got .*\(2, 1\)"):
        spread({"kernel": 1.0}, TREE, "sd")
    with pytest.raises(ValueError, match="sd: got"):
        spread(np.zeros(3), np.zeros(2), "sd")
