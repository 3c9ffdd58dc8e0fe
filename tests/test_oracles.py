import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.domains import PositiveDefinite, Vector
from gdiff.oracles import Batched, Function, each, first_differences, judging, refuse_tracers, second_differences
from gdiff.tolerance import agree, difference_step, question, tolerance


def _log_det(s):
    return jnp.linalg.slogdet(s)[1]


def test_all_first_order_oracles_agree_with_the_inverse():
    domain = PositiveDefinite()
    s = domain.sample(np.random.default_rng(0), (3, 3))
    basis = domain.tangent_basis(s)
    expected = np.tensordot(basis, np.linalg.inv(s), axes=2)
    with judging():
        f = Function(_log_det, [0], 1)
        d = f.derivatives([(s,)])
        pushed = f.forward([(s,)], [(basis,)])
        value, error = first_differences(f.values, (s,), 0, basis, difference_step())
    assert d is not None
    assert agree(d.tensor(0)[0][0], np.linalg.inv(s).reshape(-1))
    assert agree(pushed[0][0][0], expected)
    noise = tolerance("float64", conditioning=10.0, step=difference_step())
    assert np.all(np.abs(value[0] - expected) <= error[0] + noise)
    assert np.all(error < question())


def test_second_differences_are_the_hessian():
    x = np.array([0.3, -1.2])
    with judging():
        f = Function(lambda x: jnp.exp(x[0]) * jnp.sin(x[1]), [0], 2)
        d = f.derivatives([(x,)])
        pushed = f.forward([(x,)], [(np.eye(2),)])
        value, error = second_differences(f.values, (x,), [(e,) for e in np.eye(2)], difference_step())
    e, s, c = np.exp(x[0]), np.sin(x[1]), np.cos(x[1])
    expected = np.array([[e * s, e * c], [e * c, -e * s]])
    assert d is not None
    assert agree(d.tensor(0)[0], expected)
    assert agree(pushed[0][0], expected)
    noise = tolerance("float64", conditioning=20.0, step=difference_step(), order=2)
    assert np.all(np.abs(value - expected) <= error + noise)


def test_a_kink_is_seen_by_the_estimated_truncation():
    with judging():
        f = Function(lambda x: jnp.abs(x[0]), [0], 1)
        _, error = first_differences(f.values, (np.array([1e-3]),), 0, np.ones((1, 1)), difference_step())
    assert error.max() > question()


def test_numpy_functions_are_not_traceable_but_have_values():
    with judging():
        f = Function(lambda s: np.linalg.slogdet(np.asarray(s))[1], [0], 1)
        assert f.derivatives([(np.eye(2),)]) is None
        assert not f.traceable
        assert f.values([(2 * np.eye(2),)])[0, 0] == np.log(4)


def test_control_flow_on_values_is_traced_one_point_at_a_time():
    with judging():
        f = Batched(each(lambda x: x**2 if x > 0 else -x), modes=("program", "traced"))
        assert f([np.array([2.0, -3.0])])[0].tolist() == [4.0, 3.0]
        assert f.mode == "traced"


def test_any_number_of_points_is_traced_once():
    traces = []

    def f(x):
        traces.append(1)
        return x + 1

    with judging():
        batched = Batched(each(f))
        for n in (1, 5, 200):
            assert batched([np.arange(float(n))])[0].tolist() == list(np.arange(1.0, n + 1))
    assert len(traces) == 1


def test_judging_is_float64_and_leaves_no_trace():
    before = jax.config.read("jax_enable_x64")
    with judging():
        assert jnp.ones(1).dtype == np.float64
    assert jax.config.read("jax_enable_x64") == before


def test_tracers_are_refused():
    with pytest.raises(TypeError, match="tracer"):
        jax.jit(lambda x: refuse_tracers({"a": x}))(1.0)


def test_vectors_have_directions_as_long_as_their_entries():
    basis = Vector().tangent_basis(np.array([3.0, 0.0]))
    assert basis[0].tolist() == [3.0, 0.0]
    assert basis[1, 1] > 0
