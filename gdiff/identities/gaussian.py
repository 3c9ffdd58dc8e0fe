"""The Gaussian log-density and density: score, Hessian, and the parameterizations of the covariance."""

import itertools

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


def _parts(rows, mu):
    """n, the mean residual r = xbar - mu, and the scatter C about the sample mean."""
    rows = np.atleast_2d(rows)
    about = rows - rows.mean(axis=0)
    return len(rows), rows.mean(axis=0) - mu, about.T @ about


def _score_term(term):
    """A term of the score of a covariance, of n, r, C and Sigma^-1."""
    return lambda rows, mu, s: term(*_parts(rows, mu), np.linalg.inv(s))


_SCORE_TERMS = (
    ("n*inv(S)", _score_term(lambda n, r, c, p: n * p)),  # noqa: ARG005
    ("inv(S)*C*inv(S)", _score_term(lambda n, r, c, p: p @ c @ p)),  # noqa: ARG005
    ("n*inv(S)*r*r'*inv(S)", _score_term(lambda n, r, c, p: n * p @ np.outer(r, r) @ p)),  # noqa: ARG005
)


def _cholesky_term(middle, sides, last):
    """The lower triangle of a product of C or n r r' with inverses of L, each as it is or transposed."""

    def term(rows, mu, f):
        n, r, c = _parts(rows, mu)
        a, b, d = (np.linalg.inv(f).T if side else np.linalg.inv(f) for side in sides)
        m = c if middle == "C" else n * np.outer(r, r)
        return np.tril(a @ b @ d @ m if last else a @ b @ m @ d)

    a, b, d = ("inv(L)" + "'" * side for side in sides)
    return f"{a}*{b}*{d}*{middle}" if last else f"{a}*{b}*{middle}*{d}", term


_CHOLESKY_TERMS = (
    ("n*had(inv(L), I)", lambda rows, mu, f: len(np.atleast_2d(rows)) * np.diag(1 / np.diag(f))),  # noqa: ARG005
    *itertools.starmap(
        _cholesky_term, itertools.product(("C", "n*r*r'"), itertools.product((1, 0), repeat=3), (False, True))
    ),
)


def _product_term(of_mean, term):
    """A term of dg or of dA, in the coordinates (mu, vec Sigma), of n, the sum of residuals, T, Sigma^-1, dmu, dS."""

    def padded(rows, mu, s, dmu, ds):
        n, r, c = _parts(rows, mu)
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
        terms=_SCORE_TERMS,
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
        terms=_CHOLESKY_TERMS,
        arguments=(data, mean, factor),
        wrt=(2,),
        source=MAGNUS_NEUDECKER,
        hypotheses=("L lower triangular, positive diagonal",),
    ),
    Claim(
        name="log_density/cholesky",
        title="score of the Cholesky factor, one observation",
        statement=(
            r"\frac{\partial \log f}{\partial L_{ij}} = \bigl[\Sigma^{-1} r r^\top L^{-\top}\bigr]_{ij}"
            r" - \delta_{ij} / L_{ii}, \quad i \ge j"
        ),
        function=lambda v, m, f: log_likelihood(v, m, f @ f.T),
        derivative=lambda v, m, f: closed_form.score_cholesky(v, m, f).cholesky,
        arguments=(x, mean, factor),
        wrt=(2,),
        source=MAGNUS_NEUDECKER,
        hypotheses=("L lower triangular, positive diagonal",),
    ),
    Claim(
        name="log_density/precision_full",
        title="score of the precision, one observation",
        statement=r"\nabla_P \log f = \tfrac12 (P^{-1} - r r^\top)",
        function=_of_precision,
        derivative=lambda v, m, p: closed_form.score_precision(v, m, p).precision,
        arguments=(x, mean, precision),
        wrt=(2,),
        convention="full",
        source=cookbook(57, 72),
        hypotheses=("P positive definite",),
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
