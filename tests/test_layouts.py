import numpy as np
import pytest

from gdiff.layouts import Axis, describe, reader

S = Axis((3, 3), is_symmetric=True)
M = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
ONE = Axis(())


def read(claimed, first, second, **options):
    found = reader(claimed.shape, first, second, **options)
    assert found is not None
    return found(claimed)


@pytest.mark.parametrize("claimed", [M, np.array([1.0, 2, 3, 4, 5, 6]), M.T.reshape(-1)])
def test_a_symmetric_gradient_is_read_in_every_layout(claimed):
    assert np.array_equal(read(claimed, ONE, S), M.reshape(1, 9))


def test_vec_stacks_columns():
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(read(np.array([0.0, 3, 1, 4, 2, 5]), ONE, Axis((2, 3))), x.reshape(1, 6))


def test_row_by_row_is_the_other_reading():
    by_rows = M[np.tril_indices(3)]
    assert np.array_equal(read(by_rows, ONE, S, by_rows=True), M.reshape(1, 9))
    assert not np.array_equal(read(by_rows, ONE, S), M.reshape(1, 9))


def test_hessians_in_four_layouts():
    full = np.einsum("ij,kl->ijkl", M, M)
    vec = M.T.reshape(-1)
    vech = np.array([1.0, 2, 3, 4, 5, 6])
    for claimed in (full, np.outer(vec, vec), np.outer(vech, vech)):
        assert np.array_equal(read(claimed, S, S), full.reshape(9, 9))


def test_column_vectors_are_vectors():
    assert read(np.ones((3, 1)), ONE, Axis((3,))).shape == (1, 3)


def test_what_fits_no_layout_is_none_and_described():
    assert reader((4,), ONE, S) is None
    assert describe(ONE, S) == "(3, 3) or (9,) or (6,)"


def test_partials_are_carried_to_the_frobenius_form():
    b = np.array([[1.0, 4.0], [4.0, 3.0]]).reshape(1, 4)
    assert Axis((2, 2), True).halve_off_diagonal(b, 1).tolist() == [[1.0, 2.0, 2.0, 3.0]]
    assert Axis((2, 2), False).halve_off_diagonal(b, 1).tolist() == b.tolist()
