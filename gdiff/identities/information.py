"""Fisher information, its inverse, natural gradients, and where the Hessian is negative definite.

Expectations are exact: the score is a quadratic in a Gaussian, so Gauss-Hermite quadrature with three nodes a dimension
integrates the product of two of its entries without error. The inverse of the information is held against what it
bounds and these estimates attain, the covariance of x and vech (x - mu)(x - mu)': nothing is inverted, so the reference
is as good at a badly conditioned Sigma as anywhere.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdiff import closed_form
from gdiff.blocks import Score
from gdiff.claim import Argument, Claim
from gdiff.domains import PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import MAGNUS_NEUDECKER, Source, beyond, cov, data, log_likelihood, mean, through_vech
from gdiff.identities.quadrature import nodes

_PD = ("Sigma positive definite",)
_FISHER = r" = \operatorname{diag}\bigl(\Sigma^{-1}, \tfrac12 D^\top (\Sigma^{-1} \otimes \Sigma^{-1}) D\bigr)"
_AMARI = Source("amari", "Amari, Natural Gradient Works Efficiently", "1998")
_mu = Argument("mu", Vector(), ("d",), "mean")
_g = Argument("g", Vector(), ("d",))
_gradient = Argument("G", Symmetric(), ("d", "d"))
_truth = Argument("S", PositiveDefinite(), ("d", "d"), "covariance")


def _covariance_of_estimates(_, s):
    """Cov[(x, vech (x - mu)(x - mu)')]: these are unbiased for (mu, Sigma) and efficient, mu known in the second."""
    d = len(s)
    resid, w = nodes(s)
    columns, rows = np.triu_indices(d)  # vech goes column by column
    estimates = jnp.concatenate([resid, resid[:, rows] * resid[:, columns]], axis=1)
    about = estimates - w @ estimates
    return (about * w[:, None]).T @ about


def _expected_outer_product(mu, s):
    """E[score score'] in (mu, vech Sigma), the score by autodiff, the expectation by quadrature."""
    resid, w = nodes(s)
    points = mu + resid

    def score(v):
        g, theta = through_vech(lambda m, c: log_likelihood(v, m, c), mu, s)
        return jax.grad(g)(theta)

    scores = jax.vmap(score)(points)
    return (scores * w[:, None]).T @ scores


def _expected_hessian(mu, s):
    """-E[Hessian] in (mu, vech Sigma): log f is linear in x - mu and its square, of expectations 0 and Sigma."""
    expected = jax.lax.stop_gradient(s)
    center = jax.lax.stop_gradient(mu)

    def expected_log_density(m, c):
        return log_likelihood(center, m, c) - jnp.trace(jnp.linalg.solve(c, expected)) / 2

    g, theta = through_vech(expected_log_density, mu, s)
    return -jax.hessian(g)(theta)


def _full(m, d):
    """N H N in (mu, vec Sigma) from D' H D: a pair off the diagonal shares its derivative."""
    pairs = [(i, j) for j in range(d) for i in range(j, d)]
    q = np.zeros((d + d * d, d + len(pairs)))
    q[:d, :d] = np.eye(d)
    for column, (i, j) in enumerate(pairs):
        q[d + j * d + i, d + column] = q[d + i * d + j, d + column] = 1 if i == j else 0.5
    return q @ m @ q.T


def _natural_gradient(g, gradient, s):
    """The inverse information times a score, the covariance gradient taken as one of free entries."""
    columns, rows = np.triu_indices(len(g))
    distinct = jnp.where(rows == columns, 1, 2) * ((gradient + gradient.T) / 2)[rows, columns]
    return _covariance_of_estimates(None, s) @ jnp.concatenate([g, distinct])


def _natural_gradient_claim(g, gradient, s):
    step = closed_form.natural_gradient(Score(g, gradient), s)
    columns, rows = np.triu_indices(len(g))
    return jnp.concatenate([step.mean, step.cov[rows, columns]])


def _hessian_in_mean(rows, mu, s):
    return jax.hessian(lambda m: log_likelihood(rows, m, s))(mu)


def _hessian_at_maximum(mu, s):
    """The Hessian in (mu, vech Sigma) for a sample whose mean is mu and whose covariance is Sigma."""
    return -_expected_hessian(mu, s)


def _hessian_anywhere(rows, mu, s):
    g, theta = through_vech(lambda m, c: log_likelihood(rows, m, c), mu, s)
    return jax.hessian(g)(theta)


CLAIMS = (
    Claim(
        name="fisher_information/score",
        title="Fisher information as E[score score']",
        statement=r"E[s s^\top]" + _FISHER,
        function=_expected_outer_product,
        derivative=lambda _, s: closed_form.fisher_information(s).matrix(),
        arguments=(_mu, _truth),
        wrt=(),
        kind="value",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        also=(beyond(3),),
        hypotheses=_PD,
    ),
    Claim(
        name="fisher_information/hessian",
        title="Fisher information as -E[Hessian]",
        statement=r"-E[\nabla^2 \log f]" + _FISHER,
        function=_expected_hessian,
        derivative=lambda _, s: closed_form.fisher_information(s).matrix(),
        arguments=(_mu, _truth),
        wrt=(),
        kind="value",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        also=(beyond(3),),
        hypotheses=_PD,
    ),
    Claim(
        name="fisher_information/full",
        title="Fisher information on symmetric steps",
        statement=r"E[s s^\top]" + _FISHER.replace(r"D^\top", "N").replace("D", "N"),
        function=lambda m, s: _full(_expected_outer_product(m, s), len(m)),
        derivative=lambda _, s: closed_form.fisher_information(s, convention="full").matrix(),
        arguments=(_mu, _truth),
        wrt=(),
        kind="value",
        convention="full",
        source=MAGNUS_NEUDECKER,
        also=(beyond(3),),
        hypotheses=_PD,
    ),
    Claim(
        name="inverse_fisher_information",
        title="covariance of efficient estimates",
        statement=r"I^{-1} = \operatorname{diag}\bigl(\Sigma, 2 D^{+} (\Sigma \otimes \Sigma) D^{+\top}\bigr)",
        function=_covariance_of_estimates,
        derivative=lambda _, s: closed_form.inverse_fisher_information(s).matrix(),
        arguments=(_mu, _truth),
        wrt=(),
        kind="value",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        also=(beyond(3),),
        hypotheses=_PD,
    ),
    Claim(
        name="natural_gradient",
        title="inverse Fisher information times the score",
        statement=r"I^{-1} s = (\Sigma g,\; 2 \Sigma G \Sigma)",
        function=_natural_gradient,
        derivative=_natural_gradient_claim,
        arguments=(_g, _gradient, _truth),
        wrt=(),
        kind="value",
        source=_AMARI,
        hypotheses=_PD,
    ),
    Claim(
        name="concave/mean",
        title="the Hessian in the mean is negative definite everywhere",
        statement=r"\nabla^2_\mu L \prec 0",
        function=_hessian_in_mean,
        derivative=None,
        arguments=(data, mean, cov),
        wrt=(),
        kind="negative definite",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="concave/maximum",
        title="the Hessian in (mu, vech Sigma) is negative definite at the maximum",
        statement=r"\nabla^2_{(\mu, \operatorname{vech} \Sigma)} L \prec 0 \text{ at } \mu = \bar x,\; \Sigma = C/n",
        function=_hessian_at_maximum,
        derivative=None,
        arguments=(_mu, _truth),
        wrt=(),
        kind="negative definite",
        source=MAGNUS_NEUDECKER,
        also=(beyond(4),),
        hypotheses=_PD,
    ),
    Claim(
        name="concave/everywhere",
        title="the Hessian in (mu, vech Sigma) is negative definite everywhere",
        statement=r"\nabla^2_{(\mu, \operatorname{vech} \Sigma)} L \prec 0",
        function=_hessian_anywhere,
        derivative=None,
        arguments=(data, mean, cov),
        wrt=(),
        kind="negative definite",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
        expected="refuted",
        note="kept because it is false: far from the data, log|Sigma| curves the other way",
    ),
)
