"""The analytic derivatives of the Gaussian log-density: the formula beside the code, and no autodiff.

    L = sum_i log N(x_i | mu, Sigma),   P = Sigma^-1,   r = xbar - mu,   T = sum_i (x_i - mu)(x_i - mu)'

`data` is one observation (d,), a sample (n, d), or `SufficientStatistics`; everything is a sum over observations, and
batching is `jax.vmap`'s business. `convention` says which array of numbers the derivative with respect to the symmetric
Sigma is: "full" (A, the Frobenius gradient, what `jax.grad` returns) or "symmetric" (B = 2A - A∘I, partial derivatives
with respect to the k = d(d+1)/2 distinct entries, `vech`). D is the duplication matrix, N = (I + K)/2.

Every function here raises, for shapes and dtypes at any time and for values when nothing is traced:
ValueError for shapes that do not match, for entries that are not finite, and for a covariance that is not symmetric or
not positive definite (`gdiff.validity` has the rules); TypeError for complex, float16 and bfloat16. Under a
transformation an invalid value gives NaN in every entry.

Sources: the Matrix Cookbook, version of November 15, 2012 ("Cookbook"); Magnus and Neudecker, Matrix Differential
Calculus, 3rd edition ("MN"); Srinivasan and Panda, arXiv 1911.06491.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gdiff.arrays import ArrayLike
from gdiff.blocks import (
    Blocks,
    JointBlocks,
    KroneckerBlocks,
    PairProducts,
    Score,
    Tangent,
    joint_pairs,
    joint_square,
    kronecker_step,
)
from gdiff.inputs import Data, apply, sample_and_matrix, square_matrix, vector_and_matrix
from gdiff.linalg import congruence, matmul, matvec, outer, solve_lower
from gdiff.statistics import SufficientStatistics
from gdiff.symmetric.coordinates import (
    Convention,
    apply_commutation,
    check_convention,
    symmetrize,
    to_symmetric,
)
from gdiff.validity import (
    Factor,
    General,
    Positive,
    as_floats,
    cholesky_factor,
    invertible,
    positive_definite,
)

Structure = Literal["positive_definite", "general"]


class CholeskyScore(NamedTuple):
    """A gradient with respect to the mean (d,) and the lower-triangular factor (d, d)."""

    mean: Array
    cholesky: Array


class PrecisionScore(NamedTuple):
    """A gradient with respect to the mean (d,) and the precision (d, d), in the convention that was asked for."""

    mean: Array
    precision: Array


class Moments(NamedTuple):
    """What the formulas need to know of a sample, seen from mu: n, y = P r, and Q = P T P."""

    n: Array
    y: Array
    q: Array


# The formulas. P and T are exactly symmetric, nothing is checked.


def log_density(mahalanobis: Array, log_det: Array, d: int) -> Array:
    """log N = -1/2 (r'P r + log|Sigma| + d log 2 pi) (Cookbook 346)."""
    return -(mahalanobis + log_det + d * math.log(2 * math.pi)) / 2


def moments(data: Data, mean: Array, p: Array) -> Moments:
    """n, P r and P T P. A sample (n, d) with n <= d works with its rows, and never forms its scatter."""
    if isinstance(data, SufficientStatistics):
        y = matvec(p, data.mean - mean)
        return Moments(data.count, y, congruence(p, data.scatter) + data.count * outer(y, y))
    z = matvec(p, data - mean)  # (n, d)
    n = len(data)
    return Moments(jnp.asarray(n, p.dtype), jnp.sum(z, axis=0) / max(n, 1), symmetrize(matmul(z.T, z)))


def mean_gradient(m: Moments) -> Array:
    """n P r (Cookbook 86, with W = P/2)."""
    return m.n * m.y


def cov_gradient(m: Moments, p: Array) -> Array:
    """A = -1/2 (n P - P T P) (Cookbook 57 and 61)."""
    return -(m.n * p - m.q) / 2


def curvature(m: Moments, p: Array) -> Array:
    """C = A + n/4 P: the covariance Hessian is the form <E, dA[F]> = -tr(E P F C) - tr(E C F P) (MN 15.3)."""
    return cov_gradient(m, p) + m.n / 4 * p


def score_differential(p: Array, n: Array, g: Array, a: Array, dr: Array, ds: Array) -> tuple[Array, Array]:
    """(dg, dA) when r moves by dr = -dmu and Sigma by dS: the Hessian times a tangent.

    dg = n P dr - P dS g,   dA = -(P dS C + C dS P) + 1/2 (P dr g' + g dr' P),   C = A + n/4 P
    """
    u = matvec(p, dr)
    p_ds = matmul(p, ds)
    half = matmul(p_ds, a + n / 4 * p)
    mixed = outer(u, g) / 2
    return n * u - matvec(p_ds, g), mixed + mixed.mT - half - half.mT


# From arguments to formulas.


@cache  # one object for one formula and convention, so that jit knows it again
def _in(formula: Callable, convention: Convention) -> Callable:
    return partial(formula, convention)


def _structured(
    structure: Structure, convention: Convention | None, default: Convention
) -> tuple[Callable, Convention]:
    """The judge of the argument, and the convention: a general argument has free entries, and so no convention."""
    if structure == "general":
        if convention == "symmetric":
            raise ValueError(
                "convention='symmetric' is of a symmetric argument, and structure='general' says its entries are free: "
                "leave the convention out, or the structure."
            )
        return invertible, "full"
    if structure != "positive_definite":
        raise ValueError(f"structure={structure!r} is not known: use 'positive_definite' or 'general'.")
    check_convention(convention or default)
    return positive_definite, convention or default


def _in_convention(a: Array, convention: Convention) -> Array:
    return a if convention == "full" else to_symmetric(a)


# First order.


def score(
    data: ArrayLike | SufficientStatistics, mean: ArrayLike, cov: ArrayLike, convention: Convention = "full"
) -> Score:
    """The gradient of L in (mean, cov): dL/dmu = n P r, and dL/dSigma = A or B.

        A = -1/2 (n P - P T P)                                        "full"
        B = 2A - A∘I = -1/2 (2nP - nP∘I - 2PTP + PTP∘I)               "symmetric"

    Shapes: mean (d,), cov (d, d). Source: Cookbook 86; 57 and 61 (A); 141 with 138 (B).

    >>> score(jnp.array([2., -2.]), jnp.zeros(2), jnp.eye(2)).cov.tolist()
    [[1.5, -2.0], [-2.0, 1.5]]
    >>> score(jnp.array([2., -2.]), jnp.zeros(2), jnp.eye(2), convention="symmetric").cov.tolist()
    [[1.5, -4.0], [-4.0, 1.5]]
    """
    check_convention(convention)
    return apply(_in(_score, convention), positive_definite, *sample_and_matrix(data, mean, "cov", cov))


def _score(convention: Convention, data: Data, mean: Array, s: Positive) -> Score:
    m = moments(data, mean, s.inverse)
    return Score(mean_gradient(m), _in_convention(cov_gradient(m, s.inverse), convention), convention)


def score_cholesky(data: ArrayLike | SufficientStatistics, mean: ArrayLike, cholesky: ArrayLike) -> CholeskyScore:
    """The gradient of L in (mean, L), Sigma = L L': dL/dL = tril(P T L^-T) - n diag(1/L_ii), lower triangular.

    Equal to tril(2 A L). Shapes: mean (d,), cholesky (d, d). Source: chain rule on Cookbook 57 and 61 through
    dSigma = dL L' + L dL'.
    """
    return apply(_score_cholesky, cholesky_factor, *sample_and_matrix(data, mean, "cholesky", cholesky))


def _score_cholesky(data: Data, mean: Array, s: Factor) -> CholeskyScore:
    lower = s.lower
    if isinstance(data, SufficientStatistics):
        n, r = data.count, (data.mean - mean)[:, None]  # (d, 1)
        half = solve_lower(lower, data.scatter)  # L^-1 C
        whitened = solve_lower(lower, half.T)  # L^-1 C L^-T
    else:
        n, r = jnp.asarray(len(data), lower.dtype), (data - mean).T  # (d, n)
        whitened = jnp.zeros_like(lower)
    z = solve_lower(lower, r)
    y = solve_lower(lower, z, transpose=True)
    weight = n if isinstance(data, SufficientStatistics) else 1
    product = solve_lower(lower, whitened, transpose=True) + weight * matmul(y, z.T)
    return CholeskyScore(weight * jnp.sum(y, axis=1), jnp.tril(product) - jnp.diag(n / jnp.diagonal(lower)))


def score_precision(
    data: ArrayLike | SufficientStatistics, mean: ArrayLike, precision: ArrayLike, convention: Convention = "full"
) -> PrecisionScore:
    """The gradient of L in (mean, P): dL/dmu = n P r, dL/dP = 1/2 (n Sigma - T), or its 2G - G∘I ("symmetric").

    Shapes: mean (d,), precision (d, d). Source: Cookbook 86, 57 and 72.
    """
    check_convention(convention)
    return apply(
        _in(_score_precision, convention), positive_definite, *sample_and_matrix(data, mean, "precision", precision)
    )


def _score_precision(convention: Convention, data: Data, mean: Array, s: Positive) -> PrecisionScore:
    p, cov = s.matrix, s.inverse
    if isinstance(data, SufficientStatistics):
        n, r = data.count, data.mean - mean
        total, t = n * r, data.scatter + n * outer(r, r)
    else:
        n, r = jnp.asarray(len(data), p.dtype), data - mean
        total, t = jnp.sum(r, axis=0), matmul(r.T, r)
    gradient = symmetrize(n * cov - t) / 2
    return PrecisionScore(matvec(p, total), _in_convention(gradient, convention))


def density_gradient(x: ArrayLike, mean: ArrayLike, cov: ArrayLike, convention: Convention = "full") -> Score:
    """The gradient of the density f itself, not of its logarithm, for one observation: f P r, and f A or f B.

    Shapes: x (d,), mean (d,), cov (d, d). Source: df = f d log f, with `score`.
    """
    check_convention(convention)
    inputs, name, s = vector_and_matrix(x, cov, "cov", mean=mean)
    return apply(_in(_density_gradient, convention), positive_definite, inputs, name, s)


def _density_gradient(convention: Convention, x: Array, mean: Array, s: Positive) -> Score:
    log_gradient = _score(convention, x[None, :], mean, s)
    r = x - mean
    density = jnp.exp(log_density(jnp.sum(r * matvec(s.inverse, r)), s.log_det, len(x)))
    return jax.tree.map(lambda g: density * g, log_gradient)


def log_det_gradient(
    cov: ArrayLike, convention: Convention = "full", structure: Structure = "positive_definite"
) -> Array:
    """d log|S| / dS, (d, d): S^-1 ("full"), 2S^-1 - S^-1∘I ("symmetric"); X^-T for structure="general".

    Source: Cookbook 57 (general, log|det X|) and 141 (symmetric).

    >>> log_det_gradient(jnp.array([[2., 1.], [0., 4.]]), structure="general").tolist()
    [[0.5, 0.0], [-0.125, 0.25]]
    """
    judge, convention = _structured(structure, convention, "full")
    return apply(_in(_log_det_gradient, convention), judge, *square_matrix(cov, "cov"))


def _log_det_gradient(convention: Convention, s: Positive | General) -> Array:
    return _in_convention(s.inverse.T, convention)


def quadratic_form_gradient(
    x: ArrayLike, cov: ArrayLike, convention: Convention = "full", structure: Structure = "positive_definite"
) -> Array:
    """d x'S^-1 x / dS, (d, d): -P x x' P ("full"), its 2G - G∘I ("symmetric"); -X^-T x x' X^-T for "general".

    Shapes: x (d,), cov (d, d). Source: Cookbook 61 with a = b = x, and 138.
    """
    judge, convention = _structured(structure, convention, "full")
    return apply(_in(_quadratic_form_gradient, convention), judge, *vector_and_matrix(x, cov, "cov"))


def _quadratic_form_gradient(convention: Convention, x: Array, s: Positive | General) -> Array:
    left, right = matvec(s.inverse.T, x), matvec(s.inverse, x)
    return _in_convention(-outer(left, right), convention)


# Second order.


def hessian(
    data: ArrayLike | SufficientStatistics, mean: ArrayLike, cov: ArrayLike, convention: Convention = "symmetric"
) -> Blocks:
    """The Hessian of L in (mean, vech Sigma), or in (mean, vec Sigma) restricted to symmetric steps ("full").

        mean  -n P
        cross -(g'⊗P) D,  g = n P r
        cov   -D' (P⊗C + C⊗P) D,  C = A + n/4 P        (N ... N in place of D' ... D for "full")

    Blocks: mean d x d, cross d x k, cov k x k; `.matrix()` puts them together. Indefinite away from the maximum.
    Source: MN 15.3 (second differential of the Gaussian log-likelihood); Cookbook 40 applied to A.
    """
    check_convention(convention)
    return apply(_in(_hessian, convention), positive_definite, *sample_and_matrix(data, mean, "cov", cov))


def _hessian(convention: Convention, data: Data, mean: Array, s: Positive) -> Blocks:
    p = s.inverse
    m = moments(data, mean, p)
    return JointBlocks(joint_pairs(-p, curvature(m, p), mean_gradient(m), m.n, convention), convention)


def observed_information(
    data: ArrayLike | SufficientStatistics, mean: ArrayLike, cov: ArrayLike, convention: Convention = "symmetric"
) -> Blocks:
    """Minus the Hessian of L: positive definite at the maximum, and not everywhere. See `hessian`."""
    check_convention(convention)
    return apply(_in(_observed_information, convention), positive_definite, *sample_and_matrix(data, mean, "cov", cov))


def _observed_information(convention: Convention, data: Data, mean: Array, s: Positive) -> Blocks:
    p = s.inverse
    m = moments(data, mean, p)
    return JointBlocks(joint_pairs(p, curvature(m, p), mean_gradient(m), m.n, convention), convention)


def fisher_information(cov: ArrayLike, count: ArrayLike = 1, convention: Convention = "symmetric") -> KroneckerBlocks:
    """E[score score'] = -E[Hessian] of n = `count` observations.

        mean n P,  cross 0,  cov n/2 D'(P⊗P)D        (n/2 N(P⊗P)N for "full")

    Blocks: mean d x d, cross d x k, cov k x k. `.solve(score)` and `.inverse()` are closed forms.
    Source: MN 15.4; B = 2A - A∘I has this information, A has the one in "full".
    """
    check_convention(convention)
    return apply(_in(_fisher, convention), positive_definite, *square_matrix(cov, "cov", count=count))


def _fisher(convention: Convention, count: Array, s: Positive) -> KroneckerBlocks:
    return KroneckerBlocks(joint_square(s.inverse, count, convention), convention, s.matrix, count)


def inverse_fisher_information(cov: ArrayLike, count: ArrayLike = 1, convention: Convention = "symmetric") -> Blocks:
    """The covariance of efficient estimates from n = `count` observations, without inverting anything.

        mean Sigma / n,  cross 0,  cov 2/n D⁺(Sigma⊗Sigma)D⁺'        (2/n N(Sigma⊗Sigma)N for "full")

    Entry (ij, kl) of the cov block is (S_ik S_jl + S_il S_jk) / n; standard errors are the roots of its diagonal.
    Blocks: mean d x d, cross d x k, cov k x k. Source: MN 15.4.
    """
    check_convention(convention)
    return apply(_in(_inverse_fisher, convention), positive_definite, *square_matrix(cov, "cov", count=count))


def _inverse_fisher(convention: Convention, count: Array, s: Positive) -> Blocks:
    return JointBlocks(joint_square(s.matrix, 1 / count, convention, dual=True), convention)


def hessian_vector_product(
    data: ArrayLike | SufficientStatistics,
    mean: ArrayLike,
    cov: ArrayLike,
    tangent_mean: ArrayLike,
    tangent_cov: ArrayLike,
) -> Score:
    """The differential of `score` along (dmu, dSigma), in the "full" convention; dSigma is symmetrised.

        dg = -n P dmu - P dS g
        dA = -(P dS C + C dS P) - 1/2 (P dmu g' + g dmu' P),   C = A + n/4 P

    Shapes: tangent_mean (d,), tangent_cov (d, d). Two d x d products. Source: MN 15.3.
    """
    inputs, name, s = sample_and_matrix(data, mean, "cov", cov)
    dm, ds = as_floats(tangent_mean=tangent_mean, tangent_cov=tangent_cov)
    for key, tangent, shape in (("tangent_mean", dm, s.shape[:1]), ("tangent_cov", ds, s.shape)):
        if tangent.shape != shape:
            raise ValueError(f"{key}: got shape {tangent.shape}, wanted {shape} to match cov of shape {s.shape}.")
    inputs |= {"tangent_mean": dm.astype(s.dtype), "tangent_cov": ds.astype(s.dtype)}
    return apply(_hessian_vector_product, positive_definite, inputs, name, s)


def _hessian_vector_product(data: Data, mean: Array, tangent_mean: Array, tangent_cov: Array, s: Positive) -> Score:
    p = s.inverse
    m = moments(data, mean, p)
    g, a = mean_gradient(m), cov_gradient(m, p)
    return Score(*score_differential(p, m.n, g, a, -tangent_mean, symmetrize(tangent_cov)), "full")


def natural_gradient(score: Score, cov: ArrayLike, count: ArrayLike = 1) -> Tangent:
    """The inverse Fisher information of n = `count` observations times a score: (Sigma g, 2 Sigma sym(G) Sigma) / n.

    Reads the convention that the score carries: both give the same step.
    Shapes: Tangent of mean (d,) and cov (d, d). Source: MN 15.4; Amari, Natural Gradient Works Efficiently (1998).
    """
    numbers, name, s = square_matrix(cov, "cov", count=count)
    g, gradient = as_floats(score_mean=score.mean, score_cov=score.cov)
    if g.shape != s.shape[:1] or gradient.shape != s.shape:
        raise ValueError(
            f"score: got shapes {g.shape} and {gradient.shape}, wanted {s.shape[:1]} and {s.shape} to match cov."
        )
    inputs = {"score_mean": g.astype(s.dtype), "score_cov": gradient.astype(s.dtype), **numbers}
    return apply(_in(_natural_gradient, score.convention), positive_definite, inputs, name, s)


def _natural_gradient(
    convention: Convention, score_mean: Array, score_cov: Array, count: Array, s: Positive
) -> Tangent:
    return kronecker_step(Score(score_mean, score_cov, convention), s.matrix, count)


def log_det_hessian(
    cov: ArrayLike, convention: Convention | None = None, structure: Structure = "positive_definite"
) -> Array:
    """The Hessian of log|S|: -D'(P⊗P)D, k x k ("symmetric", the default); -N(P⊗P)N, d*d x d*d ("full").

    For structure="general", where there is no convention, -K(X^-T⊗X^-1), d*d x d*d, K the commutation matrix.
    Source: MN 10.6; Cookbook 57 differentiated by 60.
    """
    judge, convention = _structured(structure, convention, "symmetric")
    return apply(_in(_log_det_hessian, convention), judge, *square_matrix(cov, "cov"))


def _log_det_hessian(convention: Convention, s: Positive | General) -> Array | PairProducts:
    if isinstance(s, General):
        return -_commute(jnp.kron(s.inverse.T, s.inverse))
    return PairProducts(-s.inverse / 2, s.inverse, convention)


def quadratic_form_hessian(
    x: ArrayLike, cov: ArrayLike, convention: Convention | None = None, structure: Structure = "positive_definite"
) -> Array:
    """The Hessian of x'S^-1 x in S: D'(P⊗Q + Q⊗P)D, Q = P x x' P, k x k ("symmetric", the default); N in place of D.

    For structure="general", where there is no convention, K(X^-T⊗M + M'⊗X^-1), M = X^-1 x x' X^-1, d*d x d*d.
    Shapes: x (d,), cov (d, d). Source: MN 10.6; Cookbook 61 differentiated by 60.
    """
    judge, convention = _structured(structure, convention, "symmetric")
    return apply(_in(_quadratic_form_hessian, convention), judge, *vector_and_matrix(x, cov, "cov"))


def _quadratic_form_hessian(convention: Convention, x: Array, s: Positive | General) -> Array | PairProducts:
    m = outer(matvec(s.inverse, x), matvec(s.inverse.T, x))  # S^-1 x x' S^-1
    if isinstance(s, General):
        return _commute(jnp.kron(s.inverse.T, m) + jnp.kron(m.T, s.inverse))
    return PairProducts(s.inverse, m, convention)


def _commute(h: Array) -> Array:
    """K H, with K the commutation matrix of a square argument."""
    d = math.isqrt(len(h))
    return apply_commutation(h.T, d, d).T
