"""The Gaussian log-density and density: scores, in the covariance, its Cholesky factor and its inverse."""

import itertools

import jax.numpy as jnp
import numpy as np

from gdiff import closed_form
from gdiff.claim import Claim
from gdiff.identities.notation import (
    MAGNUS_NEUDECKER,
    beyond,
    cookbook,
    cov,
    data,
    density,
    factor,
    log_likelihood,
    mean,
    precision,
    sample_parts,
    x,
)

_PD = ("Sigma positive definite",)


def _score_term(term):
    """A term of the score of a covariance or precision, of n, r, C and its inverse."""
    return lambda rows, mu, s: term(*sample_parts(rows, mu), np.linalg.inv(s))


_SCORE_TERMS = (
    ("n*inv(S)", _score_term(lambda n, r, c, p: n * p)),  # noqa: ARG005
    ("inv(S)*C*inv(S)", _score_term(lambda n, r, c, p: p @ c @ p)),  # noqa: ARG005
    ("n*inv(S)*r*r'*inv(S)", _score_term(lambda n, r, c, p: n * p @ np.outer(r, r) @ p)),  # noqa: ARG005
)

_PRECISION_TERMS = (
    ("n*inv(P)", _score_term(lambda n, r, c, cov: n * cov)),  # noqa: ARG005
    ("C", _score_term(lambda n, r, c, cov: c)),  # noqa: ARG005
    ("n*r*r'", _score_term(lambda n, r, c, cov: n * np.outer(r, r))),  # noqa: ARG005
)


def _cholesky_term(middle, sides, last):
    """The lower triangle of a product of C or n r r' with inverses of L, each as it is or transposed."""

    def term(rows, mu, f):
        n, r, c = sample_parts(rows, mu)
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


def _of_precision(rows, mu, p):
    return log_likelihood(rows, mu, jnp.linalg.inv(p))


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
        also=(beyond(1),),
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
        also=(beyond(1),),
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
        also=(beyond(1),),
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
        also=(beyond(4),),
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
        also=(beyond(4),),
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
        terms=_PRECISION_TERMS,
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
)
