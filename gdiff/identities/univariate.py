"""Gaussians of one variable: the density in its mean and standard deviation, completed squares, mixtures."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import Positive, Scalar, Vector
from gdiff.identities.notation import cookbook
from gdiff.identities.quadrature import expectation
from gdiff.written import identity

_ONE = (
    Argument("s", Scalar(), ()),
    Argument("rho", Positive(), (2,)),
    Argument("mu", Vector(), (2,)),
    Argument("sd", Positive(), (2,)),
)
_NORMAL = "exp(-(c - a)^2/(2*b^2))/(sqrt(2*pi)*b)"
_LINE: dict[str, Any] = {"domains": {"b": Positive()}, "hypotheses": ["b the standard deviation"]}


def _log_terms_on_a_line(s, rho, mu, sd):
    return jnp.log(rho) - (s - mu) ** 2 / (2 * sd**2) - jnp.log(sd) - math.log(2 * math.pi) / 2


def _log_mixture_on_a_line(*args):
    return jax.scipy.special.logsumexp(_log_terms_on_a_line(*args))


def _gamma_on_a_line(*args):
    return jax.nn.softmax(_log_terms_on_a_line(*args))


def _claim(name, title, statement, function, derivative, arguments, source, wrt=(), kind="value", **how):
    return Claim(name, title, statement, function, derivative, arguments, wrt, source, kind=kind, **how)


CLAIMS = (
    identity(
        "line/mean",
        _NORMAL,
        f"{_NORMAL}*(c - a)/b^2",
        "a",
        source=cookbook(555),
        title="derivative of the density of N(a, b^2) in a",
        **_LINE,
    ),
    identity(
        "line/deviation",
        _NORMAL,
        f"{_NORMAL}*1/b*((c - a)^2/b^2 - 1)",
        "b",
        source=cookbook(557),
        title="derivative of the density of N(a, b^2) in b",
        **_LINE,
    ),
    identity(
        "line/log_mean",
        f"log({_NORMAL})",
        "(c - a)/b^2",
        "a",
        source=cookbook(556),
        title="score of a in N(a, b^2)",
        **_LINE,
    ),
    identity(
        "line/log_deviation",
        f"log({_NORMAL})",
        "1/b*((c - a)^2/b^2 - 1)",
        "b",
        source=cookbook(558),
        title="score of b in N(a, b^2)",
        **_LINE,
    ),
    identity(
        "line/completed_square_printed",
        "c_2*x^2 + c_1*x + c_0",
        "c_2*(x - c_1/(2*c_2))^2 + c_1^2/(4*c_2) + c_0",
        kind="value",
        shapes={"x": ()},
        source=cookbook(place="A.1.4"),
        title="-a (x - b)^2 + w with a = -c_2, b = c_1/(2 c_2), w = c_1^2/(4 c_2) + c_0",
        expected="refuted",
        instead="line/completed_square",
        dimensions=(1,),
    ),
    identity(
        "line/completed_square",
        "c_2*x^2 + c_1*x + c_0",
        "c_2*(x + c_1/(2*c_2))^2 - c_1^2/(4*c_2) + c_0",
        kind="value",
        shapes={"x": ()},
        source=cookbook(place="A.1.4"),
        title="-a (x - b)^2 + w with a = -c_2, b = -c_1/(2 c_2), w = c_0 - c_1^2/(4 c_2)",
        dimensions=(1,),
    ),
    *(
        _claim(
            f"line/fourth_moment{suffix}",
            "<x^4> - <x^2>^2 of the density exp(c_2 x^2 + c_1 x), by its coefficients",
            rf"\langle x^4 \rangle - \langle x^2 \rangle^2 = \frac{{2}}{{(2 c_2)^2}}"
            rf" \Bigl[1 - {factor} \frac{{c_1^2}}{{2 c_2}}\Bigr]",
            lambda c1, c2: expectation(
                lambda x: x[0] ** 4 - expectation(lambda y: y[0] ** 2, c1[None] / (2 * c2), jnp.eye(1) / (2 * c2)) ** 2,
                c1[None] / (2 * c2),
                jnp.eye(1) / (2 * c2),
            ),
            lambda c1, c2, factor=factor: 2 / (2 * c2) ** 2 * (1 - factor * c1**2 / (2 * -c2)),
            (Argument("c1", Scalar(), ()), Argument("c2", Positive(), ())),
            cookbook(place="A.1.5"),
            hypotheses=("c_2 negative: it is minus the argument c2 here",),
            expected=expected,
            instead=instead,
            dimensions=(1,),
        )
        for suffix, factor, expected, instead in (
            ("_printed", 4, "refuted", "line/fourth_moment"),
            ("", 2, "holds", ""),
        )
    ),
    _claim(
        "line/mixture_means",
        "gradient of a log mixture density of one variable in the means",
        r"\frac{\partial \ln p(s)}{\partial \mu_j} ="
        r" \gamma_j \frac{\partial \ln(\rho_j N_j)}{\partial \mu_j} = \gamma_j \frac{s - \mu_j}{\sigma_j^2}",
        _log_mixture_on_a_line,
        lambda s, rho, mu, sd: _gamma_on_a_line(s, rho, mu, sd) * (s - mu) / sd**2,
        _ONE,
        cookbook(565, 566),
        (2,),
        "gradient",
        dimensions=(1,),
    ),
    _claim(
        "line/mixture_deviations",
        "gradient of a log mixture density of one variable in the standard deviations",
        r"\frac{\partial \ln p(s)}{\partial \sigma_j} ="
        r" \gamma_j \frac{1}{\sigma_j} \Bigl[\frac{(s - \mu_j)^2}{\sigma_j^2} - 1\Bigr]",
        _log_mixture_on_a_line,
        lambda s, rho, mu, sd: _gamma_on_a_line(s, rho, mu, sd) / sd * ((s - mu) ** 2 / sd**2 - 1),
        _ONE,
        cookbook(567),
        (3,),
        "gradient",
        dimensions=(1,),
    ),
    _claim(
        "line/softmax",
        "Jacobian of the softmax weights",
        r"\rho_l = \frac{e^{r_l}}{\sum_k e^{r_k}}: \quad"
        r" \frac{\partial \rho_l}{\partial r_j} = \rho_l (\delta_{lj} - \rho_j)",
        lambda r: jnp.exp(r) / jnp.sum(jnp.exp(r)),
        lambda r: (lambda p: p[:, None] * (jnp.eye(len(r)) - p[None]))(jax.nn.softmax(r)),
        (Argument("r", Vector(), ("n",)),),
        cookbook(568, 569),
        (0,),
        "jacobian",
    ),
)
