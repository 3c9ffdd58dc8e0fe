"""Second derivatives of the Gaussian log-likelihood: blocks of the Hessian, in both conventions, and its products."""

import jax
import jax.numpy as jnp
import numpy as np

from gdiff import closed_form
from gdiff.claim import Argument, Claim
from gdiff.domains import Symmetric, Vector
from gdiff.identities.notation import (
    MAGNUS_NEUDECKER,
    beyond,
    cookbook,
    cov,
    data,
    log_likelihood,
    mean,
    sample_parts,
    through_vech,
)

_PD = ("Sigma positive definite",)
_dmu = Argument("dmu", Vector(), ("d",))
_ds = Argument("dS", Symmetric(), ("d", "d"))


def _hessian_vector_product(rows, mu, s, dmu, ds):
    _, (dg, da) = jax.jvp(jax.grad(lambda m, c: log_likelihood(rows, m, c), (0, 1)), (mu, s), (dmu, ds))
    return jnp.concatenate([dg, ((da + da.T) / 2).T.reshape(-1)])


def _product_term(of_mean, term):
    """A term of dg or of dA, in the coordinates (mu, vec Sigma), of n, the sum of residuals, T, Sigma^-1, dmu, dS."""

    def padded(rows, mu, s, dmu, ds):
        n, r, c = sample_parts(rows, mu)
        array = term(n, n * r, c + n * np.outer(r, r), np.linalg.inv(s), dmu, ds)
        zeros = np.zeros(s.size) if of_mean else np.zeros(len(mu))
        return np.concatenate([array, zeros] if of_mean else [zeros, array.T.reshape(-1)])

    return padded


def _plus_transpose(term):
    return lambda *arguments: term(*arguments) + term(*arguments).T


_VECTOR_PRODUCT_TERMS = tuple(
    (text, _product_term(of_mean, term))
    for text, of_mean, term in (
        ("n*inv(S)*dmu", True, lambda n, t, T, p, dmu, ds: n * p @ dmu),  # noqa: ARG005
        ("inv(S)*dS*g", True, lambda n, t, T, p, dmu, ds: p @ ds @ p @ t),  # noqa: ARG005
        ("n*inv(S)*dS*inv(S)", False, lambda n, t, T, p, dmu, ds: n * p @ ds @ p),  # noqa: ARG005
        ("2*sym(inv(S)*dS*Q)", False, _plus_transpose(lambda n, t, T, p, dmu, ds: p @ ds @ p @ T @ p)),  # noqa: ARG005
        ("2*sym(inv(S)*dmu*g')", False, _plus_transpose(lambda n, t, T, p, dmu, ds: np.outer(p @ dmu, p @ t))),  # noqa: ARG005
        ("inv(S)*dS*Q", False, lambda n, t, T, p, dmu, ds: p @ ds @ p @ T @ p),  # noqa: ARG005
        ("inv(S)*dmu*g'", False, lambda n, t, T, p, dmu, ds: np.outer(p @ dmu, p @ t)),  # noqa: ARG005
    )
)


def _cross_block(rows, mu, s):
    g, theta = through_vech(lambda m, c: log_likelihood(rows, m, c), mu, s)
    return jax.hessian(g)(theta)[: len(mu), len(mu) :]


CLAIMS = (
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
        also=(beyond(2),),
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
        also=(beyond(2),),
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
        also=(beyond(2),),
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
        also=(beyond(2),),
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
        also=(beyond(2),),
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
        also=(beyond(2),),
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
        also=(beyond(4),),
        hypotheses=_PD,
    ),
)
