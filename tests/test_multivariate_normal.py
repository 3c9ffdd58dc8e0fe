"""The log-density: values, shapes, derivatives in every nesting, and what becomes of invalid arguments."""

import itertools
import re
from functools import cache

import chex
import jax
import jax.numpy as jnp
import jax.scipy.stats
import numpy as np
import pytest
import scipy.stats
from jax import export

from gdiff import SufficientStatistics, linalg, multivariate_normal
from gdiff.density_rules import PARAMETERIZED
from gdiff.multivariate_normal import log_likelihood, logpdf
from gdiff.tolerance import agree, tolerance
from tests.oracle import Gaussian, assert_close, bound, covariance, exact, inverse, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")

COV = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, -0.5], [0.25, -0.5, 3.0]])
FACTOR = np.linalg.cholesky(COV)
PRECISION = np.asarray(np.linalg.inv(COV) + np.linalg.inv(COV).T) / 2
MEAN, X = np.array([0.1, -0.2, 0.3]), np.array([1.0, 0.5, -0.5])
MATRICES = {"cov": COV, "cholesky": FACTOR, "precision": PRECISION}


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


# Values and shapes.


@pytest.mark.parametrize("name", MATRICES)
def test_logpdf_is_that_of_jax_and_scipy(name):
    x = np.random.default_rng(0).normal(size=(4, 3))
    got = jax.jit(lambda x, m, s: logpdf(x, m, **{name: s}))(x, MEAN, MATRICES[name])
    limit = tolerance(np.float64, conditioning=3 * np.linalg.cond(COV))
    assert_close(got, scipy.stats.multivariate_normal.logpdf(x, MEAN, COV), limit)
    assert_close(got, np.asarray(jax.scipy.stats.multivariate_normal.logpdf(x, MEAN, COV)), limit)
    assert_close(got, [Gaussian(row[None], MEAN, COV).log_likelihood for row in x], limit)


def test_broadcasting_is_that_of_jax_scipy():
    rng = np.random.default_rng(1)
    covs = np.stack([covariance(rng, 3, 10.0, scales=0.5) for _ in range(2)])
    cases = [
        (rng.normal(size=(4, 1, 3)), rng.normal(size=(2, 3)), covs),  # a mixture
        (rng.normal(size=3), rng.normal(size=3), covs),  # a batch of covariances with one mean
        (rng.normal(size=(2, 3)), np.zeros(3), covs),
        (rng.normal(size=(4, 2, 3)), np.zeros((4, 1, 3)), covs[0]),
        (rng.normal(size=(2, 3)), np.zeros(3), np.asarray(2.5)),  # isotropic
        (np.asarray(1.25), np.asarray(0.25), np.asarray(2.0)),  # univariate
        (np.linspace(-1, 1, 5), np.asarray(0.25), np.linspace(1, 2, 5)),
    ]
    limit = tolerance(np.float64, conditioning=3 * max(map(np.linalg.cond, covs)))
    for x, mean, cov in cases:
        with jax.numpy_dtype_promotion("standard"):
            shape = jax.eval_shape(jax.scipy.stats.multivariate_normal.logpdf, x, mean, cov).shape
        signature = "(d),(d),(d,d)->()" if cov.ndim >= 2 else "(d),(d),()->()" if mean.ndim else "(),(),()->()"
        want = np.vectorize(lambda *a: scipy.stats.multivariate_normal.logpdf(*a), signature=signature)(x, mean, cov)
        got = logpdf(x, mean, cov)
        assert got.shape == want.shape == shape
        assert_close(got, want, limit, what=f"{x.shape}, {mean.shape}, {cov.shape}")


@pytest.mark.parametrize(("name", "spread"), [("cov", 4.0), ("cholesky", 2.0), ("precision", 0.25)])
def test_a_scalar_spread_is_isotropic_or_univariate(name, spread):
    one = scipy.stats.norm.logpdf(1.25, 0.25, 2.0)
    limit = tolerance(np.float64, conditioning=3)
    assert_close(logpdf(1.25, 0.25, **{name: spread}), one, limit)
    assert_close(log_likelihood(np.array([1.25, 1.25]), 0.25, **{name: spread}), 2 * one, limit)
    x, mean = np.full((2, 3), 1.25), np.full(3, 0.25)
    assert_close(logpdf(x, mean, **{name: spread}), np.full(2, 3 * one), limit)
    assert_close(log_likelihood(x, mean, **{name: spread}), 6 * one, limit)
    assert_close(log_likelihood(SufficientStatistics.of(x), mean, **{name: spread}), 6 * one, limit)
    gradient = jax.grad(lambda s: logpdf(1.25, 0.25, **{name: s}))(spread)
    plain = {"cov": lambda s: s, "cholesky": lambda s: s * s, "precision": lambda s: 1 / s}[name]
    want = jax.grad(lambda s: -(1 / plain(s) + jnp.log(plain(s))) / 2)(spread)
    assert_close(gradient, np.asarray(want), tolerance(np.float64, conditioning=3))


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("n", [0, 2, 5])
def test_log_likelihood_is_the_sum_over_rows_and_from_statistics(name, n):
    x = np.random.default_rng(2).normal(size=(n, 3))
    matrix = MATRICES[name]
    got = jax.jit(
        lambda x, m, s: (
            log_likelihood(x, m, **{name: s}),
            log_likelihood(SufficientStatistics.of(x), m, **{name: s}),
        )
    )(x, MEAN, matrix)
    for value in got:
        assert_close(value, Gaussian(x, MEAN, COV).log_likelihood, bound(COV) * max(n, 1))


def test_one_observation_and_a_sample_of_one_are_alike():
    assert float(log_likelihood(X, MEAN, COV)) == float(log_likelihood(X[None], MEAN, COV))


def test_no_dimensions_have_density_one():
    nothing, empty = np.zeros(0), np.zeros((0, 0))
    assert float(logpdf(nothing, nothing, empty)) == 0
    assert logpdf(np.zeros((4, 0)), nothing, empty).tolist() == [0.0] * 4
    assert float(logpdf(nothing, nothing, cholesky=empty)) == 0
    assert float(log_likelihood(np.zeros((4, 0)), nothing, empty)) == 0
    assert jax.grad(logpdf, 2)(nothing, nothing, empty).shape == (0, 0)


def test_no_observations_have_likelihood_one_and_no_gradient():
    none = np.zeros((0, 3))
    value, gradient = jax.value_and_grad(log_likelihood, (1, 2))(none, MEAN, COV)
    assert float(value) == 0
    assert not any(np.any(g) for g in gradient)


@pytest.mark.parametrize("power", [-150, -50, 0, 50, 150])
def test_scales_from_tiny_to_huge(power):
    """cov scaled by c and x - mean by sqrt(c): the value moves by -d/2 log c, gradients by 1/sqrt(c) and 1/c."""
    c = 2.0 ** (2 * round(power / 2 / np.log10(2)))  # sqrt(c) is exact
    evaluate = one_gradient()
    value, (mean, cov) = evaluate(np.sqrt(c) * X, np.sqrt(c) * MEAN, c * COV)
    plain, (plain_mean, plain_cov) = evaluate(X, MEAN, COV)
    limit = bound(COV)
    assert_close(value, float(plain) - 3 * np.log(c) / 2, limit)
    assert_close(np.asarray(mean) * np.sqrt(c), np.asarray(plain_mean), limit)
    assert_close(np.asarray(cov) * c, np.asarray(plain_cov), limit)


@cache
def one_gradient():
    return jax.jit(jax.value_and_grad(logpdf, (1, 2)))


def test_float32_stays_float32():
    arguments = [a.astype(np.float32) for a in (X, MEAN, COV)]
    value, gradient = one_gradient()(*arguments)
    limit = bound(COV, np.float32)
    want = Gaussian(X[None].astype(np.float32), *arguments[1:])
    assert {value.dtype, *(g.dtype for g in gradient)} == {np.dtype(np.float32)}
    assert_close(value, want.log_likelihood, limit)
    assert_close(gradient[0], want.mean_gradient, limit)
    assert_close(gradient[1], want.full_gradient, limit)


def test_integers_and_mixed_dtypes_are_promoted():
    with jax.numpy_dtype_promotion("standard"):
        x, mean, eye = np.array([1, 2]), np.array([0, 1]), np.eye(2, dtype=int)
        assert_close(logpdf(x, mean, eye), np.asarray(logpdf(x + 0.0, mean + 0.0, eye + 0.0)), tolerance(np.float64))
        assert_close(logpdf([1, 2], [0, 1], [[1, 0], [0, 1]]), np.asarray(logpdf(x, mean, eye)), tolerance(np.float64))
        assert logpdf(x.astype(np.float32), mean, eye).dtype == np.float32
        assert logpdf(x.astype(np.float32), mean + 0.0, eye).dtype == np.float64


# Mistakes that shapes and types show.


@pytest.mark.parametrize(
    ("x", "mean", "cov", "message"),
    [
        (np.ones(()), np.zeros(3), np.eye(3), r"x: got shape \(\), wanted \(\.\.\., 3\)"),
        (np.ones(1), np.zeros(3), np.eye(3), r"x: got shape \(1,\), wanted \(\.\.\., 3\)"),
        (np.ones((3, 1)), np.zeros(3), np.eye(3), r"x: got shape \(3, 1\), wanted \(\.\.\., 3\)"),
        (np.ones(3), 0.0, np.eye(3), r"mean: got a scalar .*\(3, 3\).*jnp\.full\(3, mean\)"),
        (np.ones(3), np.zeros(1), np.eye(3), r"mean: got shape \(1,\), wanted \(\.\.\., 3\)"),
        (np.ones(3), np.zeros(3), np.ones(3), r"cov: got shape \(3,\)"),
        (np.ones(3), np.zeros(3), np.ones((3, 2)), r"cov: got shape \(3, 2\)"),
        (np.ones((2, 3)), np.zeros(3), np.stack([np.eye(3)] * 4), r"batch shapes .*\(2,\).*\(4,\).*broadcast"),
        (np.ones((3, 1)), np.zeros(3), 1.0, r"x: got shape \(3, 1\)"),
    ],
)
def test_wrong_shapes_say_what_was_got_and_wanted(x, mean, cov, message):
    for call in (logpdf, jax.jit(logpdf), jax.grad(logpdf, 1)):
        with pytest.raises(ValueError, match=message):
            call(x, mean, cov)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: logpdf(X, MEAN), ValueError, "got none, wanted exactly one of cov, cholesky and precision"),
        (lambda: logpdf(X, MEAN, COV, cholesky=FACTOR), ValueError, "got cov and cholesky"),
        (lambda: logpdf(X, MEAN, cholesky=FACTOR, precision=COV), ValueError, "got cholesky and precision"),
        (lambda: log_likelihood(X, MEAN), ValueError, "exactly one"),
        (lambda: logpdf(X, MEAN, COV, allow_singular=True), NotImplementedError, "allow_singular"),
        (lambda: log_likelihood(np.ones((2, 2, 3)), MEAN, COV), ValueError, r"data: got shape \(2, 2, 3\).*vmap"),
        (lambda: log_likelihood(X, np.ones((2, 3)), COV), ValueError, r"mean of shape \(2, 3\).*vmap"),
        (lambda: log_likelihood(X, MEAN, np.stack([COV, COV])), ValueError, r"cov of shape \(2, 3, 3\).*vmap"),
        (lambda: log_likelihood(np.ones((2, 2)), MEAN, COV), ValueError, r"data: got shape \(2, 2\)"),
        (lambda: log_likelihood(np.ones((2, 1)), 0.0, 1.0), ValueError, r"data: got shape \(2, 1\), wanted \(n,\)"),
        (lambda: log_likelihood(SufficientStatistics.of(np.ones((2, 2))), MEAN, COV), ValueError, r"\(2,\)"),
        (lambda: log_likelihood(SufficientStatistics.of(np.ones((2, 1))), 0.0, 1.0), ValueError, r"mean\[None\]"),
    ],
)
def test_misuse_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Derivatives.


def textbook(name, x, mean, matrix):
    """The sum over rows as anybody writes it, through the symmetric or the triangular part of the matrix."""
    lower = jnp.tril(matrix)
    s = lower @ lower.T if name == "cholesky" else (matrix + matrix.T) / 2
    s = jnp.linalg.inv(s) if name == "precision" else s
    r = x - mean[None, :]
    quadratic = jnp.sum(r * jnp.linalg.solve(s, r.T).T)
    return -(quadratic + len(x) * (jnp.linalg.slogdet(s)[1] + len(mean) * jnp.log(2 * jnp.pi))) / 2


SUMS = {
    "logpdf": lambda name, x, mean, matrix: jnp.sum(logpdf(x, mean, **{name: matrix})),
    "log_likelihood": lambda name, x, mean, matrix: log_likelihood(x, mean, **{name: matrix}),
}


def on_a_vector(f, name, n, d):
    """f of x, mean and matrix, as a function of all their entries."""

    def of_vector(theta):
        x, mean, matrix = jnp.split(theta, [n * d, n * d + d])
        return f(name, x.reshape(n, d), mean, matrix.reshape(d, d))

    return of_vector


def gradients_and_hessians(f, theta):
    """The gradient and the Hessian, in many nestings."""
    gradient, eye = jax.grad(f), jnp.eye(len(theta))
    return {
        "grad": gradient(theta),
        "jacfwd": jax.jacfwd(f)(theta),
        "vmap of grad": jax.vmap(gradient)(jnp.stack([theta, theta]))[1],
    }, {
        "hessian": jax.hessian(f)(theta),
        "jacrev of jacrev": jax.jacrev(jax.jacrev(f))(theta),
        "jacrev of jacfwd": jax.jacrev(jax.jacfwd(f))(theta),
        "jvp of grad": jax.vmap(lambda v: jax.jvp(gradient, (theta,), (v,))[1])(eye),
    }


def assert_nestings_agree(gradients, hessians, name, entry, theta, n, d):
    plain = on_a_vector(textbook, name, n, d)
    gradient, hessian = jax.jit(lambda theta: (jax.grad(plain)(theta), jax.hessian(plain)(theta)))(theta)
    limit = bound(COV[:d, :d]) * np.linalg.cond(COV[:d, :d])  # the textbook inverts
    for nesting, got in gradients.items():
        assert_close(got, np.asarray(gradient), limit, what=f"{entry}, {name}: {nesting}")
    for nesting, got in hessians.items():
        assert_close(got, np.asarray(hessian), limit, what=f"{entry}, {name}: {nesting}")


def point(name, n, d):
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(size=(n + 1) * d), MATRICES[name][:d, :d].reshape(-1)])


@pytest.mark.parametrize(
    ("entry", "name", "n"),
    [
        ("logpdf", "cov", 1),
        ("logpdf", "cholesky", 1),
        ("logpdf", "precision", 1),
        ("log_likelihood", "cov", 3),
    ],
)
def test_every_nesting_agrees_with_autodiff_of_the_textbook(entry, name, n):
    f, theta = on_a_vector(SUMS[entry], name, n, 2), point(name, n, 2)
    gradients, hessians = jax.jit(lambda theta: gradients_and_hessians(f, theta))(theta)
    assert_nestings_agree(gradients, hessians, name, entry, theta, n, 2)


def test_scan_remat_jit_and_vmap_inside_and_outside_agree():
    f, theta = on_a_vector(SUMS["log_likelihood"], "cov", 2, 2), point("cov", 2, 2)

    def scanned(theta):
        return jax.lax.scan(lambda total, _: (total + f(theta) / 2, None), jnp.zeros(()), None, length=2)[0]

    gradients, hessians = jax.jit(
        lambda theta: (
            {
                "grad of scan": jax.grad(scanned)(theta),
                "grad of remat": jax.grad(jax.checkpoint(f))(theta),
                "grad of jit": jax.grad(jax.jit(f))(theta),
            },
            {
                "hessian of scan": jax.hessian(scanned)(theta),
                "hessian of remat": jax.hessian(jax.checkpoint(f))(theta),
                "jacfwd of jacfwd": jax.jacfwd(jax.jacfwd(f))(theta),
                "vmap of hessian": jax.vmap(jax.hessian(f))(jnp.stack([theta, theta]))[1],
            },
        )
    )(theta)
    assert_nestings_agree(gradients, hessians, "cov", "log_likelihood", theta, 2, 2)


def test_third_derivatives_are_those_of_the_textbook():
    theta = np.concatenate([X[:2], MEAN[:2], COV[:2, :2].reshape(-1)])
    direction = np.linspace(-1, 1, len(theta))

    def thrice(f):
        def along(g):
            return lambda theta: jax.jvp(g, (theta,), (jnp.asarray(direction),))[1]

        return jax.jit(jax.grad(along(along(on_a_vector(f, "cov", 1, 2)))))(theta)

    got, want = thrice(SUMS["logpdf"]), thrice(textbook)
    assert_close(got, np.asarray(want), bound(COV) * np.linalg.cond(COV))


def test_derivatives_run_eagerly_too():
    want = Gaussian(X[None], MEAN, COV)
    for f in (logpdf, log_likelihood):
        x, mean, cov = jax.grad(f, (0, 1, 2))(X, MEAN, COV)
        assert_close(mean, want.mean_gradient, bound(COV))
        assert_close(x, -want.mean_gradient, bound(COV))
        assert_close(cov, want.full_gradient, bound(COV))
    hessian = jax.jacfwd(jax.jacrev(logpdf, 1), 1)(X, MEAN, COV)
    assert_close(hessian, want.mean_hessian, bound(COV))


def test_from_statistics_derivatives_are_those_of_the_rows():
    data = np.random.default_rng(4).normal(size=(5, 2))
    arguments = MEAN[:2], COV[:2, :2]
    second = jax.jit(
        lambda data, *a: (jax.grad(log_likelihood, (1, 2))(data, *a), jax.hessian(log_likelihood, (1, 2))(data, *a))
    )
    from_rows, from_statistics = second(data, *arguments), second(SufficientStatistics.of(data), *arguments)
    for got, want in zip(jax.tree.leaves(from_statistics), jax.tree.leaves(from_rows), strict=True):
        assert_close(got, np.asarray(want), bound(COV) * len(data))


@pytest.mark.parametrize(("entry", "n"), [("logpdf", 2), ("log_likelihood", 4)])
def test_gradients_are_exactly_symmetric_and_exactly_lower_triangular(entry, n):
    rng = np.random.default_rng(5)
    gradients = jax.jit(
        lambda x, mean, *matrices: [
            jax.grad(SUMS[entry], 3)(name, x, mean, matrix) for name, matrix in zip(MATRICES, matrices, strict=True)
        ]
    )
    for _ in range(20):
        cov = covariance(rng, 3, 1e4)
        p = np.linalg.inv(cov)
        x, mean, factor = rng.normal(size=(n, 3)), rng.normal(size=3), np.linalg.cholesky(cov)
        of_cov, of_factor, of_precision = map(np.asarray, gradients(x, mean, cov, factor, (p + p.T) / 2))
        assert np.array_equal(of_cov, of_cov.T)
        assert np.array_equal(of_precision, of_precision.T)
        assert np.array_equal(of_factor, np.tril(of_factor))


def test_the_precision_gradient_is_half_of_what_is_left_over():
    got = jax.jit(jax.grad(SUMS["log_likelihood"], 3), static_argnums=0)("precision", X[None], MEAN, PRECISION)
    r = exact(X) - exact(MEAN)
    want = (inverse(PRECISION) - r[:, None] * r[None, :]) / 2
    assert_close(got, want, bound(COV), terms=np.abs(inverse(PRECISION)) + np.abs(r[:, None] * r[None, :]))


def test_repeated_calls_of_one_shape_trace_once(monkeypatch):
    traced = chex.assert_max_traces(PARAMETERIZED["cov"], n=1)
    monkeypatch.setitem(PARAMETERIZED, "cov", traced)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(11, 3))  # a shape that no other test uses
    for _ in range(3):
        logpdf(x, rng.normal(size=3), COV)


def test_a_covariance_for_each_observation_traces_once_for_a_shape(monkeypatch):
    traced = chex.assert_max_traces(multivariate_normal.of_each, n=1)
    monkeypatch.setattr(multivariate_normal, "of_each", traced)
    rng = np.random.default_rng(6)
    for _ in range(3):
        logpdf(rng.normal(size=(13, 3)), rng.normal(size=3), np.stack([COV] * 13))  # a shape that no other test uses


def products_and_solves(f, *arguments):
    """How many factorisations, solves and products that give a d x d matrix the jaxpr of f has, outside of `cond`."""
    names = ("cholesky", "triangular_solve", "dot_general", "gdiff_inverse", "gdiff_forms", "gdiff_score")
    found = dict.fromkeys(names, 0)

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            name, shape = equation.primitive.name, equation.outvars[0].aval.shape
            if name in names and len(shape) == 2 and min(shape) >= LARGE:
                found[name] += 1
            if name == "cond":  # what probes ask for
                continue
            for parameter in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")):
                inside = getattr(parameter, "jaxpr", parameter)
                if hasattr(inside, "eqns"):
                    walk(inside)

    walk(jax.make_jaxpr(f)(*arguments).jaxpr)
    return {name: count for name, count in found.items() if count}


def factorisations(f, *arguments):
    """What factorises in the compiled program."""
    text = jax.jit(f).lower(*arguments).compile().as_text()
    return re.findall(r'custom_call_target="(gdiff_inverse|gdiff_forms|gdiff_score|lapack_dpotrf)', text)


LARGE = 70


def test_values_form_no_inverse_and_gradients_factorise_once():
    x, cov = np.ones(LARGE), np.eye(LARGE)
    rows = np.ones((LARGE + 5, LARGE))
    for f, data in ((logpdf, x), (logpdf, rows[:5]), (log_likelihood, rows[:5])):
        assert products_and_solves(f, data, x, cov) == {"cholesky": 1}, f
    value = products_and_solves(log_likelihood, rows, x, cov)
    assert value == {"cholesky": 1, "triangular_solve": 2}  # L^-1 C L^-T
    for f, data in ((logpdf, x), (log_likelihood, rows[:5]), (log_likelihood, rows)):
        assert len(factorisations(jax.value_and_grad(f, (1, 2)), data, x, cov)) == 1, f


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [linalg.UNROLLED, linalg.UNROLLED + 1, linalg.PROBED + 2])
def test_every_kernel_lowers_for_accelerators(d, dtype):
    x, cov = np.ones(d, dtype), np.eye(d, dtype=dtype)

    def all_orders(x, cov):
        def along(t):
            return logpdf(x, x, cov + t * jnp.eye(d, dtype=dtype))

        return logpdf(x, x, cov), jax.grad(logpdf, (1, 2))(x, x, cov), jax.hessian(along)(jnp.zeros((), dtype))

    assert export.export(jax.jit(all_orders), platforms=["cuda", "tpu"])(x, cov).platforms == ("cuda", "tpu")


@pytest.mark.parametrize("d", [2, 3, 6, 8])
def test_a_covariance_for_each_observation_is_that_of_one_by_one(d):
    rng = np.random.default_rng(d)
    covs = np.stack([covariance(rng, d, 1e4) for _ in range(5)])
    x, mean = rng.normal(size=(5, d)), rng.normal(size=d)
    value, (gx, gm, gs) = jax.jit(jax.vmap(jax.value_and_grad(logpdf, (0, 1, 2)), (0, None, 0)))(x, mean, covs)
    summed = jax.jit(jax.grad(lambda *a: jnp.sum(logpdf(*a)), (0, 1, 2)))(x, mean, covs)
    for i, cov in enumerate(covs):
        want, limit, scale = Gaussian(x[i][None], mean, cov), bound(cov), units(cov)
        size = want.terms
        assert_close(value[i], want.log_likelihood, limit, terms=size.log_likelihood)
        for mean_gradient, cov_gradient in ((gm[i], gs[i]), (-gx[i], gs[i]), (-summed[0][i], summed[2][i])):
            assert_close(mean_gradient, want.mean_gradient, limit, scale)
            assert_close(cov_gradient, want.full_gradient, limit, np.outer(scale, scale), terms=size.full_gradient)
            assert np.array_equal(cov_gradient, cov_gradient.T)
    np.testing.assert_allclose(summed[1], np.asarray(gm).sum(0), rtol=1e-9)


# Values that are not valid.

Y = X  # the observation, in the table's words
INVALID = {
    "cov": {
        "not symmetric": {"cov": changed(COV, (0, 1), 0.9)},
        "not symmetric at scale 1e-8": {"cov": 1e-8 * changed(COV, (0, 1), 0.9)},
        "junk above": {"cov": np.tril(COV) + np.triu(np.full((3, 3), 7.0), 1)},
        "ones": {"cov": np.ones((3, 3))},
        "zero": {"cov": np.zeros((3, 3))},
        "rank two": {"cov": COV[:, :2] @ COV[:, :2].T},
        "indefinite": {"cov": np.diag([1.0, -1.0, 2.0])},
        "negated": {"cov": -COV},
        "NaN on the diagonal": {"cov": changed(COV, (1, 1), np.nan)},
        "NaN above": {"cov": changed(COV, (0, 2), np.nan)},
        "NaN below": {"cov": changed(COV, (2, 0), np.nan)},
        "infinite on the diagonal": {"cov": changed(COV, (0, 0), np.inf)},
        "infinite off the diagonal": {"cov": changed(changed(COV, (0, 1), np.inf), (1, 0), np.inf)},
        "NaN in y": {"x": changed(Y, 1, np.nan)},
        "infinite y": {"x": changed(Y, 2, -np.inf)},
        "NaN in mean": {"mean": changed(MEAN, 0, np.nan)},
        "infinite mean": {"mean": changed(MEAN, 0, np.inf)},
        "y and mean infinite": {"x": changed(Y, 0, np.inf), "mean": changed(MEAN, 0, np.inf)},
    },
    "cholesky": {
        "junk above": {"cholesky": changed(FACTOR, (0, 2), 0.1)},
        "negative diagonal": {"cholesky": FACTOR * np.array([1.0, -1.0, 1.0])},
        "zero on the diagonal": {"cholesky": changed(FACTOR, (1, 1), 0.0)},
        "transposed": {"cholesky": FACTOR.T},
        "the covariance itself": {"cholesky": COV},
        "NaN below": {"cholesky": changed(FACTOR, (2, 0), np.nan)},
        "NaN above": {"cholesky": changed(FACTOR, (0, 1), np.nan)},
        "infinite": {"cholesky": changed(FACTOR, (2, 2), np.inf)},
        "NaN in y": {"x": changed(Y, 1, np.nan)},
    },
    "precision": {
        "not symmetric": {"precision": changed(PRECISION, (0, 1), 0.9)},
        "ones": {"precision": np.ones((3, 3))},
        "negated": {"precision": -PRECISION},
        "NaN above": {"precision": changed(PRECISION, (0, 1), np.nan)},
        "infinite mean": {"mean": changed(MEAN, 0, np.inf)},
    },
}
TABLE = [(name, case) for name, cases in INVALID.items() for case in cases]


@pytest.mark.parametrize("d", [linalg.UNROLLED, linalg.UNROLLED + 1])
def test_in_a_batch_of_more_dimensions_the_same_items_are_invalid_for_the_same_reason(d):
    cases = [{}, *INVALID["cov"].values(), {}]
    xs, means, covs = np.zeros((len(cases), d)), np.zeros((len(cases), d)), np.tile(np.eye(d), (len(cases), 1, 1))
    for i, case in enumerate(cases):
        xs[i, :3], means[i, :3] = case.get("x", X), case.get("mean", MEAN)
        covs[i, :3, :3] = case.get("cov", COV)
    value, gradients = jax.jit(jax.vmap(jax.value_and_grad(logpdf, (0, 1, 2))))(xs, means, covs)
    good = [i for i, case in enumerate(cases) if not case]
    for a in (value, *gradients):
        assert np.flatnonzero(np.isfinite(a).reshape(len(cases), -1).all(1)).tolist() == good
        assert np.flatnonzero(~np.isnan(a).reshape(len(cases), -1).all(1)).tolist() == good
    single = jax.vmap(logpdf)(*(a[:1].astype(np.float32) for a in (xs, means, covs)))
    assert single.dtype == np.float32
    _, want = jax.jit(jax.vmap(jax.value_and_grad(logpdf, 2)))(xs[:, :3], means[:, :3], covs[:, :3, :3])
    np.testing.assert_allclose(gradients[2][0, :3, :3], want[0], rtol=1e-12)


@cache
def transformed(name):
    """One function of (x, mean, matrix) that answers under each transformation; compiled once for all the table."""

    def one(x, mean, matrix):
        return logpdf(x, mean, **{name: matrix})

    def sample(x, mean, matrix):
        return log_likelihood(jnp.stack([x, x, x, x]), mean, **{name: matrix})

    def summed(*batch):
        return jax.lax.scan(lambda total, a: (total + one(*a), None), 0.0, batch)[0]

    def everything(good, bad):
        both = [jnp.stack(pair) for pair in zip(good, bad, strict=True)]
        all_bad = {
            "value": one(*bad),
            "grad": jax.grad(one, (0, 1, 2))(*bad),
            "jacfwd": jax.jacfwd(one, (0, 1, 2))(*bad),
            "hessian": jax.hessian(one, (0, 1, 2))(*bad),
            "sample": sample(*bad),
            "grad of sample": jax.grad(sample, (0, 1, 2))(*bad),
        }
        second_bad = {
            "vmap": jax.vmap(one)(*both),
            "scan": jax.lax.scan(lambda c, a: (c, one(*a)), 0, tuple(both))[1],
            "grad of vmap": jax.vmap(jax.grad(one, (0, 1, 2)))(*both),
            "grad of scan": jax.grad(summed, (0, 1, 2))(*both),
        }
        return all_bad, second_bad, (one(*good), jax.grad(one, (0, 1, 2))(*good))

    return jax.jit(everything)


@pytest.mark.parametrize(("name", "case"), TABLE, ids=[f"{name}: {case}" for name, case in TABLE])
def test_an_invalid_value_raises_and_is_nan_in_every_derivative(name, case):
    good = {"x": X, "mean": MEAN, name: MATRICES[name]}
    bad = good | INVALID[name][case]
    with pytest.raises(ValueError, match="finite|symmetric|definite|diagonal"):
        logpdf(**bad)
    with pytest.raises(ValueError, match="finite|symmetric|definite|diagonal"):
        log_likelihood(bad["x"], bad["mean"], **{name: bad[name]})
    all_bad, second_bad, (value, gradient) = transformed(name)(tuple(good.values()), tuple(bad.values()))
    for mode, result in all_bad.items():
        for leaf in jax.tree.leaves(result):
            assert np.isnan(leaf).all(), f"{mode}: {leaf}"
    limit = bound(COV)
    for mode in ("vmap", "scan"):
        assert np.isnan(second_bad[mode][1]), mode
        assert_close(second_bad[mode][0], np.asarray(value), limit, what=mode)
    for mode in ("grad of vmap", "grad of scan"):
        for got, want in zip(second_bad[mode], gradient, strict=True):
            assert np.isnan(got[1]).all(), mode
            assert_close(got[0], np.asarray(want), limit, what=mode)


@pytest.mark.parametrize("case", ["negated", "NaN above", "NaN in y", "infinite mean"])
def test_an_eager_gradient_at_an_invalid_value_is_nan(case):
    bad = {"x": X, "mean": MEAN, "cov": COV} | INVALID["cov"][case]
    for g in jax.grad(logpdf, (0, 1, 2))(*bad.values()):
        assert np.isnan(g).all()


@pytest.mark.parametrize("spread", ["cov", "cholesky", "precision"])
def test_an_invalid_scalar_spread_raises_and_is_nan(spread):
    for bad in (-1.0, 0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite|positive"):
            logpdf(X, MEAN, **{spread: bad})
        value, gradient = scalar_spread(spread)(X, MEAN, bad)
        assert np.isnan(value)
        assert all(np.isnan(g).all() for g in gradient)


@cache
def scalar_spread(name):
    return jax.jit(jax.value_and_grad(lambda x, mean, s: logpdf(x, mean, **{name: s}), (0, 1, 2)))


def test_statistics_that_are_not_finite_raise_and_are_nan():
    bad = SufficientStatistics(np.float64(3.0), changed(MEAN, 0, np.nan), COV)
    with pytest.raises(ValueError, match="finite"):
        log_likelihood(bad, MEAN, COV)
    gradient = jax.jit(jax.grad(log_likelihood, (0, 1, 2)))(bad, MEAN, COV)
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(gradient))


ITEMS = 4
BAD_ITEM = {
    "negated": lambda x, mean, s: (x, mean, np.concatenate([s[:1], -s[1:2], s[2:]])),
    "NaN in the matrix": lambda x, mean, s: (x, mean, changed(s, (1, 0, 1), np.nan)),
    "NaN in x": lambda x, mean, s: (changed(x, (1, 0), np.nan), mean, s),
    "infinite x": lambda x, mean, s: (changed(x, (1, 1), np.inf), mean, s),
}


@cache
def behind_a_where(name, keep):
    """Value and derivatives of the kept items' sum: keep is a tuple of booleans; the mean is shared."""

    def total(mean, matrices, x):
        return jnp.sum(jnp.where(np.array(keep), logpdf(x, mean, **{name: matrices}), 0))

    return jax.jit(
        lambda *a: {
            "value": total(*a),
            "gradient": jax.grad(total, (0, 1, 2))(*a),
            "forward": jax.jacfwd(total)(*a),
            "hessian": jax.hessian(total)(*a),
            "reverse over reverse": jax.jacrev(jax.jacrev(total))(*a),
            "reverse over forward": jax.jacrev(jax.jacfwd(total))(*a),
            "hessian in the matrices": jax.hessian(total, 1)(*a),
        }
    )


@pytest.mark.parametrize("name", ["cov", "cholesky"])
@pytest.mark.parametrize("case", BAD_ITEM)
def test_a_bad_item_behind_a_where_leaves_the_others_as_if_it_were_not_there(name, case):
    rng = np.random.default_rng(7)
    matrices = np.stack([covariance(rng, 2, 10.0, scales=0.5) for _ in range(ITEMS)])
    if name == "cholesky":
        matrices = np.linalg.cholesky(matrices)
    x, mean = rng.normal(size=(ITEMS, 2)), rng.normal(size=2)
    x, mean, spoiled = BAD_ITEM[case](x, mean, matrices)
    kept = np.array([True, False, True, True])
    got = behind_a_where(name, tuple(kept.tolist()))(mean, spoiled, x)
    want = behind_a_where(name, (True,) * 3)(mean, matrices[kept], x[kept])
    covs = matrices @ matrices.swapaxes(1, 2) if name == "cholesky" else matrices
    limit = max(map(bound, covs)) * ITEMS
    for part in ("value", "forward", "hessian", "reverse over reverse", "reverse over forward"):
        assert_close(got[part], np.asarray(want[part]), limit, what=part)
    assert_close(got["gradient"][0], np.asarray(want["gradient"][0]), limit, what="gradient of the shared mean")
    for i, part in ((1, "matrices"), (2, "x")):
        assert_close(np.asarray(got["gradient"][i])[kept], np.asarray(want["gradient"][i]), limit, what=part)
        assert not np.any(got["gradient"][i][1]), part
    hessian = np.asarray(got["hessian in the matrices"])
    assert_close(hessian[kept][:, :, :, kept], np.asarray(want["hessian in the matrices"]), limit)
    assert not np.any(hessian[1])


def test_a_bad_item_that_is_kept_spoils_what_is_shared_and_nothing_else():
    x = changed(np.random.default_rng(8).normal(size=(3, 3)), (1, 1), np.nan)

    def total(x, mean):
        return jnp.sum(logpdf(x, mean, COV))

    gx, gm = jax.jit(jax.grad(total, (0, 1)))(x, MEAN)
    assert np.isnan(gm).all()
    assert np.isnan(gx).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("axes", [a for a in itertools.product((0, None), repeat=3) if any(x == 0 for x in a)])
@pytest.mark.parametrize("inner", [(), (4,)])
def test_the_gradient_of_a_vmap_over_some_arguments_of_batches_is_that_of_jax(axes, inner):
    rng = np.random.default_rng(0)
    lead = [(3,) if axis == 0 else () for axis in axes]
    root = rng.normal(size=(*lead[2], 2, 2))
    cov = root @ np.swapaxes(root, -1, -2) + np.eye(2)
    arguments = (rng.normal(size=(*lead[0], *inner, 2)), rng.normal(size=(*lead[1], 2)), cov)
    ours, theirs = (
        jax.jit(jax.grad(lambda *a, f=f: jnp.sum(jax.vmap(f, axes)(*a)), (0, 1, 2)))(*arguments)
        for f in (multivariate_normal.logpdf, jax.scipy.stats.multivariate_normal.logpdf)
    )
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        assert agree(a, b)
    assert agree(ours[2], (theirs[2] + theirs[2].mT) / 2)
