"""Scores of the Wishart and the inverse Wishart distribution of p x p matrices, and their information.

psi_p(a) = sum_i psi(a - (i-1)/2) is the multivariate digamma function; D is the duplication matrix.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln, polygamma

from gdiff.claim import Argument, Claim
from gdiff.domains import Positive, PositiveDefinite, Scalar, Symmetric
from gdiff.identities.notation import beyond, log_det
from gdiff.symmetric.coordinates import duplication_matrix, vec, vech


@dataclass(frozen=True)
class _Degrees(Positive):
    """Degrees of freedom, above p - 1 for every size that is tried."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        return 4 + super().sample(rng, shape, condition=condition, scale=scale)


_nu = Argument("nu", _Degrees(), ())
_x = Argument("X", PositiveDefinite(), ("d", "d"))
_v = Argument("V", PositiveDefinite(), ("d", "d"))
_dv = Argument("dV", Symmetric(), ("d", "d"))
_dnu = Argument("dnu", Scalar(), ())
_psi = Argument("Psi", PositiveDefinite(), ("d", "d"))
_WISHART = ("X and V positive definite", "nu > p - 1")
_INVERSE = ("X and Psi positive definite", "nu > p - 1")


def _log_gamma(a, p):
    """log of the multivariate gamma function."""
    return p * (p - 1) / 4 * math.log(math.pi) + sum(gammaln(a - i / 2) for i in range(p))


def _digamma(a, p):
    return jnp.sum(digamma(a - jnp.arange(p) / 2))


def _trigamma(a, p):
    return jnp.sum(polygamma(1, a - jnp.arange(p) / 2))


def _wishart(x, v, nu):
    p = len(x)
    fit = (nu - p - 1) * log_det(x) - jnp.trace(jnp.linalg.solve(v, x))
    return (fit - nu * p * math.log(2) - nu * log_det(v)) / 2 - _log_gamma(nu / 2, p)


def _wishart_scale(x, v, nu):
    inverse = jnp.linalg.inv(v)
    return (inverse @ x @ inverse - nu * inverse) / 2


def _wishart_degrees(x, v, nu):
    p = len(x)
    return (log_det(x) - p * math.log(2) - log_det(v) - _digamma(nu / 2, p)) / 2


def _wishart_hessian(x, v, nu):
    d, inverse = duplication_matrix(len(v)), jnp.linalg.inv(v)
    return d.T @ (nu / 2 * jnp.kron(inverse, inverse) - jnp.kron(inverse, inverse @ x @ inverse)) @ d


def _wishart_information(v, nu, dv, dnu):
    """-E[Hessian] in (vech V, nu), times a step: the Hessian is affine in X, and E X = nu V."""
    x = nu * v
    _, (g, of_degrees) = jax.jvp(lambda s, t: jax.grad(_wishart, (1, 2))(x, s, t), (v, nu), (dv, dnu))
    distinct = [g[i, j] + g[j, i] * (i != j) for j in range(len(v)) for i in range(j, len(v))]
    return -jnp.stack([*distinct, of_degrees])


def _wishart_fisher(v, nu, dv, dnu):
    d, inverse = duplication_matrix(len(v)), jnp.linalg.inv(v)
    scale = nu / 2 * d.T @ jnp.kron(inverse, inverse) @ d
    cross = d.T @ vec(inverse) / 2
    of_degrees = cross @ vech(dv) + _trigamma(nu / 2, len(v)) / 4 * dnu
    return jnp.append(scale @ vech(dv) + cross * dnu, of_degrees)


_PSI_P = r"\psi_p(a) = \sum_i \psi\bigl(a - \tfrac{i-1}{2}\bigr)"
_WISHARTS = (
    Claim(
        name="wishart/score",
        title="gradient of the Wishart log-density in the scale",
        statement=r"\nabla_V \log W(X \mid V, \nu) = \tfrac12 (V^{-1} X V^{-1} - \nu V^{-1})",
        function=_wishart,
        derivative=_wishart_scale,
        arguments=(_x, _v, _nu),
        wrt=(1,),
        convention="full",
        source=beyond(34),
        hypotheses=_WISHART,
    ),
    Claim(
        name="wishart/observation",
        title="gradient of the Wishart log-density in X",
        statement=r"\nabla_X \log W(X \mid V, \nu) = \tfrac{\nu - p - 1}{2} X^{-1} - \tfrac12 V^{-1}",
        function=_wishart,
        derivative=lambda x, v, nu: (nu - len(x) - 1) / 2 * jnp.linalg.inv(x) - jnp.linalg.inv(v) / 2,
        arguments=(_x, _v, _nu),
        wrt=(0,),
        convention="full",
        source=beyond(34),
        hypotheses=_WISHART,
    ),
    Claim(
        name="wishart/degrees",
        title="gradient of the Wishart log-density in the degrees of freedom",
        statement=(
            r"\frac{\partial}{\partial \nu} \log W(X \mid V, \nu) = \tfrac12 \bigl[\log\det X - p \log 2"
            rf" - \log\det V - \psi_p(\tfrac{{\nu}}{{2}})\bigr], \quad {_PSI_P}"
        ),
        function=_wishart,
        derivative=_wishart_degrees,
        arguments=(_x, _v, _nu),
        wrt=(2,),
        source=beyond(34),
        hypotheses=_WISHART,
    ),
    Claim(
        name="wishart/hessian",
        title="Hessian of the Wishart log-density in vech V",
        statement=(
            r"\nabla^2_{\operatorname{vech} V} \log W(X \mid V, \nu)"
            r" = D^\top \bigl[\tfrac{\nu}{2} V^{-1} \otimes V^{-1} - V^{-1} \otimes V^{-1} X V^{-1}\bigr] D"
        ),
        function=_wishart,
        derivative=_wishart_hessian,
        arguments=(_x, _v, _nu),
        wrt=(1,),
        kind="hessian",
        convention="symmetric",
        source=beyond(34),
        hypotheses=_WISHART,
    ),
    Claim(
        name="wishart/fisher",
        title="Fisher information of the Wishart in (vech V, nu), times a step",
        statement=(
            r"-E[\nabla^2 \log W]\, v = \begin{pmatrix} \tfrac{\nu}{2} D^\top (V^{-1} \otimes V^{-1}) D &"
            r" \tfrac12 D^\top \operatorname{vec} V^{-1} \\ \cdot & \tfrac14 \psi_p'(\tfrac{\nu}{2}) \end{pmatrix} v"
        ),
        function=_wishart_information,
        derivative=_wishart_fisher,
        arguments=(_v, _nu, _dv, _dnu),
        wrt=(),
        kind="value",
        source=beyond(34),
        hypotheses=("V positive definite", "nu > p - 1"),
        dimensions=(1, 3),
    ),
)


def _inverse_wishart(x, psi, nu):
    p = len(x)
    fit = -(nu + p + 1) * log_det(x) - jnp.trace(jnp.linalg.solve(x, psi))
    return (fit - nu * p * math.log(2) + nu * log_det(psi)) / 2 - _log_gamma(nu / 2, p)


def _inverse_wishart_observation(x, psi, nu):
    inverse = jnp.linalg.inv(x)
    return (inverse @ psi @ inverse - (nu + len(x) + 1) * inverse) / 2


def _inverse_wishart_degrees(x, psi, nu):
    p = len(x)
    return (log_det(psi) - p * math.log(2) - _digamma(nu / 2, p) - log_det(x)) / 2


def _inverse_wishart_hessian(_, psi, nu):
    d, inverse = duplication_matrix(len(psi)), jnp.linalg.inv(psi)
    return -nu / 2 * d.T @ jnp.kron(inverse, inverse) @ d


_IW = r"\log W^{-1}(X \mid \Psi, \nu)"
_INVERSE_WISHARTS = (
    Claim(
        name="inverse_wishart/scale",
        title="gradient of the inverse Wishart log-density in the scale",
        statement=rf"\nabla_\Psi {_IW} = \tfrac12 (\nu \Psi^{{-1}} - X^{{-1}})",
        function=_inverse_wishart,
        derivative=lambda x, psi, nu: (nu * jnp.linalg.inv(psi) - jnp.linalg.inv(x)) / 2,
        arguments=(_x, _psi, _nu),
        wrt=(1,),
        convention="full",
        source=beyond(35),
        hypotheses=_INVERSE,
    ),
    Claim(
        name="inverse_wishart/observation",
        title="gradient of the inverse Wishart log-density in X",
        statement=rf"\nabla_X {_IW} = \tfrac12 \bigl(X^{{-1}} \Psi X^{{-1}} - (\nu + p + 1) X^{{-1}}\bigr)",
        function=_inverse_wishart,
        derivative=_inverse_wishart_observation,
        arguments=(_x, _psi, _nu),
        wrt=(0,),
        convention="full",
        source=beyond(35),
        hypotheses=_INVERSE,
    ),
    Claim(
        name="inverse_wishart/degrees",
        title="gradient of the inverse Wishart log-density in the degrees of freedom",
        statement=(
            rf"\frac{{\partial}}{{\partial \nu}} {_IW} = \tfrac12 \bigl[\log\det \Psi - p \log 2"
            rf" - \psi_p(\tfrac{{\nu}}{{2}}) - \log\det X\bigr], \quad {_PSI_P}"
        ),
        function=_inverse_wishart,
        derivative=_inverse_wishart_degrees,
        arguments=(_x, _psi, _nu),
        wrt=(2,),
        source=beyond(35),
        hypotheses=_INVERSE,
    ),
    Claim(
        name="inverse_wishart/hessian",
        title="Hessian of the inverse Wishart log-density in vech Psi: minus the Fisher information",
        statement=(
            rf"\nabla^2_{{\operatorname{{vech}} \Psi}} {_IW}"
            r" = -\tfrac{\nu}{2} D^\top (\Psi^{-1} \otimes \Psi^{-1}) D"
        ),
        function=_inverse_wishart,
        derivative=_inverse_wishart_hessian,
        arguments=(_x, _psi, _nu),
        wrt=(1,),
        kind="hessian",
        convention="symmetric",
        source=beyond(35),
        hypotheses=_INVERSE,
        note="there is no data in it: the observed information is the expected one",
    ),
)

CLAIMS: tuple[Claim, ...] = (*_WISHARTS, *_INVERSE_WISHARTS)
