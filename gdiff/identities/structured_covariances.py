"""Covariances with a structure: diagonal, isotropic, Kronecker products, standard deviations times correlations.

Here l = log N(x | mu, Sigma), r = x - mu, and G is the gradient of a function of Sigma, entries free.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import Correlation, General, Positive, PositiveDefinite, Vector
from gdiff.identities.notation import beyond, log_likelihood
from gdiff.identities.quadrature import expectation

_S = ("Sigma = diag(s), s positive",)
_SD = ("Sigma = diag(sigma)^2, sigma positive",)
_T = ("Sigma = diag(exp(t))",)
_V = ("Sigma = v I, v positive",)
_KRON = ("Sigma = A kron B, entries of A and B free",)
_SCALED = ("Sigma = diag(sigma) R diag(sigma)", "R a correlation matrix, sigma positive")
_x = Argument("x", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_s = Argument("s", Positive(), ("d",))
_sd = Argument("sigma", Positive(), ("d",))
_t = Argument("t", Vector(), ("d",))
_v = Argument("v", Positive(), ())
_left = Argument("A", General(), ("d", "m"))
_right = Argument("B", General(), ("p", "d"))
_correlation = Argument("R", Correlation(), ("d", "d"))
_weights = Argument("W", General(), ("d", "d"))


def _in_variances(v, mu, s):
    return log_likelihood(v, mu, jnp.diag(s))


def _in_deviations(v, mu, sd):
    return log_likelihood(v, mu, jnp.diag(sd) @ jnp.diag(sd))


def _in_log_variances(v, mu, t):
    return log_likelihood(v, mu, jnp.diag(jnp.exp(t)))


def _in_one_variance(v, mu, s):
    return log_likelihood(v, mu, s * jnp.eye(len(mu)))


def _information(log_density, covariance):
    """E[score score'] in the last argument of a log-density, as a function of it; `covariance` makes Sigma of it."""

    def function(mu, theta):
        def product(x):
            score = jax.grad(log_density, 2)(x, mu, theta)
            return score[..., None] * score

        return expectation(product, mu, covariance(mu, theta))

    return function


def _quartic(a, b):
    """f(S) = tr((S' S)^2) / 4 at S = A kron B; its gradient is S S' S."""
    s = jnp.kron(a, b)
    return jnp.sum((s.T @ s) ** 2) / 4


def _blocks(a, b):
    """G_[ij]: the gradient at A kron B in blocks of the shape of B, indices i, j, k, l."""
    s = jnp.kron(a, b)
    return (s @ s.T @ s).reshape(a.shape[0], b.shape[0], a.shape[1], b.shape[1]).transpose(0, 2, 1, 3)


def _log_det_of_kron(a, b):
    return jnp.linalg.slogdet(jnp.kron(a, b))[1]


def _scaled(sd, r):
    return jnp.diag(sd) @ r @ jnp.diag(sd)


def _of_scaled(sd, r, w):
    """f(S) = sum_ij sin(W_ij S_ij): its gradient W o cos(W o S) is not symmetric."""
    return jnp.sum(jnp.sin(w * _scaled(sd, r)))


def _sym_gradient(sd, r, w):
    """sym(G) at Sigma = diag(sd) R diag(sd)."""
    g = w * jnp.cos(w * _scaled(sd, r))
    return (g + g.T) / 2


def _off_diagonal(m):
    return m - jnp.diag(jnp.diag(m))


def _to_correlation(s):
    root = jnp.sqrt(jnp.diagonal(s))
    return s / jnp.outer(root, root)


def _to_correlation_claim(s, ds):
    root, d = jnp.sqrt(jnp.diag(s)), jnp.diag(ds) / jnp.diag(s)
    return ds / root[:, None] / root - (d[:, None] + d) / 2 * _to_correlation(s)


_FREE_VARIANCES = (
    Claim(
        name="diagonal/variances",
        title="score of the variances",
        statement=r"\frac{\partial l}{\partial s} = \tfrac12 \Bigl(\frac{r^2}{s^2} - \frac1s\Bigr)",
        function=_in_variances,
        derivative=lambda v, mu, s: ((v - mu) ** 2 / s**2 - 1 / s) / 2,
        arguments=(_x, _mu, _s),
        wrt=(2,),
        source=beyond(15),
        hypotheses=_S,
    ),
    Claim(
        name="diagonal/deviations",
        title="score of the standard deviations",
        statement=r"\frac{\partial l}{\partial \sigma} = \frac{r^2}{\sigma^3} - \frac1\sigma",
        function=_in_deviations,
        derivative=lambda v, mu, sd: (v - mu) ** 2 / sd**3 - 1 / sd,
        arguments=(_x, _mu, _sd),
        wrt=(2,),
        source=beyond(15),
        hypotheses=_SD,
    ),
    Claim(
        name="diagonal/log_variances",
        title="score of the log-variances",
        statement=r"\frac{\partial l}{\partial t} = \tfrac12 \Bigl(\frac{r^2}{s} - 1\Bigr), \quad s = e^t",
        function=_in_log_variances,
        derivative=lambda v, mu, t: ((v - mu) ** 2 / jnp.exp(t) - 1) / 2,
        arguments=(_x, _mu, _t),
        wrt=(2,),
        source=beyond(15),
        hypotheses=_T,
    ),
    Claim(
        name="diagonal/log_variances_hessian",
        title="Hessian in the log-variances",
        statement=(
            r"\frac{\partial^2 l}{\partial t\, \partial t^\top}"
            r" = -\tfrac12 \operatorname{diag}\Bigl(\frac{r^2}{s}\Bigr), \quad s = e^t"
        ),
        function=_in_log_variances,
        derivative=lambda v, mu, t: -jnp.diag((v - mu) ** 2 / jnp.exp(t)) / 2,
        arguments=(_x, _mu, _t),
        wrt=(2,),
        kind="hessian",
        source=beyond(15),
        hypotheses=_T,
    ),
    Claim(
        name="diagonal/variances_fisher",
        title="Fisher information of the variances",
        statement=r"I(s) = \tfrac12 \operatorname{diag}(s^{-2})",
        function=_information(_in_variances, lambda _, s: jnp.diag(s)),
        derivative=lambda _, s: jnp.diag(s**-2.0) / 2,
        arguments=(_mu, _s),
        wrt=(),
        kind="value",
        source=beyond(15),
        hypotheses=_S,
    ),
    Claim(
        name="diagonal/deviations_fisher",
        title="Fisher information of the standard deviations",
        statement=r"I(\sigma) = 2 \operatorname{diag}(\sigma^{-2})",
        function=_information(_in_deviations, lambda _, sd: jnp.diag(sd**2)),
        derivative=lambda _, sd: 2 * jnp.diag(sd**-2.0),
        arguments=(_mu, _sd),
        wrt=(),
        kind="value",
        source=beyond(15),
        hypotheses=_SD,
    ),
    Claim(
        name="diagonal/log_variances_fisher",
        title="Fisher information of the log-variances",
        statement=r"I(t) = \tfrac12 I",
        function=_information(_in_log_variances, lambda _, t: jnp.diag(jnp.exp(t))),
        derivative=lambda _, t: jnp.eye(len(t)) / 2,
        arguments=(_mu, _t),
        wrt=(),
        kind="value",
        source=beyond(15),
        hypotheses=_T,
    ),
    Claim(
        name="isotropic/variance",
        title="score of one variance for all n coordinates",
        statement=r"\frac{\partial l}{\partial v} = \tfrac12 \Bigl(\frac{r^\top r}{v^2} - \frac{n}{v}\Bigr)",
        function=_in_one_variance,
        derivative=lambda x, mu, v: ((x - mu) @ (x - mu) / v**2 - len(mu) / v) / 2,
        arguments=(_x, _mu, _v),
        wrt=(2,),
        source=beyond(16),
        hypotheses=_V,
    ),
    Claim(
        name="isotropic/fisher",
        title="Fisher information of one variance for all n coordinates",
        statement=r"I(v) = \frac{n}{2 v^2}",
        function=_information(_in_one_variance, lambda mu, v: v * jnp.eye(len(mu))),
        derivative=lambda mu, v: jnp.asarray([len(mu) / (2 * v**2)]),
        arguments=(_mu, _v),
        wrt=(),
        kind="value",
        source=beyond(16),
        hypotheses=_V,
    ),
)

_KRONECKER = (
    Claim(
        name="kronecker/left",
        title="gradient of a function of A kron B in A",
        statement=(
            r"\frac{\partial f(A \otimes B)}{\partial A_{ij}} = \operatorname{tr}(G_{[ij]}^\top B),"
            r" \quad G_{[ij]} \text{ the block } i, j \text{ of } G"
        ),
        function=_quartic,
        derivative=lambda a, b: jnp.einsum("ijkl,kl->ij", _blocks(a, b), b),
        arguments=(_left, _right),
        wrt=(0,),
        source=beyond(20),
        hypotheses=_KRON,
    ),
    Claim(
        name="kronecker/right",
        title="gradient of a function of A kron B in B",
        statement=r"\frac{\partial f(A \otimes B)}{\partial B} = \sum_{ij} A_{ij} G_{[ij]}",
        function=_quartic,
        derivative=lambda a, b: jnp.einsum("ij,ijkl->kl", a, _blocks(a, b)),
        arguments=(_left, _right),
        wrt=(1,),
        source=beyond(20),
        hypotheses=_KRON,
    ),
    Claim(
        name="kronecker/log_det_left",
        title="gradient of log|det(A kron B)| in A",
        statement=r"\frac{\partial}{\partial A} \log|\det(A \otimes B)| = n A^{-\top}, \quad B \in R^{n \times n}",
        function=_log_det_of_kron,
        derivative=lambda a, b: len(b) * jnp.linalg.inv(a).T,
        arguments=(Argument("A", General(), ("d", "d")), Argument("B", General(), ("p", "p"))),
        wrt=(0,),
        source=beyond(20),
        hypotheses=("A and B square and invertible, entries independent",),
    ),
    Claim(
        name="kronecker/log_det_right",
        title="gradient of log|det(A kron B)| in B",
        statement=r"\frac{\partial}{\partial B} \log|\det(A \otimes B)| = m B^{-\top}, \quad A \in R^{m \times m}",
        function=_log_det_of_kron,
        derivative=lambda a, b: len(a) * jnp.linalg.inv(b).T,
        arguments=(Argument("A", General(), ("p", "p")), Argument("B", General(), ("d", "d"))),
        wrt=(1,),
        source=beyond(20),
        hypotheses=("A and B square and invertible, entries independent",),
    ),
)

_CORRELATIONS = (
    Claim(
        name="correlation/deviations",
        title="gradient of a function of Sigma in the standard deviations",
        statement=(
            r"\frac{\partial f}{\partial \sigma_i}"
            r" = 2 [\operatorname{sym}(G) \operatorname{diag}(\sigma) R]_{ii}"
        ),
        function=_of_scaled,
        derivative=lambda sd, r, w: 2 * jnp.diag(_sym_gradient(sd, r, w) @ jnp.diag(sd) @ r),
        arguments=(_sd, _correlation, _weights),
        wrt=(0,),
        source=beyond(21),
        hypotheses=_SCALED,
    ),
    Claim(
        name="correlation/correlations",
        title="gradient of a function of Sigma in the correlations",
        statement=(
            r"\frac{\partial f}{\partial R_{ij}} = 2 \sigma_i \sigma_j \operatorname{sym}(G)_{ij}, \quad i < j,"
            r" \quad R_{ij} = R_{ji}"
        ),
        function=_of_scaled,
        derivative=lambda sd, r, w: _off_diagonal(2 * jnp.outer(sd, sd) * _sym_gradient(sd, r, w)),
        arguments=(_sd, _correlation, _weights),
        wrt=(1,),
        convention="symmetric",
        source=beyond(21),
        hypotheses=_SCALED,
        dimensions=(2, 3),
    ),
    Claim(
        name="correlation/of_covariance",
        title="differential of the correlation matrix",
        statement=(
            r"\mathrm{d} R_{ij} = \frac{\mathrm{d} \Sigma_{ij}}{\sigma_i \sigma_j}"
            r" - \tfrac12 \Bigl(\frac{d_i}{s_i} + \frac{d_j}{s_j}\Bigr) R_{ij},"
            r" \quad d = \operatorname{diag} \mathrm{d} \Sigma,\; s = \operatorname{diag} \Sigma = \sigma^2"
        ),
        function=_to_correlation,
        derivative=_to_correlation_claim,
        arguments=(Argument("S", PositiveDefinite(), ("d", "d")),),
        wrt=(0,),
        kind="differential",
        source=beyond(21),
        hypotheses=("Sigma positive definite",),
        dimensions=(2, 3),
    ),
)

CLAIMS: tuple[Claim, ...] = (*_FREE_VARIANCES, *_KRONECKER, *_CORRELATIONS)
