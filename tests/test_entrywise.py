"""Matrices of few dimensions, entry by entry, against 60 digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff import entrywise, linalg
from tests.oracle import assert_close, bound, covariance, inverse, log_abs_det, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 3, linalg.UNROLLED])
def test_unrolled_factors_are_right_to_the_last_digits(d, dtype):
    rng = np.random.default_rng(d)
    conditions = (1.0, 1e6, 1e12) if dtype == np.float64 else (1.0, 1e3, 1e5)
    covs = np.stack([covariance(rng, d, c, dtype) for c in conditions])
    got = jax.jit(linalg._INVERSE.twin)(covs)
    for i, cov in enumerate(covs):
        p, limit, scale = inverse(cov), bound(cov, dtype), units(cov)
        what = f"cond {conditions[i]}"
        assert got.precision.dtype == dtype
        assert_close(got.precision[i], p, limit, np.outer(scale, scale), what=what)
        assert np.array_equal(got.precision[i], got.precision[i].T)
        assert_close(got.log_det[i], log_abs_det(cov), limit, what=what)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", range(2, linalg.UNROLLED + 1))
def test_many_inverses_and_scores_are_symmetric_to_the_last_bit(d, dtype):
    x, mean, *roots = np.random.default_rng(d).normal(size=(2 + d, 50, d)).astype(dtype)
    covs = np.stack(roots, 1) @ np.stack(roots, 1).mT
    calls = (linalg._INVERSE, (covs,)), (linalg._FORMS, (covs, x, mean)), (linalg._SCORE, (covs, x, mean))
    for kernel, arguments in calls:
        matrices = np.asarray(jax.jit(kernel.twin)(*arguments)[0])
        assert np.array_equal(matrices, matrices.mT)


def test_packing_puts_every_entry_in_its_place():
    batch = jnp.arange(4.0).reshape(2, 2)
    packed = entrywise.pack_symmetric({(0, 0): batch, (1, 0): batch + 10, (1, 1): batch + 20})
    assert packed[1, 0].tolist() == [[2.0, 12.0], [12.0, 22.0]]
    assert entrywise.pack_symmetric({(0, 0): jnp.asarray(3.0)}).tolist() == [[3.0]]
