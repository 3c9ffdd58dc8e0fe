"""The Gaussian log-density and density: score, Hessian, and the parameterizations of the covariance."""

import jax
import jax.numpy as jnp
import numpy as np

from gdiff import closed_form
from gdiff.claim import Argument, Claim
from gdiff.domains import Symmetric, Vector
from gdiff.identities.notation import (
    MAGNUS_NEUDECKER,
    cookbook,
    cov,
    data,
    density,
    factor,
    log_likelihood,
    mean,
    precision,
    through_vech,
    x,
)

_PD = ("Sigma positive definite",)
_dmu = Argument("dmu", Vector(), ("d",))
_ds = Argument("dS", Symmetric(), ("d", "d"))


def _hessian_vector_product(rows, mu, s, dmu, ds):
    _, (dg, da) = jax.jvp(jax.grad(lambda m, c: log_likelihood(rows, m, c), (0, 1)), (mu, s), (dmu, ds))
    return jnp.concatenate([dg, ((da + da.T) / 2).T.reshape(-1)])


def _mean_term(term):
    """A term of dg, in the coordinates (mu, vec Sigma)."""

    def padded(rows, mu, s, dmu, ds):
        p, t = np.linalg.inv(s), rows - mu
        return np.concatenate([term(p, t, dmu, ds), np.zeros(s.size)])

    return padded


def _cov_term(term):
    """The symmetric part, doubled, of a term of dA, in the coordinates (mu, vec Sigma)."""

    def padded(rows, mu, s, dmu, ds):
        p, t = np.linalg.inv(s), rows - mu
        m = term(p, t, dmu, ds)
        return np.concatenate([np.zeros(len(mu)), (m + m.T).reshape(-1)])

    return padded


_VECTOR_PRODUCT_TERMS = (
    ("n*inv(S)*dmu", _mean_term(lambda p, t, dmu, ds: len(t) * p @ dmu)),  # noqa: ARG005
    ("inv(S)*dS*g", _mean_term(lambda p, t, dmu, ds: p @ ds @ p @ t.sum(axis=0))),  # noqa: ARG005
    ("n*inv(S)*dS*inv(S)", _cov_term(lambda p, t, dmu, ds: len(t) / 2 * p @ ds @ p)),  # noqa: ARG005
    ("(inv(S)*dS*Q + Q*dS*inv(S))", _cov_term(lambda p, t, dmu, ds: p @ ds @ p @ t.T @ t @ p)),  # noqa: ARG005
    ("(inv(S)*dmu*g' + g*dmu'*inv(S))", _cov_term(lambda p, t, dmu, ds: np.outer(p @ dmu, p @ t.sum(axis=0)))),  # noqa: ARG005
)


def _of_precision(rows, mu, p):
    return log_likelihood(rows, mu, jnp.linalg.inv(p))


def _cross_block(rows, mu, s):
    g, theta = through_vech(lambda m, c: log_likelihood(rows, m, c), mu, s)
    return jax.hessian(g)(theta)[: len(mu), len(mu) :]


CLAIMS = (
    Claim(
        name="log_density/mean",
        title="score of the mean",
        statement=r"\frac{\partial L}{\partial \mu} = \Sigma^{-1} \sum_i (x_i - \mu)",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.score(v, m, s).mean,
        arguments=(data, mean, cov),
        wrt=(1,),
        source=cookbook(86),
        hypotheses=_PD,
    ),
    Claim(
        name="log_density/full",
        title="score of the covariance, A",
        statement=r"\nabla_\Sigma \log f = A = -\tfrac12 (\Sigma^{-1} - \Sigma^{-1} r r^\top \Sigma^{-1})",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.score(v, m, s).cov,
        arguments=(x, mean, cov),
        wrt=(2,),
        convention="full",
        source=cookbook(57, 61),
        hypotheses=_PD,
    ),
    Claim(
        name="log_density/symmetric",
        title="score of the covariance in its distinct entries, B",
        statement=(
            r"\frac{\partial \log f}{\partial \Sigma} = B = 2A - A \circ I"
            r" = -\tfrac12 (2\Sigma^{-1} - \Sigma^{-1} \circ I - 2 Q + Q \circ I),"
            r" \quad Q = \Sigma^{-1} r r^\top \Sigma^{-1}"
        ),
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.score(v, m, s, "symmetric").cov,
        arguments=(x, mean, cov),
        wrt=(2,),
        convention="symmetric",
        source=cookbook(138, 141),
        hypotheses=_PD,
    ),
    Claim(
        name="log_likelihood/full",
        title="score of the covariance from a sample",
        statement=(
            r"\nabla_\Sigma L = -\tfrac12 (n\Sigma^{-1} - \Sigma^{-1} T \Sigma^{-1}),"
            r" \quad T = \sum_i (x_i - \mu)(x_i - \mu)^\top"
        ),
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.score(v, m, s).cov,
        arguments=(data, mean, cov),
        wrt=(2,),
        convention="full",
        source=cookbook(57, 61),
        hypotheses=_PD,
    ),
    Claim(
        name="log_likelihood/symmetric",
        title="score of the covariance from a sample, distinct entries",
        statement=(
            r"\frac{\partial L}{\partial \Sigma} = 2G - G \circ I,"
            r" \quad G = -\tfrac12 (n\Sigma^{-1} - \Sigma^{-1} T \Sigma^{-1})"
        ),
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.score(v, m, s, "symmetric").cov,
        arguments=(data, mean, cov),
        wrt=(2,),
        convention="symmetric",
        source=cookbook(138, 141),
        hypotheses=_PD,
    ),
    Claim(
        name="log_likelihood/cholesky",
        title="score of the Cholesky factor",
        statement=(
            r"\frac{\partial L}{\partial L_{ij}} = \bigl[\Sigma^{-1} T L^{-\top}\bigr]_{ij}"
            r" - n\, \delta_{ij} / L_{ii}, \quad i \ge j"
        ),
        function=lambda v, m, f: log_likelihood(v, m, f @ f.T),
        derivative=lambda v, m, f: closed_form.score_cholesky(v, m, f).cholesky,
        arguments=(data, mean, factor),
        wrt=(2,),
        source=MAGNUS_NEUDECKER,
        hypotheses=("L lower triangular, positive diagonal",),
    ),
    Claim(
        name="log_likelihood/precision_full",
        title="score of the precision",
        statement=r"\nabla_P L = \tfrac12 (n P^{-1} - T)",
        function=_of_precision,
        derivative=lambda v, m, p: closed_form.score_precision(v, m, p).precision,
        arguments=(data, mean, precision),
        wrt=(2,),
        convention="full",
        source=cookbook(57, 72),
        hypotheses=("P positive definite",),
    ),
    Claim(
        name="log_likelihood/precision_symmetric",
        title="score of the precision in its distinct entries",
        statement=r"\frac{\partial L}{\partial P} = G + G^\top - G \circ I, \quad G = \tfrac12 (n P^{-1} - T)",
        function=_of_precision,
        derivative=lambda v, m, p: closed_form.score_precision(v, m, p, "symmetric").precision,
        arguments=(data, mean, precision),
        wrt=(2,),
        convention="symmetric",
        source=cookbook(72, 141),
        hypotheses=("P positive definite",),
    ),
    Claim(
        name="density/mean",
        title="gradient of the density in the mean",
        statement=r"\frac{\partial f}{\partial \mu} = f\, \Sigma^{-1} r",
        function=density,
        derivative=lambda v, m, s: closed_form.density_gradient(v, m, s).mean,
        arguments=(x, mean, cov),
        wrt=(1,),
        source=cookbook(347),
        hypotheses=_PD,
    ),
    Claim(
        name="density/full",
        title="gradient of the density in the covariance, A f",
        statement=r"\nabla_\Sigma f = A f",
        function=density,
        derivative=lambda v, m, s: closed_form.density_gradient(v, m, s).cov,
        arguments=(x, mean, cov),
        wrt=(2,),
        convention="full",
        source=cookbook(57, 61),
        hypotheses=_PD,
    ),
    Claim(
        name="density/symmetric",
        title="gradient of the density in the distinct entries, B f",
        statement=r"\frac{\partial f}{\partial \Sigma} = B f",
        function=density,
        derivative=lambda v, m, s: closed_form.density_gradient(v, m, s, "symmetric").cov,
        arguments=(x, mean, cov),
        wrt=(2,),
        convention="symmetric",
        source=cookbook(138, 141),
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/mean",
        title="Hessian in the mean",
        statement=r"\frac{\partial^2 L}{\partial \mu \partial \mu^\top} = -n \Sigma^{-1}",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s).mean,
        arguments=(data, mean, cov),
        wrt=(1,),
        kind="hessian",
        source=cookbook(348),
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/cross",
        title="Hessian, cross block d x k",
        statement=(
            r"\frac{\partial^2 L}{\partial \mu\, \partial \operatorname{vech}(\Sigma)^\top}"
            r" = -(g^\top \otimes \Sigma^{-1}) D, \quad g = \Sigma^{-1} \sum_i (x_i - \mu)"
        ),
        function=_cross_block,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s).cross,
        arguments=(data, mean, cov),
        wrt=(),
        kind="value",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/cov_symmetric",
        title="Hessian in vech Sigma",
        statement=(
            r"\nabla^2_{\operatorname{vech} \Sigma} L = -D^\top (\Sigma^{-1} \otimes C + C \otimes \Sigma^{-1}) D,"
            r" \quad C = A + \tfrac{n}{4} \Sigma^{-1}"
        ),
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s).cov,
        arguments=(data, mean, cov),
        wrt=(2,),
        kind="hessian",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/cov_full",
        title="Hessian in Sigma on symmetric steps",
        statement=r"N \nabla^2_\Sigma L\, N = -N (\Sigma^{-1} \otimes C + C \otimes \Sigma^{-1}) N",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s, "full").cov,
        arguments=(data, mean, cov),
        wrt=(2,),
        kind="hessian",
        convention="full",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/joint_symmetric",
        title="Hessian in (mu, vech Sigma)",
        statement=r"\nabla^2_{(\mu, \operatorname{vech} \Sigma)} L",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s).matrix(),
        arguments=(data, mean, cov),
        wrt=(1, 2),
        kind="hessian",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/joint_full",
        title="Hessian in (mu, Sigma) on symmetric steps",
        statement=r"N \nabla^2_{(\mu, \operatorname{vec} \Sigma)} L\, N",
        function=log_likelihood,
        derivative=lambda v, m, s: closed_form.hessian(v, m, s, "full").matrix(),
        arguments=(data, mean, cov),
        wrt=(1, 2),
        kind="hessian",
        convention="full",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="hessian/vector_product",
        title="Hessian times a tangent",
        statement=(
            r"dg = -n\Sigma^{-1} d\mu - \Sigma^{-1} d\Sigma\, g,"
            r" \quad dA = -(\Sigma^{-1} d\Sigma\, C + C\, d\Sigma\, \Sigma^{-1})"
            r" - \tfrac12 (\Sigma^{-1} d\mu\, g^\top + g\, d\mu^\top \Sigma^{-1})"
        ),
        function=_hessian_vector_product,
        derivative=lambda v, m, s, dm, ds: closed_form.hessian_vector_product(v, m, s, dm, ds).vector(),
        terms=_VECTOR_PRODUCT_TERMS,
        arguments=(data, mean, cov, _dmu, _ds),
        wrt=(),
        kind="value",
        convention="full",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
    Claim(
        name="observed_information",
        title="observed information in (mu, vech Sigma)",
        statement=r"-\nabla^2_{(\mu, \operatorname{vech} \Sigma)} L",
        function=lambda v, m, s: -log_likelihood(v, m, s),
        derivative=lambda v, m, s: closed_form.observed_information(v, m, s).matrix(),
        arguments=(data, mean, cov),
        wrt=(1, 2),
        kind="hessian",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        hypotheses=_PD,
    ),
)
