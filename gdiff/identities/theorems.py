"""Theorems about Gaussians: Bonnet, Price, Stein, Plackett, cumulants; the Gaussian copula, log-sum-exp, log-ratios.

Expectations are of polynomials, and exact: worked out by hand, or by Gauss-Hermite quadrature.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import Correlation, General, PositiveDefinite, Vector
from gdiff.identities.notation import beyond, density, log_det, log_likelihood, quadratic_form
from gdiff.identities.quadrature import expectation, nodes
from gdiff.written import identity

_PD = ("Sigma positive definite",)
_x = Argument("x", Vector(), ("d",))
_mu = Argument("mu", Vector(), ("d",))
_cov = Argument("S", PositiveDefinite(), ("d", "d"))
_u = Argument("u", Vector(), ("d",))
_v = Argument("v", Vector(), ("d",))

_EXPECTED = r"E_{x \sim N(a, B)} \log N(x \mid \mu, \Sigma)"
_expected_arguments = (Argument("a", Vector(), ("d",)), Argument("B", PositiveDefinite(), ("d", "d")), _mu, _cov)


def _expected_log_density(a, b, mu, s):
    return expectation(lambda v: log_likelihood(v, mu, s), a, b)


def _expected_in_covariance(a, b, mu, s):
    p = jnp.linalg.inv(s)
    return (p @ (b + jnp.outer(a - mu, a - mu)) @ p - p) / 2


_EXPECTED_LOG_DENSITY = (
    Claim(
        name="expected_log_density/value",
        title="expected log-density",
        statement=rf"{_EXPECTED} = \log N(a \mid \mu, \Sigma) - \tfrac12 \operatorname{{tr}}(P B)",
        function=_expected_log_density,
        derivative=lambda a, b, mu, s: log_likelihood(a, mu, s) - jnp.trace(jnp.linalg.solve(s, b)) / 2,
        arguments=_expected_arguments,
        wrt=(),
        kind="value",
        source=beyond(27),
        hypotheses=("B and Sigma positive definite",),
    ),
    Claim(
        name="expected_log_density/location",
        title="gradient of the expected log-density in the mean of x",
        statement=rf"\frac{{\partial}}{{\partial a}} {_EXPECTED} = -P d, \quad d = a - \mu",
        function=_expected_log_density,
        derivative=lambda a, _, mu, s: -jnp.linalg.solve(s, a - mu),
        arguments=_expected_arguments,
        wrt=(0,),
        source=beyond(27),
        hypotheses=("B and Sigma positive definite",),
    ),
    Claim(
        name="expected_log_density/spread",
        title="gradient of the expected log-density in the covariance of x",
        statement=rf"\nabla_B {_EXPECTED} = -\tfrac12 P",
        function=_expected_log_density,
        derivative=lambda _a, _b, _mu, s: -jnp.linalg.inv(s) / 2,
        arguments=_expected_arguments,
        wrt=(1,),
        convention="full",
        source=beyond(27),
        hypotheses=("B and Sigma positive definite",),
    ),
    Claim(
        name="expected_log_density/mean",
        title="gradient of the expected log-density in mu",
        statement=rf"\frac{{\partial}}{{\partial \mu}} {_EXPECTED} = P d, \quad d = a - \mu",
        function=_expected_log_density,
        derivative=lambda a, _, mu, s: jnp.linalg.solve(s, a - mu),
        arguments=_expected_arguments,
        wrt=(2,),
        source=beyond(27),
        hypotheses=("B and Sigma positive definite",),
    ),
    Claim(
        name="expected_log_density/covariance",
        title="gradient of the expected log-density in Sigma",
        statement=rf"\nabla_\Sigma {_EXPECTED} = \tfrac12 \bigl(P (B + d d^\top) P - P\bigr), \quad d = a - \mu",
        function=_expected_log_density,
        derivative=_expected_in_covariance,
        arguments=_expected_arguments,
        wrt=(3,),
        convention="full",
        source=beyond(27),
        hypotheses=("B and Sigma positive definite",),
    ),
)


def _cubic(u, v, x):
    """f(x) = (u'x)^2 v'x."""
    return (u @ x) ** 2 * (v @ x)


def _expected_cubic(mu, s, u, v):
    """E f(x) by the moments of two Gaussians."""
    return ((u @ mu) ** 2 + u @ s @ u) * (v @ mu) + 2 * (u @ mu) * (u @ s @ v)


def _expected_gradient(mu, s, u, v):
    return expectation(jax.grad(lambda x: _cubic(u, v, x)), mu, s)


def _expected_hessian(mu, s, u, v):
    return expectation(jax.hessian(lambda x: _cubic(u, v, x)), mu, s)


def _twice_off_diagonal(m):
    """M + M' - diag(M)."""
    return m + m.T - jnp.diag(jnp.diag(m))


def _field(a, b, x):
    """f(x) = (A x) o (B x), of m entries."""
    return (a @ x) * (b @ x)


def _stein_claim(mu, s, a, b):
    return s @ expectation(jax.jacfwd(lambda x: _field(a, b, x)), mu, s).T


def _stein_by_nodes(mu, s, a, b):
    resid, w = nodes(s)
    values = jax.vmap(lambda r: _field(a, b, mu + r))(resid)
    return (resid * w[:, None]).T @ values


_DERIVATIVES_OF_EXPECTATIONS = (
    Claim(
        name="bonnet/mean",
        title="gradient of an expectation in the mean (Bonnet)",
        statement=r"\frac{\partial}{\partial \mu} E f(x) = E[\nabla f(x)], \quad x \sim N(\mu, \Sigma)",
        function=_expected_cubic,
        derivative=_expected_gradient,
        arguments=(_mu, _cov, _u, _v),
        wrt=(0,),
        source=beyond(28),
        hypotheses=("f smooth, of polynomial growth", "Sigma positive definite"),
    ),
    Claim(
        name="price/full",
        title="gradient of an expectation in the covariance (Price)",
        statement=r"\nabla_\Sigma E f(x) = \tfrac12 E[\nabla^2 f(x)], \quad x \sim N(\mu, \Sigma)",
        function=_expected_cubic,
        derivative=lambda mu, s, u, v: _expected_hessian(mu, s, u, v) / 2,
        arguments=(_mu, _cov, _u, _v),
        wrt=(1,),
        convention="full",
        source=beyond(28),
        hypotheses=("f smooth, of polynomial growth", "Sigma positive definite"),
    ),
    Claim(
        name="price/symmetric",
        title="gradient of an expectation in the distinct entries of the covariance (Price)",
        statement=(
            r"\frac{\partial}{\partial \operatorname{vech} \Sigma} E f(x)"
            r" = \tfrac12 D^\top \operatorname{vec} E[\nabla^2 f(x)], \quad x \sim N(\mu, \Sigma)"
        ),
        function=_expected_cubic,
        derivative=lambda mu, s, u, v: _twice_off_diagonal(_expected_hessian(mu, s, u, v) / 2),
        arguments=(_mu, _cov, _u, _v),
        wrt=(1,),
        convention="symmetric",
        source=beyond(28),
        hypotheses=("f smooth, of polynomial growth", "Sigma positive definite"),
    ),
    Claim(
        name="stein/lemma",
        title="Stein's lemma",
        statement=(
            r"E[(x - \mu) f(x)^\top] = \Sigma\, E\Bigl[\frac{\partial f}{\partial x^\top}\Bigr]^\top,"
            r" \quad x \sim N(\mu, \Sigma)"
        ),
        function=_stein_by_nodes,
        derivative=_stein_claim,
        arguments=(_mu, _cov, Argument("A", General(), ("m", "d")), Argument("B", General(), ("m", "d"))),
        wrt=(),
        kind="value",
        source=beyond(29),
        hypotheses=("f smooth, of polynomial growth", "Sigma positive definite"),
    ),
    Claim(
        name="plackett/full",
        title="the density solves the heat equation (Plackett)",
        statement=(
            r"\nabla_\Sigma N(x \mid \mu, \Sigma)"
            r" = \tfrac12 \frac{\partial^2}{\partial x\, \partial x^\top} N(x \mid \mu, \Sigma)"
        ),
        function=density,
        derivative=lambda v, mu, s: jax.hessian(density)(v, mu, s) / 2,
        arguments=(_x, _mu, _cov),
        wrt=(2,),
        convention="full",
        source=beyond(30),
        hypotheses=_PD,
    ),
    Claim(
        name="plackett/symmetric",
        title="the heat equation in the distinct entries of the covariance (Plackett)",
        statement=(
            r"\frac{\partial N}{\partial \Sigma_{ij}} = \frac{\partial^2 N}{\partial x_i \partial x_j},"
            r" \quad i \ne j, \quad \frac{\partial N}{\partial \Sigma_{ii}}"
            r" = \tfrac12 \frac{\partial^2 N}{\partial x_i^2}"
        ),
        function=density,
        derivative=lambda v, mu, s: _twice_off_diagonal(jax.hessian(density)(v, mu, s) / 2),
        arguments=(_x, _mu, _cov),
        wrt=(2,),
        convention="symmetric",
        source=beyond(30),
        hypotheses=_PD,
    ),
)


def _copula(z, r):
    return -(log_det(r) + z @ (jnp.linalg.inv(r) - jnp.eye(len(z))) @ z) / 2


def _copula_in_correlations(z, r):
    """2 G off the diagonal."""
    p = jnp.linalg.inv(r)
    g = (jnp.outer(p @ z, p @ z) - p) / 2
    return 2 * (g - jnp.diag(jnp.diag(g)))


_correlation = Argument("R", Correlation(), ("d", "d"))
_COPULA = ("R a correlation matrix",)


def _cumulants(u, t, mu, s):
    """log E e^t'x: e^t'x N(x | mu, S) is e to this times N(x | mu + S t, S), whatever x = mu + S u."""
    x = mu + s @ u
    return t @ x - (quadratic_form(x - mu, s) - quadratic_form(x - mu - s @ t, s)) / 2


def _log_normal_mean(u, mu, s):
    """E e^x_i for every i."""
    return jnp.stack([jnp.exp(_cumulants(u, unit, mu, s)) for unit in jnp.eye(len(mu))])


_t = Argument("a", Vector(), ("d",))
_CUMULANTS = r"\log E\, e^{a^\top x}"
_tilted = (_u, _t, _mu, _cov)
_GENERATING = (
    Claim(
        name="cumulants/value",
        title="cumulant-generating function",
        statement=rf"{_CUMULANTS} = a^\top \mu + \tfrac12 a^\top \Sigma a, \quad x \sim N(\mu, \Sigma)",
        function=_cumulants,
        derivative=lambda _, t, mu, s: t @ mu + t @ s @ t / 2,
        arguments=_tilted,
        wrt=(),
        kind="value",
        source=beyond(45),
        hypotheses=_PD,
    ),
    Claim(
        name="cumulants/gradient",
        title="gradient of the cumulant-generating function",
        statement=rf"\frac{{\partial}}{{\partial a}} {_CUMULANTS} = \mu + \Sigma a",
        function=_cumulants,
        derivative=lambda _, t, mu, s: mu + s @ t,
        arguments=_tilted,
        wrt=(1,),
        source=beyond(45),
        hypotheses=_PD,
    ),
    Claim(
        name="cumulants/hessian",
        title="Hessian of the cumulant-generating function",
        statement=rf"\frac{{\partial^2}}{{\partial a\, \partial a^\top}} {_CUMULANTS} = \Sigma",
        function=_cumulants,
        derivative=lambda _u, _t, _mu, s: s,
        arguments=_tilted,
        wrt=(1,),
        kind="hessian",
        source=beyond(45),
        hypotheses=_PD,
    ),
    Claim(
        name="cumulants/mean",
        title="gradient of the cumulant-generating function in the mean",
        statement=rf"\frac{{\partial}}{{\partial \mu}} {_CUMULANTS} = a",
        function=_cumulants,
        derivative=lambda _u, t, _mu, _s: t,
        arguments=_tilted,
        wrt=(2,),
        source=beyond(45),
        hypotheses=_PD,
    ),
    Claim(
        name="cumulants/covariance",
        title="gradient of the cumulant-generating function in the covariance",
        statement=rf"\nabla_\Sigma {_CUMULANTS} = \tfrac12 a a^\top",
        function=_cumulants,
        derivative=lambda _u, t, _mu, _s: jnp.outer(t, t) / 2,
        arguments=_tilted,
        wrt=(3,),
        convention="full",
        source=beyond(45),
        hypotheses=_PD,
    ),
    Claim(
        name="cumulants/log_normal",
        title="means of log-normal variables",
        statement=r"E\, e^{x_i} = \exp(\mu_i + \tfrac12 \Sigma_{ii}), \quad x \sim N(\mu, \Sigma)",
        function=_log_normal_mean,
        derivative=lambda _, mu, s: jnp.exp(mu + jnp.diag(s) / 2),
        arguments=(_u, _mu, _cov),
        wrt=(),
        kind="value",
        source=beyond(45),
        hypotheses=_PD,
    ),
)

_LINKS = (
    Claim(
        name="copula/correlations",
        title="score of the Gaussian copula in the correlations",
        statement=(
            r"\frac{\partial \log c}{\partial R_{ij}} = 2 G_{ij}, \quad i < j,"
            r" \quad G = \tfrac12 (R^{-1} z z^\top R^{-1} - R^{-1}),"
            r" \quad \log c = -\tfrac12 \log\det R - \tfrac12 z^\top (R^{-1} - I) z"
        ),
        function=_copula,
        derivative=_copula_in_correlations,
        arguments=(Argument("z", Vector(), ("d",)), _correlation),
        wrt=(1,),
        convention="symmetric",
        source=beyond(43),
        hypotheses=(*_COPULA, "the diagonal of R fixed at 1"),
        dimensions=(2, 3),
    ),
    identity(
        "copula/scores",
        "-1/2*log(det(R)) - 1/2*z'*(inv(R) - I)*z",
        "-(inv(R) - I)*z",
        "z",
        title="gradient of the Gaussian copula in the normal scores",
        domains={"R": Correlation()},
        source=beyond(43),
        hypotheses=_COPULA,
        dimensions=(2, 3),
    ),
    identity(
        "log_sum_exp/gradient",
        "log(sum(exp(z)))",
        "exp(z)/sum(exp(z))",
        "z",
        title="gradient of log-sum-exp: the softmax",
        shapes={"z": ("d",)},
        source=beyond(72),
        hypotheses=("z real",),
        dimensions=(2, 3),
    ),
    identity(
        "log_sum_exp/hessian",
        "log(sum(exp(z)))",
        "diag(exp(z)/sum(exp(z))) - exp(z)*exp(z)'/sum(exp(z))^2",
        "z",
        kind="hessian",
        title="Hessian of log-sum-exp",
        shapes={"z": ("d",)},
        source=beyond(72),
        hypotheses=("z real",),
        dimensions=(2, 3),
    ),
    identity(
        "discriminant/gradient",
        "1/2*log(det(S2)) - 1/2*log(det(S1)) + 1/2*(x - m2)'*inv(S2)*(x - m2) - 1/2*(x - m1)'*inv(S1)*(x - m1)",
        "inv(S2)*(x - m2) - inv(S1)*(x - m1)",
        "x",
        title="gradient of the log-ratio of two Gaussian densities",
        domains={"S1": PositiveDefinite(), "S2": PositiveDefinite()},
        source=beyond(72),
        hypotheses=("S1 and S2 positive definite",),
    ),
)

CLAIMS: tuple[Claim, ...] = (*_EXPECTED_LOG_DENSITY, *_DERIVATIVES_OF_EXPECTATIONS, *_GENERATING, *_LINKS)
