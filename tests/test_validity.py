"""What is valid, decided alike at every scale and in every dtype; and how the invalid is marked."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import closed_form, multivariate_normal, validity
from gdiff.validity import (
    Status,
    as_floats,
    check_square,
    check_vector,
    cholesky_factor,
    guard,
    invertible,
    positive_definite,
    stand_in,
    worst,
)
from tests.oracle import covariance, exact, mp, scaled_condition, units

CORRELATED = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, -0.5], [0.25, -0.5, 3.0]])


def status_of(judge, matrix):
    return Status(int(judge(jnp.asarray(matrix)).status))


def changed(matrix, place, value):
    matrix = np.array(matrix)
    matrix[place] = value
    return matrix


def exactly_definite(s):
    """Whether the floats of a symmetric matrix are those of a positive definite one, by 60-digit elimination."""
    a, d = exact(s).copy(), len(s)
    for k in range(d):
        if a[k, k] <= 0:
            return False
        a[k + 1 :, k + 1 :] = a[k + 1 :, k + 1 :] - np.outer(a[k + 1 :, k], a[k, k + 1 :]) / a[k, k]
    return True


@pytest.mark.parametrize(
    ("matrix", "status"),
    [
        (CORRELATED, Status.OK),
        (1e-300 * CORRELATED, Status.OK),
        (1e300 * CORRELATED, Status.OK),
        (changed(CORRELATED, (0, 1), 0.75), Status.NOT_SYMMETRIC),
        (changed(CORRELATED, (0, 2), np.nan), Status.NOT_FINITE),
        (changed(CORRELATED, (2, 0), -np.inf), Status.NOT_FINITE),
        (changed(CORRELATED, (1, 1), np.inf), Status.NOT_FINITE),
        (np.full((3, 3), np.nan), Status.NOT_FINITE),
        (-CORRELATED, Status.NOT_POSITIVE_DEFINITE),
        (np.ones((3, 3)), Status.NOT_POSITIVE_DEFINITE),
        (np.zeros((3, 3)), Status.NOT_POSITIVE_DEFINITE),
        (CORRELATED[:, :2] @ CORRELATED[:, :2].T, Status.NOT_POSITIVE_DEFINITE),
        (np.diag([1.0, -1.0, 1.0]), Status.NOT_POSITIVE_DEFINITE),
        (np.diag([1.0, 0.0, 1.0]), Status.NOT_POSITIVE_DEFINITE),
    ],
)
def test_covariances_are_judged(matrix, status):
    got = jax.jit(positive_definite)(matrix)
    assert Status(int(got.status)) == status
    if status != Status.OK:  # the stand-in is I
        assert (got.matrix.tolist(), got.inverse.tolist(), float(got.log_det)) == (np.eye(3).tolist(),) * 2 + (0.0,)


def test_factors_are_judged():
    factor = np.linalg.cholesky(CORRELATED)
    judged = {
        Status.OK: factor,
        Status.NOT_FINITE: changed(factor, (0, 2), np.nan),
        Status.NOT_LOWER_TRIANGULAR: factor.T,
        Status.DIAGONAL_NOT_POSITIVE: factor * np.array([1.0, -1.0, 1.0]),
    }
    judge = jax.jit(cholesky_factor)
    for status, matrix in judged.items():
        assert status_of(judge, matrix) == status
    assert status_of(judge, changed(factor, (1, 1), 0.0)) == Status.DIAGONAL_NOT_POSITIVE
    assert status_of(judge, changed(factor, (0, 1), 1e-300)) == Status.NOT_LOWER_TRIANGULAR
    assert judge(factor.T).lower.tolist() == np.eye(3).tolist()


def test_general_matrices_are_judged():
    judge = jax.jit(invertible)
    assert status_of(judge, changed(CORRELATED, (0, 1), 7.0)) == Status.OK
    assert status_of(judge, -CORRELATED) == Status.OK
    assert status_of(judge, np.ones((3, 3))) == Status.SINGULAR
    assert status_of(judge, changed(CORRELATED, (0, 1), np.nan)) == Status.NOT_FINITE


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_decision_on_symmetry_does_not_flip_with_scale(dtype):
    limit = float(np.sqrt(np.finfo(dtype).eps))
    judge = jax.jit(lambda s: positive_definite(s).status)
    largest = 200 if dtype == np.float64 else 30
    for factor, status in ((0.5, Status.OK), (2.0, Status.NOT_SYMMETRIC)):
        s = np.array([[2.0, 0.5], [0.5 + factor * limit * np.sqrt(6), 3.0]])
        for power in np.linspace(-largest, largest, 9):
            assert Status(int(judge((s * 10.0**power).astype(dtype)))) == status, (factor, power)
            sd = np.array([10.0 ** (power / 2), 1.0])
            assert Status(int(judge((sd[:, None] * s * sd[None, :]).astype(dtype)))) == status, (factor, power)


def test_a_matrix_within_the_tolerance_is_symmetrised():
    s = changed(CORRELATED, (0, 1), 0.5 + 1e-10)
    got = jax.jit(positive_definite)(s)
    assert np.array_equal(got.matrix, (s + s.T) / 2)
    assert np.array_equal(got.inverse, got.inverse.T)


@pytest.mark.parametrize("d", [3, 5])
def test_exactly_indefinite_matrices_are_refused_and_usable_ones_are_not(d):
    rng = np.random.default_rng(d)
    conditions = np.concatenate([10 ** rng.uniform(0, 6, size=100), 10 ** rng.uniform(6.5, 9, size=300)])
    stack = np.stack([covariance(rng, d, c, np.float32, scales=1.0) for c in conditions])
    accepted = np.asarray(jax.jit(positive_definite)(stack).status) == Status.OK
    factored = np.isfinite(np.asarray(jax.jit(jnp.linalg.cholesky)(stack))).all((1, 2))
    definite = np.array([exactly_definite(s) for s in stack])
    usable = definite & np.array([scaled_condition(s) * np.finfo(np.float32).eps / 2 < 0.1 for s in stack])
    assert np.sum(~definite & factored) >= 3  # the question is a real one: pivots let these through
    assert not np.any(accepted & ~definite)
    assert np.all(accepted[usable])
    assert np.sum(usable) >= 90


def test_the_oracle_of_definiteness_knows_its_cases():
    assert exactly_definite(CORRELATED)
    assert not exactly_definite(np.ones((2, 2)))
    assert not exactly_definite(np.array([[1.0, 1.0], [1.0, np.nextafter(1.0, 0.0)]]))
    assert exactly_definite(np.array([[1.0, 1.0], [1.0, np.nextafter(1.0, 2.0)]]))
    assert mp.mpf(1) + mp.mpf(2) ** -150 != 1
    assert units(CORRELATED)[1] == 1.0


# Static: dtypes and shapes.


def test_arguments_meet_in_one_floating_dtype():
    assert [a.dtype for a in as_floats(x=np.ones(1, np.float32), y=np.ones(1))] == [np.float64] * 2
    assert [a.dtype for a in as_floats(x=np.ones(1, np.float32), y=1)] == [np.float32] * 2
    assert [a.dtype for a in as_floats(x=np.ones(1, int), y=True)] == [np.float64] * 2


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float16, jnp.bfloat16])
def test_dtypes_without_a_density_are_refused(dtype):
    name = np.dtype(dtype).name
    eye, zero = jnp.eye(2, dtype=dtype), np.zeros(2)
    for call in (
        lambda: as_floats(cov=eye),
        lambda: multivariate_normal.logpdf(zero, zero, eye),
        lambda: multivariate_normal.log_likelihood(zero, zero, cholesky=eye),
        lambda: closed_form.score(zero, zero, eye),
        lambda: jax.jit(closed_form.hessian)(zero, zero, eye),
    ):
        with pytest.raises(TypeError, match=rf"got {name}.*wanted"):
            call()


def test_float64_input_without_x64_warns_once(monkeypatch):
    monkeypatch.setattr(validity, "_warned_float64", False)
    with jax.enable_x64(False):
        with pytest.warns(UserWarning, match="float64.*jax_enable_x64"):
            as_floats(x=np.ones(2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert as_floats(x=np.ones(2))[0].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_square("cov", (3, 2)), r"cov: got shape \(3, 2\), wanted \(d, d\)"),
        (lambda: check_square("cov", (3,)), r"cov: got shape \(3,\)"),
        (lambda: check_square("cov", (2, 3, 3)), r"wanted \(d, d\)"),
        (lambda: check_square("cov", (2, 3, 2), batched=True), r"wanted \(\.\.\., d, d\)"),
        (lambda: check_square("cov", (3, 3), 2), r"wanted \(2, 2\)"),
        (lambda: check_vector("x", (3, 1), 3, "cov"), r"x: got shape \(3, 1\), wanted \(\.\.\., 3\).*x\[\.\.\., 0\]"),
        (lambda: check_vector("x", (), 3, "cov"), r"got shape \(\)"),
    ],
)
def test_wrong_shapes_say_what_was_got_and_wanted(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Dynamic: messages.


@pytest.mark.parametrize(
    ("cov", "parts"),
    [
        (changed(CORRELATED, (0, 1), 0.75), ["cov: got 0.75 at [0, 1] and 0.5 at [1, 0]", "not symmetric"]),
        (changed(CORRELATED, (0, 2), np.nan), ["cov: got nan at [0, 2]", "wanted finite"]),
        (-CORRELATED, ["cov", "not positive definite", "Cholesky", "collinear"]),
    ],
)
def test_a_bad_value_says_where_and_what_to_do(cov, parts):
    for call in (
        lambda: multivariate_normal.logpdf(np.zeros(3), np.zeros(3), cov),
        lambda: multivariate_normal.log_likelihood(np.zeros((2, 3)), np.zeros(3), cov),
        lambda: closed_form.score(np.zeros(3), np.zeros(3), cov),
    ):
        with pytest.raises(ValueError, match="cov") as caught:
            call()
        assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_bad_factor_says_which_rule_it_breaks():
    factor, zero = np.linalg.cholesky(CORRELATED), np.zeros(3)
    for bad, parts in (
        (factor.T, ["cholesky", "[0, 1]", "above the diagonal", "cov="]),
        (-factor, ["cholesky", "diagonal", "positive", "signs"]),
    ):
        with pytest.raises(ValueError, match="cholesky") as caught:
            multivariate_normal.logpdf(zero, zero, cholesky=bad)
        assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_bad_item_of_a_batch_is_named():
    stack = np.stack([CORRELATED, CORRELATED, -CORRELATED])
    with pytest.raises(ValueError, match=r"item 2 of the batch"):
        multivariate_normal.logpdf(np.zeros(3), np.zeros(3), stack)


@pytest.mark.parametrize("function", [multivariate_normal.log_likelihood, closed_form.score, closed_form.hessian])
def test_data_whose_squares_are_infinite_is_named(function):
    rows = np.array([[1e200, 0.0], [0.0, -1e201], [1.0, 2.0]])
    with pytest.raises(ValueError, match=r"data: got -1e\+201 at \[1, 1\], whose square is infinite"):
        function(rows, jnp.zeros(2), jnp.eye(2))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(function(rows / 1e60, jnp.zeros(2), jnp.eye(2))))


def test_every_status_explains_itself():
    for status in Status:
        assert status.explain().endswith(".")


# Dynamic: NaN where invalid, in every derivative, and nowhere else.


def test_worst_is_the_first_that_is_not_ok():
    ok, bad, worse = (jnp.asarray(s) for s in (Status.OK, Status.NOT_FINITE, Status.NOT_SYMMETRIC))
    assert int(worst(ok, bad, worse)) == Status.NOT_FINITE
    assert worst(jnp.stack([ok, worse]), bad).tolist() == [Status.NOT_FINITE, Status.NOT_SYMMETRIC]


def test_stand_ins_are_zero_for_bad_items_only():
    a = jnp.array([[1.0, np.nan], [3.0, 4.0]])
    status = jnp.array([Status.NOT_FINITE, Status.OK])
    assert stand_in(a, status).tolist() == [[0.0, 0.0], [3.0, 4.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_guarded_values_have_nan_in_every_derivative_of_bad_items_and_none_of_good_ones(dtype):
    def f(x, shared, bad):
        """The sum of cubes of each row, guarded."""
        status = jnp.where(bad, Status.NOT_FINITE, Status.OK)
        cubes = jnp.sum(stand_in(x + shared, status) ** 3, axis=-1)
        return guard(cubes, status, (x, 1), (shared, 1))

    bad, x, shared = np.array([False, True, False]), np.ones((3, 2), dtype), np.ones(2, dtype)

    def everything(x, shared):
        def kept(x, shared):
            return jnp.sum(jnp.where(bad, 0, f(x, shared, bad)))

        value = f(x, shared, bad)
        return (
            value,
            jax.jacrev(f)(x, shared, bad),
            jax.jacfwd(f)(x, shared, bad),
            jax.jacfwd(jax.jacrev(f, 1), 1)(x, shared, bad),
            jax.grad(kept, (0, 1))(x, shared),
            jax.hessian(kept, 1)(x, shared),
            jax.jacrev(jax.jacrev(kept, 1), 1)(x, shared),
        )

    value, reverse, forward, hessian, (kept_x, kept_shared), kept_hessian, again = jax.jit(everything)(x, shared)
    assert np.isnan(value).tolist() == bad.tolist()
    for jacobian in (reverse, forward):
        assert np.isnan(jacobian[1, 1]).all()
        assert jacobian[0].tolist() == [[12, 12], [0, 0], [0, 0]]
        assert jacobian[2].tolist() == [[0, 0], [0, 0], [12, 12]]
    assert np.isnan(hessian[1]).all()
    assert np.asarray(hessian)[[0, 2]].tolist() == [[[12, 0], [0, 12]]] * 2
    assert kept_x.tolist() == [[12, 12], [0, 0], [12, 12]]
    assert kept_shared.tolist() == [24, 24]
    assert kept_hessian.tolist() == again.tolist() == [[24, 0], [0, 24]]
    assert {leaf.dtype for leaf in (value, reverse, hessian, kept_hessian)} == {np.dtype(dtype)}
