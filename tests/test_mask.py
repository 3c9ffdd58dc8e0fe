"""Observations with missing entries: the density of the observed block, and no trace of what lies under a mask."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import export

from gdiff import SufficientStatistics, missing
from gdiff.multivariate_normal import log_likelihood, logpdf
from gdiff.tolerance import tolerance
from tests.oracle import Gaussian, assert_close, bound, covariance, exact, inverse, scaled_condition, units

pytestmark = pytest.mark.usefixtures("strict_dtypes")

NAMES = ("cov", "cholesky", "precision")
COV = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, -0.5], [0.25, -0.5, 3.0]])
MATRICES = {"cov": COV, "cholesky": np.linalg.cholesky(COV), "precision": np.linalg.inv(COV)}
MATRICES["precision"] = np.asarray(MATRICES["precision"] + MATRICES["precision"].T) / 2
MEAN, X = np.array([0.1, -0.2, 0.3]), np.array([1.0, 0.5, -0.5])
MASK = np.array([True, False, True])


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


def draw(rng, d, condition, dtype=np.float64):
    """Five rows, the first not observed at all, the second all observed, with a mean and the matrix in all forms.

    NaN and infinities lie where nothing was observed.
    """
    cov = covariance(rng, d, condition, dtype, scales=1.0)
    factor = np.linalg.cholesky(cov.astype(float))
    precision = np.tril(inverse(cov).astype(float)).astype(dtype)
    mean = (rng.normal(size=d) * units(cov)).astype(dtype)
    x = (mean + rng.normal(size=(5, d)) @ factor.T).astype(dtype)
    mask = rng.random((5, d)) < 0.5
    mask[:2] = np.array([[False], [True]])
    junk = np.where(rng.random((5, d)) < 0.5, np.nan, np.inf).astype(dtype)
    forms = {"cov": cov, "cholesky": factor.astype(dtype), "precision": precision + np.tril(precision, -1).T}
    return np.where(mask, x, junk), mean, forms, mask


# Against 60 digits, and SciPy.


class Truth:
    """log N(x_o | mean_o, S_oo) of one row, its gradients, and how large the terms are that these are made of.

    A, the gradient in S_oo, is put among zeros, and carried to the argument: 2 A L for S = L L', -S A S for S = P^-1.
    """

    def __init__(self, name, x, mean, matrix, mask):
        d, seen = len(mask), np.flatnonzero(mask)
        lower = exact(matrix)
        s = {"cov": lambda: lower, "cholesky": lambda: lower @ lower.T, "precision": lambda: inverse(matrix)}[name]()
        self.condition = d * scaled_condition(s.astype(float))
        self.value, self.value_terms = exact(0.0), 0.0
        self.mean, a, sizes = exact(np.zeros(d)), exact(np.zeros((d, d))), np.zeros((d, d))
        if len(seen):
            block = np.ix_(seen, seen)
            of = Gaussian(x[seen][None], mean[seen], s[block])
            self.value, self.value_terms = of.log_likelihood, of.terms.log_likelihood
            self.mean[seen], a[block], sizes[block] = of.mean_gradient, of.full_gradient, of.terms.full_gradient
        size, sd = np.abs(s.astype(float)), units(s.astype(float))
        if name == "cov":
            self.matrix, self.matrix_terms, self.matrix_unit = a, sizes, np.outer(sd, sd)
        elif name == "cholesky":
            triangle = np.tri(d, dtype=bool)
            self.matrix = np.where(triangle, 2 * a @ lower, exact(np.zeros(())))
            self.matrix_terms, self.matrix_unit = np.where(triangle, 2 * sizes @ np.abs(matrix), 0), sd[:, None]
        else:
            self.matrix, self.matrix_terms, self.matrix_unit = -s @ a @ s, size @ sizes @ size, 1 / np.outer(sd, sd)
        self.mean_unit = sd


@cache
def evaluate(name):
    """Of rows with masks of their own; the mask is traced."""

    def total(x, mean, matrix, mask):
        return log_likelihood(x, mean, **{name: matrix}, mask=mask)

    return jax.jit(
        lambda x, mean, matrix, mask: (
            logpdf(x, mean, **{name: matrix}, mask=mask),
            *jax.value_and_grad(total, (0, 1, 2))(x, mean, matrix, mask),
        )
    )


@pytest.mark.parametrize(
    ("name", "d", "dtype"),
    [
        *((name, d, np.float64) for name in NAMES for d in (1, 3, 8)),
        *((name, 3, np.float32) for name in NAMES),
        ("cov", 2, np.float64),
        ("cov", 5, np.float64),
        ("cholesky", 2, np.float64),
        ("precision", 5, np.float64),
    ],
)
def test_values_and_gradients_are_those_of_the_observed_block(name, d, dtype):
    rng = np.random.default_rng(d)
    for condition in (10, 1e4 if dtype == np.float32 else 1e12):
        x, mean, forms, mask = draw(rng, d, condition, dtype)
        each, total, (gx, gm, gs) = evaluate(name)(x, mean, forms[name], mask)
        assert {a.dtype for a in (each, total, gx, gm, gs)} == {np.dtype(dtype)}
        truths = [Truth(name, row, mean, forms[name], seen) for row, seen in zip(x, mask, strict=True)]
        limit, of_one = tolerance(dtype, conditioning=truths[0].condition), truths[0]
        for i, want in enumerate(truths):
            assert_close(each[i], want.value, limit, terms=want.value_terms, what=f"value {i}")
            assert_close(gx[i], -want.mean, limit, of_one.mean_unit, what=f"x {i}")
        assert each[0] == 0
        assert not np.any(gx[~mask])
        assert_close(total, sum(t.value for t in truths), limit, terms=sum(t.value_terms for t in truths))
        size = sum(np.abs(t.mean.astype(float)) for t in truths)
        assert_close(gm, sum(t.mean for t in truths), limit, of_one.mean_unit, size, what="mean")
        size = sum(t.matrix_terms for t in truths)
        assert_close(gs, sum(t.matrix for t in truths), limit, of_one.matrix_unit, size, what=name)
        assert np.array_equal(gs, np.tril(gs) if name == "cholesky" else gs.T)


@pytest.mark.parametrize("name", ["cov", "cholesky"])
def test_broadcasting_is_that_of_each_row_of_scipy(name):
    rng = np.random.default_rng(1)
    covs = np.stack([covariance(rng, 3, 10.0, scales=0.5) for _ in range(2)])
    x, means = rng.normal(size=(4, 1, 3)), rng.normal(size=(2, 3))
    limit = tolerance(np.float64, conditioning=3 * max(map(np.linalg.cond, covs)))
    spread = np.linalg.cholesky(covs) if name == "cholesky" else covs

    def marginal(x, mean, cov, mask):
        seen = np.flatnonzero(mask)
        if not len(seen):
            return 0.0
        return scipy.stats.multivariate_normal.logpdf(x[seen], mean[seen], cov[np.ix_(seen, seen)])

    each = np.vectorize(marginal, signature="(d),(d),(d,d),(d)->()", otypes=[float])
    cases = [
        (x, means, slice(None), rng.random((4, 1, 3)) < 0.5),  # a mixture, a mask for each observation
        (x[:, 0], means[0], 0, MASK),  # a mask for all
        (x[0, 0], means[0], 0, rng.random((5, 3)) < 0.5),  # masks of one observation
        (x, means, slice(None), rng.random((4, 2, 1)) < 0.5),  # as a whole or not at all
        (x[:, 0], means[0], 0, np.array(True)),
    ]
    for x, mean, index, mask in cases:
        want = each(x, mean, covs[index], np.broadcast_to(mask, (*mask.shape[:-1], 3)))
        got = logpdf(x, mean, **{name: spread[index]}, mask=mask)
        assert got.shape == want.shape
        assert_close(got, want, limit, what=f"{x.shape}, {mask.shape}")


@pytest.mark.parametrize("name", NAMES)
def test_a_scalar_spread_counts_what_is_observed(name):
    mask = np.array([[True, False, True], [False, False, False], [True, True, True]])
    x = np.where(mask, np.random.default_rng(2).normal(size=(3, 3)), np.nan)
    sd = 2.0
    number = {"cov": sd * sd, "cholesky": sd, "precision": 1 / (sd * sd)}[name]
    chain = {"cov": 1 / (2 * sd), "cholesky": 1.0, "precision": -(sd**3) / 2}[name]  # d sd / d number
    z = np.where(mask, (x - MEAN) / sd, 0)
    want = np.where(mask, scipy.stats.norm.logpdf(np.where(mask, x, 0), MEAN, sd), 0)
    limit = tolerance(np.float64, conditioning=9)

    def rows(x, mean, s):
        return logpdf(x, mean, **{name: s}, mask=mask)

    assert_close(rows(x, MEAN, number), want.sum(1), limit)
    assert float(rows(x, MEAN, number)[1]) == 0
    assert_close(log_likelihood(x, MEAN, **{name: number}, mask=mask), want.sum(), limit)
    gradient = jax.jit(jax.grad(lambda *a: jnp.sum(rows(*a)), (0, 1, 2)))(x, MEAN, number)
    assert_close(gradient[0], -z / sd, limit)
    assert_close(gradient[1], z.sum(0) / sd, limit)
    assert_close(gradient[2], ((z * z).sum() - mask.sum()) / sd * chain, limit, terms=(z * z).sum() + mask.sum())
    univariate = logpdf(x[:, 0], MEAN[0], **{name: number}, mask=mask[:, 0])
    assert_close(univariate, want[:, 0], limit)
    assert_close(log_likelihood(x[:, 0], MEAN[0], **{name: number}, mask=mask[:, 0]), want[:, 0].sum(), limit)


def test_all_observed_is_as_without_a_mask():
    for name, matrix in MATRICES.items():
        want = logpdf(X, MEAN, **{name: matrix})
        assert_close(logpdf(X, MEAN, **{name: matrix}, mask=[True, True, True]), np.asarray(want), bound(COV))
    want = log_likelihood(np.stack([X, MEAN]), MEAN, COV)
    assert_close(log_likelihood(np.stack([X, MEAN]), MEAN, COV, mask=True), np.asarray(want), bound(COV))


def test_a_factor_whose_product_is_singular_to_rounding_is_used_as_it_is():
    factor = np.array([[1.0, 0.0, 0.0], [1.0, 1e-9, 0.0], [1.0, 0.0, 1e-9]])
    x = factor @ X
    for mask in (np.ones(3, bool), np.array([True, True, False]), np.array([False, True, True])):
        want = Truth("cholesky", x, np.zeros(3), factor, mask)
        limit = tolerance(np.float64, conditioning=3 * np.linalg.cond(factor))
        got = logpdf(x, np.zeros(3), cholesky=factor, mask=mask)
        assert_close(got, want.value, limit, terms=want.value_terms)


def test_nothing_to_observe():
    nothing, empty = np.zeros(0), np.zeros((0, 0))
    for name in NAMES:
        assert float(logpdf(nothing, nothing, **{name: empty}, mask=np.zeros(0, bool))) == 0
        none = np.zeros((0, 3)), MEAN, MATRICES[name], np.zeros((0, 3), bool)
        _, total, gradient = evaluate(name)(*none)
        assert float(total) == 0
        assert not any(np.any(g) for g in gradient)


# Properties.


def test_complementary_blocks_of_a_block_diagonal_covariance_make_the_whole():
    first = np.array([True, True, False])
    cov = np.where(first[:, None] == first, COV, 0)
    for name, matrix in {"cov": cov, "cholesky": np.linalg.cholesky(cov), "precision": np.linalg.inv(cov)}.items():
        parts = [logpdf(X, MEAN, **{name: matrix}, mask=mask) for mask in (first, ~first)]
        assert_close(sum(parts), np.asarray(logpdf(X, MEAN, **{name: matrix})), bound(cov))


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_is_the_conditional_density(name):
    """log N(x) - log N(x_o) = log N(x_u | x_o), by regression on what is observed."""
    seen, hidden = np.flatnonzero(MASK), np.flatnonzero(~MASK)
    weights = COV[np.ix_(hidden, seen)] @ np.linalg.inv(COV[np.ix_(seen, seen)])
    mean = MEAN[hidden] + weights @ (X - MEAN)[seen]
    variance = COV[np.ix_(hidden, hidden)] - weights @ COV[np.ix_(seen, hidden)]
    want = scipy.stats.norm.logpdf(X[hidden], mean, np.sqrt(variance[0])).item()
    arguments = {name: MATRICES[name]}
    assert_close(logpdf(X, MEAN, **arguments) - logpdf(X, MEAN, **arguments, mask=MASK), want, 9 * bound(COV))


# Higher derivatives, in every nesting.

ROWS = np.array([[True, False], [False, True], [True, True], [False, False]])


def textbook(name, x, mean, matrix):
    """The sum over rows of the density of the observed block, as anybody writes it."""
    lower = jnp.tril(matrix)
    s = lower @ lower.T if name == "cholesky" else (matrix + matrix.T) / 2
    s = jnp.linalg.inv(s) if name == "precision" else s
    total = jnp.zeros(())
    for row, mask in zip(x, ROWS, strict=True):
        seen = np.flatnonzero(mask)
        if len(seen):
            r, block = row[seen] - mean[seen], s[np.ix_(seen, seen)]
            quadratic = r @ jnp.linalg.solve(block, r)
            total -= (quadratic + jnp.linalg.slogdet(block)[1] + len(seen) * jnp.log(2 * jnp.pi)) / 2
    return total


def split(theta):
    return theta[:8].reshape(4, 2), theta[8:10], theta[10:].reshape(2, 2)


@cache
def nestings(name):
    def total(theta, mask):
        x, mean, matrix = split(theta)
        return log_likelihood(x, mean, **{name: matrix}, mask=mask)

    def scanned(theta, mask):
        x, mean, matrix = split(theta)

        def step(carry, row):
            return carry + logpdf(row[0], mean, **{name: matrix}, mask=row[1]), None

        return jax.lax.scan(step, jnp.zeros(()), (x, mask))[0]

    def everything(theta, mask):
        gradient = jax.grad(total)
        return {
            "grad of remat of scan": jax.grad(jax.checkpoint(scanned))(theta, mask),
            "vmap over masks": jax.vmap(gradient, (None, 0))(theta, jnp.stack([~mask, mask]))[1],
        }, {
            "hessian": jax.hessian(total)(theta, mask),
            "jacrev of jacrev": jax.jacrev(jax.jacrev(total))(theta, mask),
        }

    return jax.jit(everything)


@pytest.mark.parametrize("name", NAMES)
def test_every_nesting_agrees_with_autodiff_of_the_observed_block(name):
    rng = np.random.default_rng(4)
    x = np.where(ROWS, rng.normal(size=(4, 2)), [[np.nan, np.inf]])
    theta = np.concatenate([x.reshape(-1), MEAN[:2], MATRICES[name][:2, :2].reshape(-1)])
    gradients, hessians = nestings(name)(theta, ROWS)

    @jax.jit
    def reference(theta):
        def total(theta):
            return textbook(name, *split(theta))

        return jax.grad(total)(theta), jax.hessian(total)(theta)

    gradient, hessian = reference(theta)
    limit = bound(COV) * np.linalg.cond(COV)  # the textbook inverts
    for nesting, got in gradients.items():
        assert_close(got, np.asarray(gradient), limit, what=nesting)
    for nesting, got in hessians.items():
        assert_close(got, np.asarray(hessian), limit, what=nesting)
        hidden = np.flatnonzero(~ROWS)
        assert not np.any(got[hidden])
        assert not np.any(got[:, hidden])
    for got in jax.tree.leaves(nestings(name)(theta, np.zeros((4, 2), bool))[1]):
        assert not np.any(got)  # "vmap over masks" shows the complement too, so the gradients are not all asked


@pytest.mark.parametrize("name", ["cov", "cholesky"])
def test_the_hessian_by_lapack_is_that_of_the_marginal(name):
    """At d = 8, along a direction in x, mean and matrix together."""
    rng = np.random.default_rng(5)
    x, mean, forms, mask = draw(rng, 8, 10.0)
    row, seen = 3, np.flatnonzero(mask[3])
    matrix, d = forms[name], 8
    tangent = tuple(rng.normal(size=a.shape) for a in (mean, mean, matrix))
    along = (*tangent[:2], np.tril(tangent[2]) if name == "cholesky" else (tangent[2] + tangent[2].T) / 2)

    def masked(x, mean, matrix, mask):
        return logpdf(x, mean, **{name: matrix}, mask=mask)

    def marginal(x, mean, matrix):
        s = matrix @ matrix.T if name == "cholesky" else matrix
        return logpdf(x[seen], mean[seen], s[np.ix_(seen, seen)])

    def product(f):
        return lambda *a: jax.jvp(jax.grad(f, (0, 1, 2)), a, along)[1]

    point = x[row], mean, matrix
    got = jax.jit(lambda *a: product(lambda *b: masked(*b, a[3]))(*a[:3]))(*point, mask[row])
    want = jax.jit(product(marginal))(*point)
    limit = bound(forms["cov"]) * d * np.linalg.cond(forms["cov"])
    for a, b in zip(got[:2], want[:2], strict=True):
        assert_close(a, np.asarray(b), limit)
    symmetric = np.tril(want[2]) if name == "cholesky" else (want[2] + want[2].T) / 2
    assert_close(got[2], symmetric, limit)


# What a mask costs.


@pytest.mark.parametrize("name", NAMES)
def test_one_mask_for_all_observations_is_one_factorisation(name):
    data, matrix = np.zeros((20, 8)), np.eye(8)

    def jaxpr(mask):
        def f(matrix, mask):
            return log_likelihood(data, np.zeros(8), **{name: matrix}, mask=mask)

        return str(jax.make_jaxpr(jax.value_and_grad(f))(matrix, mask))

    assert "[20,8,8]" in jaxpr(np.ones((20, 8), bool))
    for shared in (np.ones(8, bool), np.ones((1, 8), bool)):
        assert "[20,8,8]" not in jaxpr(shared)


@pytest.mark.parametrize("name", ["cov", "cholesky"])
def test_many_observations_are_taken_a_block_at_a_time(name, monkeypatch):
    monkeypatch.setattr(missing, "AT_A_TIME", 45)  # five rows, and a shape that no other test uses
    rng = np.random.default_rng(6)
    mask = rng.random((17, 3)) < 0.5
    x = np.where(mask, rng.normal(size=(17, 3)), np.nan)
    matrix = MATRICES[name]

    def total(mean, matrix):
        return log_likelihood(x, mean, **{name: matrix}, mask=mask)

    each, gradient, hessian = jax.jit(
        lambda *a: (
            logpdf(x, a[0], **{name: a[1]}, mask=mask),
            jax.grad(total, (0, 1))(*a),
            jax.hessian(total)(*a),
        )
    )(MEAN, matrix)
    truths = [Truth(name, row, MEAN, matrix, seen) for row, seen in zip(x, mask, strict=True)]
    curvature = np.zeros((3, 3))
    for seen in mask:
        curvature[np.ix_(seen, seen)] -= np.linalg.inv(COV[np.ix_(seen, seen)])
    assert_close(each, np.array([t.value for t in truths]), bound(COV))
    assert_close(gradient[0], sum(t.mean for t in truths), bound(COV) * 17)
    assert_close(gradient[1], sum(t.matrix for t in truths), bound(COV) * 17)
    assert_close(hessian, curvature, bound(COV) * 17)
    kept = str(jax.make_jaxpr(jax.grad(total, (0, 1)))(MEAN, matrix))
    assert "[4,5,3]" in kept
    assert not any(shape in kept for shape in ("[17,3,3]", "[4,5,3,3]", "[17,3,6]", "[4,5,3,6]"))


@pytest.mark.parametrize(("name", "d"), [("cov", 3), ("cov", 8), ("cholesky", 3), ("precision", 8)])
def test_masks_lower_for_accelerators(name, d):
    x, matrix, mask = np.ones((4, d), np.float32), np.eye(d, dtype=np.float32), np.ones((4, d), bool)

    def f(x, mean, matrix, mask):
        return log_likelihood(x, mean, **{name: matrix}, mask=mask)

    lowered = export.export(jax.jit(jax.value_and_grad(f, (1, 2))), platforms=["cuda", "tpu"])(x, x[0], matrix, mask)
    assert lowered.platforms == ("cuda", "tpu")


# Values that are not valid.

INVALID = {  # each outside of the observed block, or in an observed entry of x
    "cov": {
        "not symmetric": {"cov": changed(COV, (0, 1), 0.9)},
        "indefinite": {"cov": changed(COV, (1, 1), -1.0)},
        "singular": {"cov": changed(changed(changed(COV, (1, 0), 2.0), (0, 1), 2.0), (1, 1), 2.0)},
        "NaN": {"cov": changed(COV, (1, 2), np.nan)},
        "infinite": {"cov": changed(COV, (1, 1), np.inf)},
        "NaN in x": {"x": changed(X, 2, np.nan)},
        "infinite x": {"x": changed(X, 0, -np.inf)},
        "NaN in mean": {"mean": changed(MEAN, 1, np.nan)},
        "infinite mean": {"mean": changed(MEAN, 1, np.inf), "x": changed(X, 1, np.inf)},
    },
    "cholesky": {
        "entries above": {"cholesky": changed(MATRICES["cholesky"], (1, 2), 0.1)},
        "negative diagonal": {"cholesky": changed(MATRICES["cholesky"], (1, 1), -1.0)},
        "NaN": {"cholesky": changed(MATRICES["cholesky"], (1, 0), np.nan)},
        "NaN in x": {"x": changed(X, 2, np.nan)},
    },
    "precision": {
        "negated": {"precision": -MATRICES["precision"]},
        "NaN": {"precision": changed(MATRICES["precision"], (1, 2), np.nan)},
        "NaN in x": {"x": changed(X, 2, np.nan)},
    },
}
TABLE = [(name, case) for name, cases in INVALID.items() for case in cases]


@cache
def transformed(name):
    def one(x, mean, matrix, mask):
        return logpdf(x, mean, **{name: matrix}, mask=mask)

    def sample(x, mean, matrix, mask):
        rows, masks = jnp.stack([x, x]), jnp.stack([jnp.zeros_like(mask), mask])
        return log_likelihood(rows, mean, **{name: matrix}, mask=masks)

    return jax.jit(
        lambda *a: (
            one(*a),
            jax.grad(one, (0, 1, 2))(*a),
            jax.hessian(one, 1)(*a),
            jax.value_and_grad(sample, (0, 1, 2))(*a),
        )
    )


@pytest.mark.parametrize(("name", "case"), TABLE, ids=[f"{name}: {case}" for name, case in TABLE])
def test_an_invalid_value_raises_and_is_nan_in_every_derivative(name, case):
    good = {"x": changed(X, 1, np.nan), "mean": MEAN, name: MATRICES[name]}
    bad = good | INVALID[name][case]
    for f in (logpdf, log_likelihood):
        with pytest.raises(ValueError, match="finite|symmetric|definite|diagonal"):
            f(bad["x"], bad["mean"], **{name: bad[name]}, mask=MASK)
    for leaf in jax.tree.leaves(transformed(name)(*bad.values(), MASK)):
        assert np.isnan(leaf).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(transformed(name)(*good.values(), MASK)))


def test_an_observed_entry_that_is_not_finite_is_named():
    x = np.array([[np.nan, 1.0, 2.0], [0.0, np.inf, 1.0]])
    mask = np.array([[False, True, True], [True, True, True]])
    with pytest.raises(ValueError, match=r"x: got inf at \[1, 1\].*item 1 of the batch"):
        logpdf(x, MEAN, COV, mask=mask)
    with pytest.raises(ValueError, match=r"data: got inf at \[1, 1\]"):
        log_likelihood(x, MEAN, COV, mask=mask)
    logpdf(x, MEAN, COV, mask=mask & np.isfinite(x))


@pytest.mark.parametrize("name", ["cov", "cholesky"])
def test_a_bad_item_behind_a_where_leaves_the_others_as_if_it_were_not_there(name):
    rng = np.random.default_rng(7)
    covs, kept = np.stack([covariance(rng, 2, 10.0, scales=0.5) for _ in range(4)]), np.array([True, False, True, True])
    matrices = np.linalg.cholesky(covs) if name == "cholesky" else covs
    x, mean, mask = rng.normal(size=(4, 2)), rng.normal(size=2), ROWS

    def each(x, mean, matrices):
        return logpdf(x, mean, **{name: matrices}, mask=mask)

    def total(*arguments):
        return jnp.sum(jnp.where(kept, each(*arguments), 0))

    @jax.jit
    def everything(*a):
        return each(*a), jax.grad(total, (0, 2))(*a), (total(*a), jax.grad(total, 1)(*a), jax.hessian(total, 1)(*a))

    _, items, shared = everything(x, mean, matrices)
    for spoiled in (
        (changed(x, (1, 1), np.nan), mean, matrices),  # observed
        (x, mean, changed(matrices, (1, 0, 0), -1.0)),  # not observed
        (x, mean, changed(matrices, (1, 1, 1), -1.0)),  # observed
    ):
        values, of_items, of_shared = everything(*spoiled)
        assert np.isnan(values).tolist() == (~kept).tolist()
        for got, want in zip(of_shared, shared, strict=True):
            assert_close(got, np.asarray(want), max(map(bound, covs)) * 4)
        for got, want in zip(of_items, items, strict=True):
            assert_close(got[kept], np.asarray(want)[kept], max(map(bound, covs)))
            assert not np.any(got[1])


# Misuse.


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: logpdf(X, MEAN, COV, mask=[1, 0, 1]),
            TypeError,
            r"mask: got int\d+, wanted bool, True where observed",
        ),
        (lambda: logpdf(X, MEAN, COV, mask=X), TypeError, "mask: got float64.*numpy.ma"),
        (lambda: log_likelihood(X, MEAN, COV, mask=np.ones(3, int)), TypeError, "mask: got int64"),
        (
            lambda: logpdf(X, MEAN, COV, mask=np.ones(2, bool)),
            ValueError,
            r"mask: got shape \(2,\), wanted \(\.\.\., 3\)",
        ),
        (
            lambda: logpdf(np.ones((4, 3)), MEAN, COV, mask=np.ones(4, bool)),
            ValueError,
            r"mask: got shape \(4,\).*mask\[\.\.\., None\]",
        ),
        (
            lambda: logpdf(np.ones((4, 3)), MEAN, COV, mask=np.ones((5, 3), bool)),
            ValueError,
            r"batch shapes x \(4,\).*mask \(5,\).*broadcast",
        ),
        (
            lambda: log_likelihood(np.ones((4, 3)), MEAN, COV, mask=np.ones((5, 3), bool)),
            ValueError,
            r"mask: got shape \(5, 3\), wanted one that broadcasts to that of data, \(4, 3\)",
        ),
        (lambda: log_likelihood(X, MEAN, COV, mask=np.ones((2, 3), bool)), ValueError, r"that of data, \(3,\)"),
        (
            lambda: log_likelihood(SufficientStatistics.of(np.ones((2, 3))), MEAN, COV, mask=MASK),
            TypeError,
            "SufficientStatistics.*no rows to mask",
        ),
    ],
)
def test_misuse_says_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
