"""Parameterizations against their formulas in 60 digits, and against differences of those for every derivative.

The references are written entry by entry, and know no Cholesky factorisation, no `eigh`, and no closed form of a
Jacobian: that is the determinant of differences of vech(Sigma).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax import export

from gdiff import multivariate_normal, parameterizations
from gdiff.parameterizations import (
    BoundedEigenvalues,
    Cholesky,
    Diagonal,
    Givens,
    LogCholesky,
    LowerTriangle,
    LowRankPlusDiagonal,
    MatrixLogarithm,
    ScaleCorrelation,
    Spherical,
)
from gdiff.symmetric import vech, vech_size
from gdiff.tolerance import printed_precision, tolerance
from tests.oracle import (
    STEP,
    assert_close,
    bound,
    covariance,
    exact,
    gradient,
    hessian,
    inverse,
    log_abs_det,
    mp,
    pairs,
)
from tests.oracle import unvech as symmetric_matrix
from tests.test_architecture import precisions

BOUNDED = BoundedEigenvalues(0.25, 8)
SQUARE = (
    LowerTriangle(),
    Cholesky(),
    LogCholesky(),
    MatrixLogarithm(),
    Spherical(),
    Givens(),
    ScaleCorrelation(),
    BOUNDED,
)
SPECTRAL = (MatrixLogarithm(), BOUNDED)
FREE = SQUARE[1:]  # any vector is valid
EVERY = (*SQUARE, Diagonal(), LowRankPlusDiagonal(1), LowRankPlusDiagonal(2))
each = pytest.mark.parametrize("p", EVERY, ids=repr)
each_square = pytest.mark.parametrize("p", SQUARE, ids=repr)
CORRELATED = np.array([[2.0, 0.5, 0.25], [0.5, 1.0, -0.5], [0.25, -0.5, 3.0]])
PINHEIRO_BATES = np.array([[1.0, 1.0, 1.0], [1.0, 5.0, 5.0], [1.0, 5.0, 14.0]])


# The formulas, in exact numbers.


def below(d):
    return [(i, j) for i, j in pairs(d) if i > j]


def lower_triangular(theta, d):
    m = exact(np.zeros((d, d)))
    for value, place in zip(theta, pairs(d), strict=True):
        m[place] = value
    return m


def exp_of(z):
    return np.array(mp.expm(mp.matrix(z.tolist())).tolist(), dtype=object)


def logistic(t):
    return 1 / (1 + mp.exp(-t))


def of_cholesky(_, theta, d):
    lower = lower_triangular(theta, d)
    return lower @ lower.T


def of_log_cholesky(_, theta, d):
    lower = lower_triangular(theta, d)
    for i in range(d):
        lower[i, i] = mp.exp(lower[i, i])
    return lower @ lower.T


def of_spherical(_, theta, d):
    phi = {place: mp.pi * logistic(t) for place, t in zip(below(d), theta[d:], strict=True)}
    rows = exact(np.zeros((d, d)))
    for i in range(d):
        rest = mp.exp(theta[i])
        for j in range(i):
            rows[i, j] = rest * mp.cos(phi[i, j])
            rest = rest * mp.sin(phi[i, j])
        rows[i, i] = rest
    return rows @ rows.T


def of_givens(_, theta, d):
    u = exact(np.eye(d))
    for (j, i), t in zip(below(d), theta[d:], strict=True):
        angle, rotation = mp.pi * (logistic(t) - 0.5), exact(np.eye(d))
        rotation[i, i] = rotation[j, j] = mp.cos(angle)
        rotation[i, j], rotation[j, i] = -mp.sin(angle), mp.sin(angle)
        u = u @ rotation
    eigenvalues = [sum(mp.exp(t) for t in theta[: i + 1]) for i in range(d)]
    return u @ np.diag(eigenvalues) @ u.T


def of_scale_correlation(_, theta, d):
    """From the partial correlation given 1, ..., j - 1 to that given 1, ..., j - 2, down to the correlation."""
    z = {place: mp.tanh(t) for place, t in zip(below(d), theta[d:], strict=True)}
    s = exact(np.eye(d))
    for i, j in below(d):
        r = z[i, j]
        for k in reversed(range(j)):
            r = r * mp.sqrt((1 - z[i, k] ** 2) * (1 - z[j, k] ** 2)) + z[i, k] * z[j, k]
        s[i, j] = s[j, i] = r
    sd = np.diag([mp.exp(t) for t in theta[:d]])
    return sd @ s @ sd


def of_bounded(p, theta, d):
    eye = exact(np.eye(d))
    return mp.mpf(p.low) * eye + (mp.mpf(p.high) - p.low) * inverse(eye + exp_of(-symmetric_matrix(theta, d)))


def of_low_rank(p, theta, d):
    theta, loadings = list(theta), exact(np.zeros((d, p.rank)))
    for j in range(p.rank):
        for i in range(j, d):
            loadings[i, j] = theta.pop(0)
        loadings[j, j] = mp.exp(loadings[j, j])
    return loadings @ loadings.T + np.diag([mp.exp(t) for t in theta])


def rotated(eigenvalues):
    """vech of a 3 x 3 matrix of these eigenvalues."""
    directions, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    m = (directions * np.asarray(eigenvalues)) @ directions.T
    return np.asarray(vech((m + m.T) / 2))


FORMULAS = {
    LowerTriangle: lambda _, theta, d: symmetric_matrix(theta, d),
    Cholesky: of_cholesky,
    LogCholesky: of_log_cholesky,
    MatrixLogarithm: lambda _, theta, d: exp_of(symmetric_matrix(theta, d)),
    Spherical: of_spherical,
    Givens: of_givens,
    ScaleCorrelation: of_scale_correlation,
    BoundedEigenvalues: of_bounded,
    Diagonal: lambda _, theta, __: np.diag([mp.exp(t) for t in theta]),
    LowRankPlusDiagonal: of_low_rank,
}


def formula(p, theta, d):
    return FORMULAS[type(p)](p, exact(theta), d)


def vech_formula(p, d):
    rows, columns = np.array(pairs(d)).T
    return lambda theta: formula(p, theta, d)[rows, columns]


def true_log_det_jacobian(p, theta, d):
    return log_abs_det(gradient(vech_formula(p, d), theta))


def dimensions(p):
    return [d for d in (1, 2, 3, 5) if d >= getattr(p, "rank", 0)]


def vector(p, d, seed=0, size=0.7):
    """Parameters that are valid, of moderate size."""
    rng = np.random.default_rng(seed)
    if isinstance(p, LowerTriangle):
        return np.asarray(vech(covariance(rng, d, 5.0, scales=0.3)))
    return rng.normal(size=p.size(d)) * size


def reached(p, d, seed=0, scales=1.0, condition=50.0):
    """A covariance that has parameters."""
    rng = np.random.default_rng(seed)
    if isinstance(p, (Diagonal, LowRankPlusDiagonal)):
        s = np.diag(10 ** rng.uniform(-scales, scales, d))
        loadings = np.sqrt(np.diag(s))[:, None] * rng.uniform(0.5, 2, (d, getattr(p, "rank", 0)))
        return s + loadings @ loadings.T
    if isinstance(p, BoundedEigenvalues):
        directions, _ = np.linalg.qr(rng.normal(size=(d, d)))
        s = (directions * np.geomspace(p.low * 1.5, p.high / 1.5, d)) @ directions.T
        return (s + s.T) / 2
    return covariance(rng, d, condition, scales=0.0 if isinstance(p, (MatrixLogarithm, Givens)) else scales)


# Values, and first derivatives.


@pytest.mark.parametrize(("p", "d"), [(p, d) for p in EVERY for d in dimensions(p)], ids=repr)
def test_the_covariance_and_the_volume(p, d):
    theta = vector(p, d)
    cov, want = p.covariance(theta), formula(p, theta, d)
    limit = bound(want.astype(np.float64))
    assert_close(cov, want, limit)
    assert np.array_equal(cov, np.asarray(cov).T)
    if p in SQUARE or p.size(d) == vech_size(d) == 1:
        volume = true_log_det_jacobian(p, theta, d)
        assert_close(p.log_det_jacobian(theta), volume, limit, terms=abs(volume) + p.size(d))  # of so many logarithms


@pytest.mark.parametrize("p", EVERY[:-1], ids=repr)
def test_the_derivative_is_that_of_the_formula_and_has_that_determinant(p):
    theta = vector(p, 3, 1)
    jacobian = jax.jit(jax.jacfwd(lambda t: vech(p.covariance(t))))(theta)
    assert_close(jacobian, gradient(vech_formula(p, 3), theta).T, bound(p.covariance(theta)))
    if p in SQUARE:
        limit = tolerance(np.float64, conditioning=np.linalg.cond(jacobian) * p.size(3))
        assert abs(np.linalg.slogdet(np.asarray(jacobian))[1] - p.log_det_jacobian(theta)) <= limit


@each
def test_there_and_back(p):
    for d, dtype in ((1, np.float64), (3, np.float64), (5, np.float32)):
        if d < 2 * getattr(p, "rank", 0) + 1:
            continue
        for seed in range(4):
            cov = reached(p, d, seed).astype(dtype)
            params = p.parameters(cov)
            assert params.shape == (p.size(d),)
            back = p.covariance(params)
            assert params.dtype == back.dtype == dtype
            assert_close(back, cov, bound(cov, dtype), what=f"{p}, {d}, {dtype}")


@pytest.mark.parametrize("p", [*SPECTRAL, Spherical(), Givens()], ids=repr)
def test_back_and_there_to_second_order(p):
    """parameters(covariance(theta)) is theta: its derivative is the identity and its second derivative is 0."""
    theta = rotated((0.5, 0.5, -0.5)) if p in SPECTRAL else vector(p, 3, 4)

    @jax.jit
    def everything(t):
        def loop(t):
            return p.parameters(p.covariance(t))

        first, second = jax.jvp(jax.jacfwd(loop), (t,), (t,))
        return loop(t), first, second

    value, first, second = everything(theta)
    limit = bound(p.covariance(theta)) * p.size(3)
    assert_close(value, theta, limit)
    assert_close(first, np.eye(p.size(3)), limit)
    assert np.max(np.abs(second)) <= limit


# Second derivatives.

WEIGHTS = np.array([[0.3, -1.2, 0.8], [1.1, 0.4, -0.2], [-0.7, 0.9, 1.6]])


def objective(p, d):
    """A linear function of Sigma(theta), and a flat prior on Sigma."""
    return lambda t: jnp.sum(WEIGHTS[:d, :d] * p.covariance(t)) + (p.log_det_jacobian(t) if p in SQUARE else 0)


def true_objective(p, d):
    def f(theta):
        value = np.sum(exact(WEIGHTS[:d, :d]) * formula(p, theta, d))
        return value + true_log_det_jacobian(p, theta, d) if p in SQUARE else value

    return f


@pytest.mark.parametrize("p", [p for p in EVERY[:-1] if p not in SPECTRAL], ids=repr)
def test_gradients_and_hessians(p):
    thetas = np.stack([vector(p, 2, 1, 0.5), vector(p, 2, 2, 0.5)])
    if p not in (LowerTriangle(), Cholesky()):
        thetas[1] = 0.0  # where angles are right ones
    f, truth = objective(p, 2), true_objective(p, 2)
    derivatives = jax.jit(jax.vmap(lambda t: (jax.value_and_grad(f)(t), jax.hessian(f)(t))))
    (values, slopes), curvatures = derivatives(thetas)
    for theta, value, slope, curvature in zip(thetas, values, slopes, curvatures, strict=True):
        limit = bound(p.covariance(theta))
        assert_close(value, truth(theta), limit, terms=p.size(2))
        assert_close(slope, gradient(truth, theta), limit, terms=p.size(2))
        want = hessian(truth, theta)
        assert_close(curvature, want, limit, terms=p.size(2) + np.abs(want.astype(np.float64)))


@pytest.mark.parametrize("p", SPECTRAL, ids=repr)
def test_derivatives_where_eigenvalues_meet(p):
    """Three dimensions: all equal, two equal, all but equal, near, far; along a line, where 60 digits are cheap."""
    direction = np.array([0.3, -0.2, 0.5, 0.1, 0.4, -0.6])
    f, truth = objective(p, 3), true_objective(p, 3)
    spectra = [(0.0, 0.0, 0.0), (0.5, 0.5, -0.5), (0.5, 0.5 + 1e-9, -0.5), (0.0, 0.4, 0.6), (-2.0, 0.0, 1.7)]
    thetas = np.stack([rotated(s) if any(s) else np.zeros(6) for s in spectra])
    derivatives = jax.jit(jax.vmap(lambda t: (jax.grad(f)(t), jax.hessian(f)(t))))
    for theta, slope, curvature in zip(thetas, *derivatives(thetas), strict=True):
        step = exact(direction) * STEP
        up, here, down = truth(exact(theta) + step), truth(theta), truth(exact(theta) - step)
        limit = bound(p.covariance(theta))
        assert_close(slope @ direction, (up - down) / (2 * STEP), limit, terms=6)
        assert_close(direction @ curvature @ direction, (up - 2 * here + down) / STEP**2, limit, terms=6)
        assert np.max(np.abs(curvature - curvature.T)) <= 6 * limit


@pytest.mark.parametrize("p", SPECTRAL, ids=repr)
def test_the_third_derivative_at_the_identity(p):
    """At Z = 0, f(Z) has the Taylor coefficients of exp, or of 8.25/2 + 7.75 (z/4 - z^3/48)."""
    e = np.array([[1.0, 0.5], [0.5, -1.0]])
    along = jax.jacfwd(jax.jacfwd(jax.jacfwd(lambda t: jnp.sum(WEIGHTS[:2, :2] * p.covariance(vech(t * e))))))
    third = 1 if p == MatrixLogarithm() else -7.75 * 6 / 48
    assert_close(jax.jit(along)(0.0), np.sum(WEIGHTS[:2, :2] * third * (e @ e @ e)), tolerance(np.float64), terms=8.0)


def test_a_posterior_under_every_transformation():
    p = MatrixLogarithm()
    rows = np.array([[0.3, -1.2], [1.1, 0.4], [-0.7, 0.9], [0.2, -0.4]])
    scatter = exact(rows).T @ exact(rows)

    def f(theta):
        return multivariate_normal.log_likelihood(rows, np.zeros(2), p.covariance(theta)) + p.log_det_jacobian(theta)

    def truth(theta):
        cov = formula(p, theta, 2)
        value = len(rows) * (log_abs_det(cov) + 2 * mp.log(2 * mp.pi)) + np.sum(inverse(cov) * scatter)
        return -value / 2 + true_log_det_jacobian(p, theta, 2)

    thetas = np.array([[0.25, 0.0, 0.25], [0.3, -0.4, -0.2]])
    derivatives = jax.jit(jax.vmap(lambda t: (f(t), jax.grad(f)(t), jax.hessian(f)(t))))
    for theta, value, slope, curvature in zip(thetas, *derivatives(thetas), strict=True):
        cov = p.covariance(theta)
        limit, size = bound(cov), float(np.sum(rows**2)) * np.linalg.norm(np.linalg.inv(cov))
        assert_close(value, truth(theta), limit, terms=size)
        assert_close(slope, gradient(truth, theta), limit, terms=size)
        assert_close(curvature, hessian(truth, theta), limit, terms=size)


# What the source prints, and what every vector must give.


def printed(*text):
    return np.array([float(t) for t in text]), printed_precision(text)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (Cholesky(), ("1", "1", "1", "2", "2", "3")),
        (LogCholesky(), ("0", "1", "1", "0.693", "2", "1.099")),
        (Spherical(), ("0", "0.805", "1.320", "-0.608", "-0.348", "-0.787")),
        (MatrixLogarithm(), ("-0.174", "0.392", "0.104", "1.265", "0.650", "2.492")),
    ],
    ids=repr,
)
def test_the_example_of_pinheiro_and_bates(p, text):
    """Their order is by columns of the upper triangle; ours by columns of the lower."""
    values, half_unit = printed(*text)
    assert np.all(np.abs(p.parameters(PINHEIRO_BATES) - values) <= half_unit)


@pytest.mark.parametrize("p", FREE, ids=repr)
@given(theta=arrays(np.float64, 6, elements=st.floats(-3, 3)))
def test_any_vector_is_a_covariance(p, theta):
    if p == Cholesky():
        theta[[0, 3, 5]] += np.where(theta[[0, 3, 5]] < 0, -0.1, 0.1)
    cov = np.asarray(p.covariance(theta))
    rounding = bound(np.eye(3)) * np.max(np.abs(cov))
    least, most = np.linalg.eigvalsh(cov)[[0, -1]]
    assert np.array_equal(cov, cov.T)
    assert least >= -rounding
    assert np.isfinite(p.log_det_jacobian(theta))
    if p == BOUNDED:
        assert p.low - rounding <= least <= most <= p.high + rounding


@each_square
def test_the_volume_far_out_in_float32(p):
    """Where sines, and gaps to a bound, are far below the smallest number."""
    if p in (LowerTriangle(), Cholesky()):
        return
    theta = np.array([0.5, -0.25, 0.75]) if p != BOUNDED else np.array([150.0, 0.0, -160.0])
    theta[2] = -120.0 if p in (Spherical(), ScaleCorrelation(), Givens()) else theta[2]
    got = p.log_det_jacobian(theta.astype(np.float32))
    assert got.dtype == np.float32
    with mp.workdps(400):
        want = true_log_det_jacobian(p, theta, 2)
    assert_close(got, want, tolerance(np.float32), terms=abs(want) + 3)


# Arguments.


@each
def test_sizes_there_and_back(p):
    for d in range(getattr(p, "rank", 0), 9):
        assert p.dimension(p.size(d)) == d
    assert p.size(5) == {Diagonal(): 5, LowRankPlusDiagonal(1): 10, LowRankPlusDiagonal(2): 14}.get(p, 15)
    assert hash(p) == hash(type(p)(**vars(p)))
    if p != Diagonal():
        with pytest.raises(ValueError, match=r"got 7 parameters .* wanted .* \(d = \d\)"):
            p.covariance(np.ones(7))
    with pytest.raises(ValueError, match="vmap"):
        p.covariance(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"cov: got shape \(2, 3, 3\)"):
        p.parameters(np.ones((2, 3, 3)))
    with pytest.raises(TypeError, match="complex"):
        p.covariance(np.ones(p.size(3)) + 0j)


@pytest.mark.parametrize("p", EVERY[:-2], ids=repr)
def test_no_variables_at_all(p):
    assert p.covariance(np.zeros(0)).shape == (0, 0)
    assert p.parameters(np.zeros((0, 0))).shape == (0,)
    assert p.log_det_jacobian(np.zeros(0)) == 0


@pytest.mark.parametrize("p", EVERY[:-1], ids=repr)
def test_invalid_values_raise_or_are_nan(p):
    theta = np.where(np.arange(p.size(3)) == 1, np.nan, vector(p, 3))
    with pytest.raises(ValueError, match=r"params: got nan at \[1\]"):
        p.covariance(theta)
    indefinite = np.diag([1.0, 2.0, -1.0])
    with pytest.raises(ValueError, match="not positive definite"):
        p.parameters(indefinite)
    assert np.all(np.isnan(jax.jit(p.parameters)(indefinite)))
    both = np.stack([reached(p, 3), indefinite])

    def total(scale, kept):
        return jnp.sum(jnp.where(kept, jax.vmap(lambda s: jnp.sum(p.parameters(scale * s)))(both), 0))

    kept = np.array([[True, False], [True, True]])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(total), (None, 0)))(1.0, kept)
    assert np.isfinite([values, slopes]).tolist() == [[True, False], [True, False]]
    alone = np.asarray(p.parameters(both[0]))
    assert_close(values[0], np.sum(alone), bound(both[0]), terms=np.sum(np.abs(alone)))


@pytest.mark.parametrize(
    ("p", "cov", "match"),
    [
        (Givens(), np.eye(3), "two eigenvalues are equal"),
        (Givens(), np.diag([2.0, 1.0, 3.0]), "right one"),
        (BOUNDED, np.diag([1.0, 8.5]), "not between 0.25 and 8"),
        (BOUNDED, np.diag([1.0, 0.2]), "not between 0.25 and 8"),
        (Diagonal(), CORRELATED, "off the diagonal"),
        (LowRankPlusDiagonal(1), covariance(np.random.default_rng(0), 5, 9.0), "not F F'"),
        (LowRankPlusDiagonal(1), np.eye(3), "not F F'"),
        (LowRankPlusDiagonal(2), reached(LowRankPlusDiagonal(3), 7), "not F F'"),
        (LowRankPlusDiagonal(2), CORRELATED, "at least 2 rank [+] 1 = 5"),
    ],
)
def test_a_covariance_that_is_not_reached(p, cov, match):
    with pytest.raises(ValueError, match=match):
        p.parameters(cov)
    if "rank" not in match:
        assert np.all(np.isnan(jax.jit(p.parameters)(cov)))


def test_constrained_parameters_are_judged():
    with pytest.raises(ValueError, match="not positive definite"):
        LowerTriangle().covariance([1.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="params"):
        Cholesky().covariance([1.0, 2.0, 0.0])
    assert np.all(np.isnan(jax.jit(LowerTriangle().covariance)(np.array([1.0, 2.0, 1.0]))))
    assert np.isnan(jax.jit(Cholesky().log_det_jacobian)(np.array([1.0, 2.0, 0.0])))


@pytest.mark.parametrize("p", [Diagonal(), LowRankPlusDiagonal(1), LowRankPlusDiagonal(2)], ids=repr)
def test_no_determinant_where_the_map_is_not_square(p):
    with pytest.raises(ValueError, match="not square"):
        p.log_det_jacobian(np.ones(p.size(5)))
    if p == LowRankPlusDiagonal(1):
        with pytest.raises(ValueError, match="not one to one"):
            p.log_det_jacobian(np.ones(p.size(3)))


def test_bounds_and_ranks_are_checked():
    for low, high in ((-1.0, 2.0), (2.0, 2.0), (0.0, np.inf), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="wanted 0 <= low < high"):
            BoundedEigenvalues(low, high)
    with pytest.raises(TypeError, match="low: got str"):
        BoundedEigenvalues("1", 2)
    with pytest.raises(ValueError, match="Diagonal"):
        LowRankPlusDiagonal(0)
    with pytest.raises(TypeError, match="whole number"):
        LowRankPlusDiagonal(1.5)
    with pytest.raises(ValueError, match="wanted 2 or more"):
        LowRankPlusDiagonal(2).size(1)


def everything(p):
    """Every method, and the derivatives of all."""

    def f(theta):
        def loop(t):
            return p.parameters(p.covariance(t)), p.log_det_jacobian(t) if p in SQUARE else t[0]

        return p.covariance(theta), jax.jvp(loop, (theta,), (theta,)), jax.grad(lambda t: jnp.sum(loop(t)[0]))(theta)

    return f


def test_float32_stays_float32(strict_dtypes):
    del strict_dtypes
    for p in EVERY:
        shapes = jax.eval_shape(everything(p), vector(p, 5).astype(np.float32))
        assert {s.dtype for s in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}, p


def test_products_keep_their_precision_and_all_lowers_for_gpu_and_tpu():
    for p in EVERY:
        f, theta = everything(p), jnp.asarray(vector(p, 5))
        assert set(precisions(f, theta)) <= {(jax.lax.Precision.HIGHEST,) * 2}, p
        assert export.export(jax.jit(f), platforms=["cuda", "tpu"])(theta).platforms == ("cuda", "tpu")


def test_the_table_names_every_parameterization():
    documented = parameterizations.__doc__
    assert {type(p) for p in EVERY} == set(FORMULAS)
    for kind in FORMULAS:
        assert f"| `{kind.__name__}(" in documented
        assert getattr(parameterizations, kind.__name__) is kind
