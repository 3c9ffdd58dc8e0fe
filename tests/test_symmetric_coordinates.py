"""The order of vech and vec, and the linear maps between them, against literals and against the matrices."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gdiff import symmetric
from gdiff.symmetric.coordinates import asymmetry
from gdiff.tolerance import tolerance

finite = st.floats(-(2.0**20), 2.0**20, width=32)
square = st.integers(0, 3).flatmap(lambda d: arrays(np.float64, (d, d), elements=finite))


def test_vech_stacks_the_columns_of_the_lower_triangle():
    m = np.array([[11, 12, 13], [21, 22, 23], [31, 32, 33]])
    assert symmetric.vech(m).tolist() == [11, 21, 31, 22, 32, 33]


def test_vec_stacks_the_columns():
    m = np.array([[11, 12, 13], [21, 22, 23], [31, 32, 33]])
    assert symmetric.vec(m).tolist() == [11, 21, 31, 12, 22, 32, 13, 23, 33]
    assert symmetric.vec(m[:2]).tolist() == [11, 21, 12, 22, 13, 23]
    assert symmetric.unvec(np.array([11, 21, 12, 22, 13, 23]), 2).tolist() == m[:2].tolist()


def test_unvech_fills_both_triangles():
    assert symmetric.unvech(np.array([1, 2, 3, 4, 5, 6])).tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]


def test_duplication_matrix_of_three():
    rows = [0, 1, 2, 1, 3, 4, 2, 4, 5]  # of vec, in vech
    np.testing.assert_array_equal(symmetric.duplication_matrix(3), np.eye(6)[rows])


def test_elimination_matrix_of_three():
    columns = [0, 1, 2, 4, 5, 8]  # of vec: entries 11, 21, 31, 22, 32, 33
    np.testing.assert_array_equal(symmetric.elimination_matrix(3), np.eye(9)[columns])


def test_commutation_matrix_of_two_by_three():
    # vec(A) = a11 a21 a12 a22 a13 a23, vec(A') = a11 a12 a13 a21 a22 a23
    np.testing.assert_array_equal(symmetric.commutation_matrix(2, 3), np.eye(6)[[0, 2, 4, 1, 3, 5]])


def test_commutation_exchanges_the_factors_of_a_kronecker_product():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-4, 5, (2, 3)), rng.integers(-4, 5, (4, 2))
    left = np.asarray(symmetric.commutation_matrix(4, 2)) @ np.kron(a, b)
    np.testing.assert_array_equal(left, np.kron(b, a) @ np.asarray(symmetric.commutation_matrix(2, 3)))


@pytest.mark.parametrize("d", [0, 1, 2, 3])
def test_maps_without_matrices_equal_the_matrices(d):
    rng = np.random.default_rng(d)
    g = rng.integers(-9, 10, (2, d * d)).astype(float)  # integers: every sum is exact
    v = rng.integers(-9, 10, (2, symmetric.vech_size(d))).astype(float)
    duplication, elimination, commutation = (
        np.asarray(m)
        for m in (symmetric.duplication_matrix(d), symmetric.elimination_matrix(d), symmetric.commutation_matrix(d, d))
    )
    np.testing.assert_array_equal(symmetric.apply_duplication(v), v @ duplication.T)
    np.testing.assert_array_equal(symmetric.apply_duplication_transpose(g), g @ duplication)
    np.testing.assert_array_equal(symmetric.apply_elimination(g), g @ elimination.T)
    np.testing.assert_array_equal(symmetric.apply_commutation(g, d, d), g @ commutation.T)
    np.testing.assert_array_equal(elimination @ duplication, np.eye(symmetric.vech_size(d)))


@pytest.mark.parametrize(("m", "n"), [(2, 3), (3, 2), (1, 4), (3, 0)])
def test_commutation_of_a_rectangle_is_the_transpose(m, n):
    a = np.arange(2 * m * n).reshape(2, m, n)
    got = symmetric.apply_commutation(symmetric.vec(a), m, n)
    np.testing.assert_array_equal(got, symmetric.vec(a.swapaxes(-1, -2)))
    np.testing.assert_array_equal(got, np.asarray(symmetric.vec(a)) @ np.asarray(symmetric.commutation_matrix(m, n)).T)


def test_to_symmetric_doubles_what_is_off_the_diagonal():
    a = np.array([[1.0, 2.0], [2.0, 3.0]])
    assert symmetric.to_symmetric(a).tolist() == [[1, 4], [4, 3]]
    assert symmetric.to_symmetric(np.array([[1.0, 2.0], [5.0, 3.0]])).tolist() == [[1, 7], [7, 3]]
    assert symmetric.to_full(np.array([[1.0, 4.0], [4.0, 3.0]])).tolist() == a.tolist()


@given(square)
def test_conventions_are_one_linear_map_and_its_inverse(g):
    b = symmetric.to_symmetric(g)
    np.testing.assert_array_equal(symmetric.vech(b), symmetric.apply_duplication_transpose(symmetric.vec(g)))
    np.testing.assert_array_equal(symmetric.to_full(b), symmetric.symmetrize(g))


@given(square, square)
def test_b_pairs_with_the_distinct_entries_as_a_pairs_with_all(g, s):
    d = min(len(g), len(s))
    g, s = np.round(g[:d, :d]), np.asarray(symmetric.symmetrize(2 * np.round(s[:d, :d])))
    b = symmetric.to_symmetric(g)
    assert np.dot(symmetric.vech(b), symmetric.vech(s)) == np.sum(g * s)


@given(square)
def test_vech_and_unvech_are_inverse_on_symmetric_matrices(m):
    s = symmetric.symmetrize(m)
    np.testing.assert_array_equal(symmetric.unvech(symmetric.vech(s)), s)
    np.testing.assert_array_equal(symmetric.unvec(symmetric.vec(m), len(m)), m)


def test_symmetrize_is_exact_and_does_not_overflow():
    m = np.random.default_rng(0).normal(size=(4, 4))
    s = np.asarray(symmetric.symmetrize(m))
    assert np.array_equal(s, s.T)
    assert np.array_equal(symmetric.symmetrize(s), s)
    largest = np.finfo(float).max
    assert np.asarray(symmetric.symmetrize(np.full((2, 2), largest))).tolist() == [[largest] * 2] * 2


@pytest.mark.parametrize("power", [-664, -500, -27, 0, 27, 500, 664])
def test_asymmetry_does_not_depend_on_scale(power):
    s = np.array([[2.0, 1.0], [1.0 + 2.0**-20, 3.0]])
    sd = np.array([2.0 ** (power // 2), 1.0])  # 2^664 is 1e200: the product of two variances overflows
    stretched = sd[:, None] * s * sd[None, :]
    apart, together, plain = (float(asymmetry(jnp.asarray(m))) for m in (stretched, s * 2.0**power, s))
    assert together == pytest.approx(plain, rel=tolerance(np.float64))
    assert apart == pytest.approx(plain, rel=tolerance(np.float64))


def test_sizes_and_dtypes_are_kept():
    assert [symmetric.vech_size(d) for d in range(5)] == [0, 1, 3, 6, 10]
    m = jnp.eye(2, dtype=jnp.float32)
    for f in (symmetric.vech, symmetric.vec, symmetric.symmetrize, symmetric.to_symmetric, symmetric.to_full):
        assert f(m).dtype == jnp.float32, f.__name__
    assert symmetric.vech(jnp.eye(2, dtype=int)).dtype == int


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda: symmetric.vech(np.ones(3)), ["vech", "(3,)", "wanted square matrices"]),
        (lambda: symmetric.vech(np.ones((3, 2))), ["vech", "(3, 2)"]),
        (lambda: symmetric.unvech(np.ones(4)), ["unvech", "length 4", "3", "6"]),
        (lambda: symmetric.unvech(1.0), ["unvech", "()"]),
        (lambda: symmetric.vec(np.ones(3)), ["vec", "(3,)", "wanted matrices"]),
        (lambda: symmetric.unvec(np.ones(5), 2), ["unvec", "(5,)", "m = 2"]),
        (lambda: symmetric.symmetrize(np.ones((2, 3))), ["symmetrize", "(2, 3)"]),
        (lambda: symmetric.to_symmetric(np.ones((2, 3))), ["to_symmetric", "(2, 3)"]),
        (lambda: symmetric.to_full(np.ones(2)), ["to_full", "(2,)"]),
        (lambda: symmetric.apply_duplication(np.ones(5)), ["length 5"]),
        (lambda: symmetric.apply_duplication_transpose(np.ones(5)), ["apply_duplication_transpose", "(5,)", "d*d"]),
        (lambda: symmetric.apply_elimination(np.ones(3)), ["apply_elimination", "(3,)"]),
        (lambda: symmetric.apply_commutation(np.ones(6), 2, 2), ["apply_commutation", "6", "2 x 2"]),
    ],
)
def test_wrong_shapes_say_what_was_got_and_wanted(call, parts):
    with pytest.raises(ValueError, match="got") as caught:
        call()
    assert all(part in str(caught.value) for part in parts), str(caught.value)
