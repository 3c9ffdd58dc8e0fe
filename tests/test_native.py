"""The compiled kernels: against 60 digits at every instruction set, and where their twins take over."""

import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import export
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gdiff import blocks, linalg, native, statistics
from gdiff.statistics import BY_KERNEL
from gdiff.symmetric.coordinates import lower_indices
from tests.oracle import Gaussian, assert_close, bound, covariance, exact, inverse, log_abs_det, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")

LEVELS = (0, 1, 2) if platform.machine() == "x86_64" else (0,)
LANES = 16  # of the widest vectors


moments = jax.jit(jax.vmap(statistics.sample_moments))


def as_numpy(results):
    """Checks are NumPy's: each operation of JAX on another shape is a program to compile."""
    return jax.tree.map(np.asarray, results)


@pytest.fixture(params=LEVELS, ids=lambda level: f"level {level}")
def level(request):
    """Instruction sets from the architecture's own to the best; a processor that lacks one is tested at its best."""
    library = native.library()
    yield library.gdiff_use(request.param)
    library.gdiff_use(max(LEVELS))


def test_the_kernels_were_compiled():
    assert native.library() is not None, "no gdiff/native/kernels.so: install gdiff anew, pip install -e ."


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("d", "count"),
    [
        *((d, 3) for d in range(1, 8)),
        *((2, LANES + 1), (5, 2 * LANES), (8, LANES), (12, LANES + 3)),
        *((13, 2), (80, 1), (81, 1)),
    ],
)
def test_what_a_density_is_made_of_is_right_to_the_last_digits(d, count, dtype):
    rng = np.random.default_rng(d)
    conditions = (1e6, 1.0, 1e12) if dtype == np.float64 else (1e3, 1.0, 1e5)
    covs = np.stack([covariance(rng, d, conditions[k % 3], dtype) for k in range(count)])
    mean = rng.normal(size=(count, d)).astype(dtype)
    x = (mean + rng.normal(size=(count, d)) * np.stack([units(cov) for cov in covs])).astype(dtype)
    arguments = jax.device_put((x, mean, covs))
    found = []
    for level in LEVELS:
        native.library().gdiff_use(level)
        results = linalg.forms(*arguments), linalg.forms_alone(*arguments), linalg.inverse(arguments[-1])
        got, alone, inverted, scored = as_numpy((*results, linalg.score(*arguments)))
        found.append(got)
        assert {a.dtype for a in (*got, *inverted)} == {np.dtype(dtype)}
        for field, other in zip(("precision", "log_det", "inflation", "asymmetry"), inverted, strict=True):
            np.testing.assert_array_equal(getattr(got, field), other, err_msg=field)
        for field in ("log_det", "inflation", "asymmetry", "solution", "mahalanobis"):
            np.testing.assert_array_equal(getattr(got, field), getattr(alone, field), err_msg=field)
            np.testing.assert_array_equal(getattr(got, field), getattr(scored, field), err_msg=field)
        square = got.solution[:, :, None] * got.solution[:, None, :]
        gradient, size = (square - got.precision) / 2, np.abs(square) + np.abs(got.precision)
        assert np.max(np.abs(scored.gradient - gradient) / size) <= np.finfo(dtype).eps
        assert np.array_equal(scored.gradient, scored.gradient.mT)
        assert np.array_equal(got.precision, got.precision.mT)
        assert not np.any(got.asymmetry)
    for k in {0, 1 % count, 2 % count, count - 1}:
        p, limit, scale, r = inverse(covs[k]), bound(covs[k], dtype), units(covs[k]), exact(x[k]) - exact(mean[k])
        y, log_det, terms = p @ r, log_abs_det(covs[k]), np.abs(p) @ np.abs(r)
        inflation = max(1, *(np.diag(exact(covs[k])) * np.diag(p)))
        for level, got in zip(LEVELS, found, strict=True):
            what = f"item {k}, level {level}"
            assert_close(got.precision[k], p, limit, np.outer(scale, scale), what=what)
            assert_close(got.log_det[k], log_det, limit, what=what)
            assert_close(got.inflation[k], inflation, limit, what=what)
            assert_close(got.solution[k], y, limit, scale, terms=terms, what=what)
            assert_close(got.mahalanobis[k], r @ y, limit, terms=np.abs(r) @ terms, what=what)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_logarithm_of_a_variance_is_right_to_the_last_digit(dtype):
    from_one = np.geomspace(1e-6, 0.7, 60)
    variances = np.r_[
        np.geomspace(1e-30, 1e30, 200), 1 - from_one / 2, 1 + from_one, np.sqrt(2), np.sqrt(0.5), 1
    ].astype(dtype)
    got = jax.jit(linalg.inverse)(variances[:, None, None]).log_det
    want = np.array([mpmath.log(float(v)) for v in variances])
    assert got.dtype == dtype
    assert np.max(np.abs(np.asarray(got, np.float64) - want) - 2 * np.finfo(dtype).eps * np.abs(want)) <= 0


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("d", [2, 9, 30, 90])
def test_what_a_matrix_is_judged_by_is_measured_item_by_item(d):
    eye = np.eye(d)
    off, far, indefinite, overflow = (eye.copy() for _ in range(4))
    off[1, 0] = 1e-7
    far[-1, 0], far[0, -1] = 3.0, -1.0
    indefinite[0, 1] = indefinite[1, 0] = 2.0
    infinite, lost = eye.copy(), eye.copy()
    infinite[0, -1], lost[-1, -1] = np.inf, np.nan
    overflow[0, 0] = 1e-310  # its inverse is no number
    stack = np.stack([eye, off, 1e200 * off, far, indefinite, infinite, lost, overflow, 4 * eye] * 3)
    got = jax.tree.map(lambda a: np.asarray(a)[-9:], jax.jit(linalg.inverse)(stack))
    np.testing.assert_allclose(got.asymmetry[[0, 1, 2, 3, 4, 8]], [0, 1e-7, 1e-7, 4 / 3, 0, 0], rtol=1e-12)
    assert np.isnan(got.asymmetry).tolist() == [False] * 5 + [True, True, False, False]
    assert np.isnan(got.inflation[[4, 5, 6, 7]]).all()
    assert got.inflation[[0, 8]].tolist() == [1, 1]
    np.testing.assert_allclose(got.inflation[1], 1, rtol=1e-12)
    np.testing.assert_allclose(got.precision[8], eye / 4, rtol=1e-15)
    np.testing.assert_allclose(got.log_det[8], d * np.log(4), rtol=1e-14)


def sums(n):
    """What an entry of the scatter may be off by, in roundings: sums of 32 products at most, and sums of those."""
    return min(n, 32) + n / 32 + 8


# One chunk and its tails; chunks of a piece; pieces; samples that go together; either side of the dimension from which
# the twin takes over.
ONE_CHUNK = [(2, 1, 1), (2, 2, 3), (2, 7, 1), (2, 33, 4), (2, 200, 5), (2, 131, 9), (2, 1000, 20), (2, 5000, 2)]
MORE = [(2, 300, 37), (2, 800, 95), (1, 20_000, 3), (4000, 7, 2), (1, 40, BY_KERNEL), (1, 40, BY_KERNEL + 1)]


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("count", "n", "d"), ONE_CHUNK + MORE)
def test_a_sample_far_from_zero_has_the_moments_that_it_has(count, n, d, dtype):
    rng = np.random.default_rng(n)
    far = 1e5 if dtype == np.float32 else 1e12  # the mean's rounding is as large as the spread
    samples = (rng.normal(size=(count, n, d)) + 10 * rng.normal(size=d) + far).astype(dtype)
    _, means, scatters = as_numpy(moments(samples))
    assert means.dtype == scatters.dtype == dtype
    assert np.array_equal(scatters, scatters.mT)
    some = np.unique([d // 2, d - 1])  # entries have nothing to do with one another
    u = float(np.finfo(dtype).eps) / 2
    for item in {0, count // 3, count - 1}:
        true = exact(samples[item][:, some])
        centre = true.sum(axis=0) / n
        centred = true - centre
        assert_close(means[item][some], centre, 4 * u)
        size = np.sqrt(np.diag(centred.T @ centred).astype(float)) + (n == 1)
        scatter = scatters[item][np.ix_(some, some)]
        assert_close(scatter, centred.T @ centred, sums(n) * u, 1 / size, terms=np.outer(size, size))


@pytest.mark.parametrize("places", [[0], [10_000], [12_345], [19_999], [0, 10_000, 19_999]])
@pytest.mark.parametrize("spread", [1, 0])  # sums of equal numbers are rounded to one side
def test_where_rows_stand_that_lie_far_from_all_others_is_all_one(places, spread):
    rows = np.random.default_rng(0).uniform(-spread, spread, (20_000, 3)).astype(np.float32)
    rows[places] = [1e4, -2e3, 5e4]
    mean, scatter = map(np.asarray, statistics.sample_moments(rows)[1:])
    true = rows.astype(np.float64)
    centred = true - true.mean(axis=0)
    u = float(np.finfo(np.float32).eps) / 2
    # One such row has no part in how the others are rounded; three may be where all steps begin.
    largest = np.mean(np.abs(true), axis=0) if len(places) == 1 else np.max(np.abs(true), axis=0)
    assert np.max(np.abs(mean - true.mean(axis=0)) / largest) < sums(len(rows)) * u
    size = np.sqrt(np.diag(centred.T @ centred))
    assert np.max(np.abs(scatter - centred.T @ centred) / np.outer(size, size)) < sums(len(rows)) * u


def test_what_a_kernel_has_no_memory_to_work_in_is_said():
    code = """
        import resource
        import jax, numpy as np
        from gdiff import linalg
        x, s = jax.device_put((np.ones((1, 3000)), np.eye(3000)[None]))
        alone = jax.jit(linalg.forms_alone).lower(x, x, s).compile()
        resource.setrlimit(resource.RLIMIT_AS, (int(open("/proc/self/statm").read().split()[0]) * 4096, -1))
        try:
            jax.block_until_ready(alone(x, x, s))
        except jax.errors.JaxRuntimeError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert "RESOURCE_EXHAUSTED: gdiff: out of memory" in done.stdout, done.stderr


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 250, 321, 499])
@pytest.mark.parametrize("column", [0, 3])
def test_the_moments_of_what_is_not_finite_are_not_finite(bad, row, column):
    rows = np.ones((3, 500, 4))
    rows[1, row, column] = bad
    _, mean, scatter = as_numpy(moments(rows))
    assert np.isfinite(mean).all(1).tolist() == [True, False, True]
    assert np.isfinite(scatter).all((1, 2)).tolist() == [True, False, True]


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("convention", ["symmetric", "full"])
@pytest.mark.parametrize(("d", "count"), [(1, 3), (2, 3), (5, 3), (17, 3), (10, 300), (37, 3)])  # 5 MB: past the caches
def test_products_of_pairs_are_those_of_their_indices(d, count, convention, dtype):
    rng = np.random.default_rng(d)
    x, y = ((m + m.mT).astype(dtype) for m in rng.normal(size=(2, count, d + 1, d + 1)))

    def formed(x, y):
        return blocks.PairProducts(x, y, convention, joint=True).array()

    @jax.jit
    def squared(x, scale):
        return blocks.PairProducts(x, None, convention, joint=True, scale=scale).array()

    i, j = lower_indices(d) if convention == "symmetric" else np.divmod(np.arange(d * d), d)[::-1]
    often = np.where((i == j) | (convention == "full"), 1, 2)
    i, j, often = np.r_[np.arange(d), i], np.r_[np.full(d, d), j], np.r_[np.ones(d), often]
    found = np.asarray(jax.vmap(formed)(x, y))
    for item in {0, count // 3, count - 1}:
        got = found[item]
        X, Y = x[item].astype(np.float64), y[item].astype(np.float64)
        terms = [(X, i, i, Y, j, j), (X, j, j, Y, i, i), (X, i, j, Y, j, i), (X, j, i, Y, i, j)]
        products = [a[np.ix_(r, c)] * b[np.ix_(s, t)] for a, r, c, b, s, t in terms]
        want, size = (np.outer(often, often) / 2 * sum(p) for p in (products, np.abs(products)))
        assert got.dtype == dtype
        assert np.max(np.abs(got - want) / size) < 4 * np.finfo(dtype).eps
        assert np.array_equal(got, got.T)
        square = np.asarray(squared(x[item], np.asarray(0.3, dtype)))
        want = (
            np.float64(np.asarray(0.3, dtype))
            * np.outer(often, often)
            * sum(X[np.ix_(r, c)] * X[np.ix_(s, t)] for r, c, s, t in ((i, i, j, j), (i, j, j, i)))
        )
        assert np.max(np.abs(square - want)) < 4 * np.finfo(dtype).eps * np.max(np.abs(want))
        assert np.array_equal(square, square.T)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 5, 17])
def test_the_score_of_statistics_is_that_of_the_sample(d, dtype):
    rng = np.random.default_rng(d)
    count, n = 3, 2 * d + 1
    covs = np.stack([covariance(rng, d, 100.0, dtype) for _ in range(count)])
    scale = np.stack([units(cov) for cov in covs])
    rows = (rng.normal(size=(count, n, d)) * scale[:, None]).astype(dtype)
    mean = (rng.normal(size=(count, d)) * scale).astype(dtype)
    ns, centre, scatter = moments(rows)
    got = as_numpy(linalg.score(centre, jnp.asarray(mean), jnp.asarray(covs), ns, scatter))
    for k in range(count):
        true, limit = Gaussian(rows[k], mean[k], covs[k]), 2 * bound(covs[k], dtype)
        pair = np.outer(scale[k], scale[k])
        assert_close(got.gradient[k], true.full_gradient, limit, pair, terms=true.terms.full_gradient)
        assert np.array_equal(got.gradient[k], got.gradient[k].T)
        p, centred = inverse(covs[k]), exact(rows[k]) - exact(rows[k]).sum(0) / n
        trace = np.trace(p @ centred.T @ centred)
        assert_close(got.trace[k], trace, limit, terms=np.sum(np.abs(p) * (np.abs(centred).T @ np.abs(centred))))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 3, 8, 21, 35, 47, linalg.SMALL, linalg.SMALL + 1])
def test_a_congruence_is_the_product_of_three(d, dtype):
    rng = np.random.default_rng(d)
    a, b = ((m + m.mT).astype(dtype) for m in rng.normal(size=(2, 5, d, d)))
    got = np.asarray(linalg.congruence(jnp.asarray(a), jnp.asarray(b)))
    want = a.astype(np.float64) @ b.astype(np.float64) @ a.astype(np.float64)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64) @ np.abs(a).astype(np.float64)
    assert got.dtype == dtype
    assert np.max(np.abs(got - want) / size) < 2 * d * np.finfo(dtype).eps
    assert np.array_equal(got, got.mT)


@pytest.mark.parametrize("d", [linalg.SMALL, linalg.SMALL + 1])
def test_the_score_of_statistics_is_the_same_where_another_way_begins(d):
    rng = np.random.default_rng(d)
    a, rows = rng.normal(size=(d, d)), rng.normal(size=(3 * d, d))
    cov, mean = a @ a.T / d + np.eye(d), rng.normal(size=d)
    n, centre, scatter = statistics.sample_moments(jnp.asarray(rows))
    got = linalg.score(centre, jnp.asarray(mean), jnp.asarray(cov), n, scatter)
    p, total = np.linalg.inv(cov), (rows - mean).T @ (rows - mean)
    np.testing.assert_allclose(got.gradient, (p @ total @ p - len(rows) * p) / 2, rtol=0, atol=1e-10)
    np.testing.assert_allclose(got.trace, np.trace(p @ np.cov(rows.T, bias=True)) * len(rows), rtol=1e-12)


# Where the twins take over.

X, MEAN, COV = np.ones((4, 3)), np.zeros((4, 3)), np.tile(4 * np.eye(3), (4, 1, 1))


def forms(x, mean, cov):
    return linalg.forms(x, mean, cov)


def custom_calls(text: str) -> bool:
    return "custom_call @gdiff_forms" in text


def test_a_program_calls_the_kernels_and_an_exported_one_their_twins():
    assert custom_calls(jax.jit(forms).lower(X, MEAN, COV).as_text())
    exported = export.export(jax.jit(forms))(X, MEAN, COV)
    assert not custom_calls(exported.mlir_module())
    twins, ours = exported.call(X, MEAN, COV), jax.jit(forms)(X, MEAN, COV)
    jax.tree.map(np.testing.assert_array_almost_equal_nulp, tuple(twins), tuple(ours))


def test_arrays_on_a_mesh_are_of_the_twins():
    mesh = Mesh(np.array(jax.devices()[:1]), "i", axis_types=(jax.sharding.AxisType.Explicit,))
    with jax.set_mesh(mesh):
        placed = jax.device_put((X, MEAN, COV), NamedSharding(mesh, PartitionSpec("i")))
        text = jax.jit(forms).lower(*placed).as_text()
    assert not custom_calls(text)


def test_work_on_several_devices_is_divided():
    code = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
from gdiff import multivariate_normal
mesh = jax.make_mesh((4,), "i", axis_types=(jax.sharding.AxisType.Auto,))
where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i"))
x, cov = np.ones((8, 9)), np.tile(4 * np.eye(9), (8, 1, 1))
f = jax.jit(jax.vmap(jax.grad(multivariate_normal.logpdf, 2)))
placed = jax.device_put((x, 0 * x, cov), where)
got = f(*placed)
assert "all-gather" not in f.lower(*placed).compile().as_text()
assert got.sharding.is_equivalent_to(where, got.ndim), got.sharding
np.testing.assert_allclose(got, jax.device_get(f(x, 0 * x, cov)), rtol=1e-14, atol=1e-16)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_without_a_library_the_twins_compute_the_same(tmp_path):
    """In another process, since this one has loaded it."""
    code = f"""
import jax, numpy as np
from pathlib import Path
jax.config.update("jax_enable_x64", True)
from gdiff import native, linalg, statistics, blocks
native.LIBRARY = Path({str(tmp_path / "none.so")!r})
assert native.library() is None
rng = np.random.default_rng(0)
a = rng.normal(size=(20, 7, 7))
s, x = a @ a.mT + np.eye(7), rng.normal(size=(20, 7))
out = [*linalg.forms(x, 0 * x, s), *linalg.forms_alone(x, 0 * x, s)[1:], linalg.congruence(s, s),
       *linalg.score(x, 0 * x, s)[:-1], *linalg.score(x, 0 * x, s, s[:, 0, 0], s), *statistics.sample_moments(x),
       blocks.PairProducts(s[0], s[1], "symmetric").array(),
       blocks.PairProducts(s[0], None, "symmetric", scale=x[0, 0]).array()]
np.savez({str(tmp_path / "out.npz")!r}, *out)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20, 7, 7))
    s, x = a @ a.mT + np.eye(7), rng.normal(size=(20, 7))
    s, x = jnp.asarray(s), jnp.asarray(x)
    ours = [*linalg.forms(x, 0 * x, s), *linalg.forms_alone(x, 0 * x, s)[1:], linalg.congruence(s, s)]
    ours += [*linalg.score(x, 0 * x, s)[:-1], *linalg.score(x, 0 * x, s, s[:, 0, 0], s), *statistics.sample_moments(x)]
    ours += [blocks.PairProducts(s[0], s[1], "symmetric").array()]
    ours += [blocks.PairProducts(s[0], None, "symmetric", scale=x[0, 0]).array()]
    with np.load(Path(tmp_path) / "out.npz") as twins:
        assert len(twins.files) == len(ours)
        for name, mine in zip(twins.files, ours, strict=True):
            np.testing.assert_allclose(twins[name], mine, rtol=1e-10, atol=1e-12, err_msg=name)


def test_batches_side_by_side_do_not_wait_for_each_other_on_two_threads():
    """Two batched calls of LAPACK in one program of jaxlib 0.10 may do so for ever."""
    code = """
import os
os.environ["PJRT_NPROC"] = "2"
import jax, numpy as np
from gdiff import linalg
x, cov = np.ones((3000, 20), np.float32), np.tile(np.eye(20, dtype=np.float32), (3000, 1, 1))
f = jax.jit(lambda x, s: [linalg.forms(x, x, (k + 1) * s).log_det.sum() for k in range(6)])
for _ in range(20):
    jax.block_until_ready(f(x, cov))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
