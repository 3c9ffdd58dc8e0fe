"""The kernels of few dimensions, entry by entry, against 60 digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import kernels, linalg
from tests.oracle import assert_close, bound, covariance, exact, inverse, log_abs_det, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@jax.jit
def everything(s, r):
    factor = kernels.factorise(kernels.entries(s))
    z = kernels.whiten_entries(factor, [r[..., i] for i in range(s.shape[-1])])
    return {
        "precision": kernels.pack_symmetric(kernels.inverse_entries(factor)),
        "log_det": kernels.log_determinant(factor),
        "solution": kernels.pack_vector(kernels.solve_entries(factor, z)),
        "mahalanobis": kernels.weighted_square(factor, z),
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 3, linalg.UNROLLED])
def test_unrolled_factors_are_right_to_the_last_digits(d, dtype):
    rng = np.random.default_rng(d)
    conditions = (1.0, 1e6, 1e12) if dtype == np.float64 else (1.0, 1e3, 1e5)
    covs = np.stack([covariance(rng, d, c, dtype) for c in conditions])
    residuals = (rng.normal(size=(3, d)) / np.stack([units(cov) for cov in covs])).astype(dtype)
    got = everything(covs, residuals)
    for i, (cov, r) in enumerate(zip(covs, residuals, strict=True)):
        p, limit, scale = inverse(cov), bound(cov, dtype), units(cov)
        y = p @ exact(r)
        what = f"cond {conditions[i]}"
        assert got["precision"].dtype == dtype
        assert_close(got["precision"][i], p, limit, np.outer(scale, scale), what=what)
        assert np.array_equal(got["precision"][i], got["precision"][i].T)
        assert_close(got["log_det"][i], log_abs_det(cov), limit, what=what)
        assert_close(got["solution"][i], y, limit, scale, terms=np.abs(p) @ np.abs(exact(r)), what=what)
        assert_close(got["mahalanobis"][i], exact(r) @ y, limit, what=what)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [linalg.UNROLLED + 1, linalg.SWEPT])
def test_swept_inverses_are_right_to_the_last_digits(d, dtype):
    rng = np.random.default_rng(d)
    conditions = (1.0, 1e6, 1e12) if dtype == np.float64 else (1.0, 1e3, 1e5)
    covs = np.stack([covariance(rng, d, c, dtype) for c in conditions], axis=-1)
    p, pivots = jax.jit(kernels.sweep)(covs)
    assert p.dtype == pivots.dtype == dtype
    for i, condition in enumerate(conditions):
        cov = covs[..., i]
        what, limit, scale = f"cond {condition}", bound(cov, dtype), units(cov)
        assert_close(p[..., i], inverse(cov), limit, np.outer(scale, scale), what=what)
        assert_close(np.sum(np.log(pivots[:, i])), log_abs_det(cov), limit, what=what)
        assert np.array_equal(p[..., i], p[..., i].T)


@pytest.mark.parametrize("batch", [(1,), (kernels.LANES,), (kernels.LANES + 1,), (3, kernels.LANES - 1)])
def test_by_lanes_every_item_is_worked_on_and_lies_where_it_was(batch):
    rng = np.random.default_rng(0)
    r, m = rng.normal(size=(*batch, 2)), rng.normal(size=(*batch, 2, 2))
    product, total = jax.jit(lambda r, m: kernels.by_lanes(lambda r, m: (m * r, r.sum(0)), (1, 2), r, m))(r, m)
    np.testing.assert_array_equal(product, m * r[..., None, :])
    np.testing.assert_allclose(total, r.sum(-1), rtol=1e-15, atol=1e-15)


def test_packing_puts_every_entry_in_its_place():
    batch = jnp.arange(4.0).reshape(2, 2)
    assert jnp.array_equal(kernels.pack_vector([batch, batch + 10]), jnp.stack([batch, batch + 10], -1))
    packed = kernels.pack_symmetric({(0, 0): batch, (1, 0): batch + 10, (1, 1): batch + 20})
    assert packed[1, 0].tolist() == [[2.0, 12.0], [12.0, 22.0]]
    assert kernels.pack_symmetric({(0, 0): jnp.asarray(3.0)}).tolist() == [[3.0]]


def test_an_entry_that_is_not_a_number_stays_where_it_is():
    packed = kernels.pack_vector([jnp.array([jnp.nan, 1.0]), jnp.array([2.0, jnp.inf])])
    assert np.isnan(packed).tolist() == [[True, False], [False, False]]
    assert packed[1].tolist() == [1.0, np.inf]


def test_the_entries_of_a_stored_condition_are_its_own():
    assert kernels.stored(jnp.array([True, False]), jnp.float32).tolist() == [True, False]
