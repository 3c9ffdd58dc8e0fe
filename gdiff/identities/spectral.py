"""Functions of a matrix: symmetric ones by Daleckii and Krein, square roots, exponentials, logarithms, their traces.

The functions are written without eigenvectors where a spectrum may be repeated: exponentials as squared Taylor
polynomials, square roots by Denman and Beavers' iteration. A general matrix that has a principal square root is P + K,
P positive definite and K skew: its eigenvalues have positive real parts, and its steps are free.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import Diagonal, General, PositiveDefinite, RepeatedSpectrum, Scalar, Skew, Symmetric
from gdiff.identities.matrix_functions import (
    exponential,
    logarithm_of_general,
    of_symmetric,
    root_of_general,
    square_root,
)
from gdiff.identities.notation import BOUNDED, beyond

_symmetric = Argument("A", Symmetric(), ("d", "d"))
_definite = Argument("A", PositiveDefinite(), ("d", "d"))
_repeated = Argument("A", RepeatedSpectrum(), ("d", "d"))
_general = Argument("A", General(), ("d", "d"))
_bounded = Argument("A", BOUNDED, ("d", "d"))
_weight = Argument("B", General(), ("d", "d"))
_symmetric_weight = Argument("B", Symmetric(), ("d", "d"))
_exponent = Argument("a", Scalar(), ())
_x = Argument("X", PositiveDefinite(), ("d", "d"))
_p = Argument("P", PositiveDefinite(), ("d", "d"))
_k = Argument("K", Skew(), ("d", "d"))

_SYMMETRIC = ("A symmetric",)
_DEFINITE = ("A symmetric positive definite",)
_REPEATED = ("A symmetric", "repeated eigenvalues allowed")
_SQUARE = ("A square, entries independent",)
_X_DEFINITE = ("X symmetric positive definite",)
_RIGHT_HALF_PLANE = ("the symmetric part of A positive definite",)
_DALECKII_KREIN = (
    r"\mathrm{d} f(A) = V \bigl[F \circ (V^\top \mathrm{d}A\, V)\bigr] V^\top,"
    r" \quad F_{ij} = \frac{f(\lambda_i) - f(\lambda_j)}{\lambda_i - \lambda_j},"
    r" \quad F_{ii} = f'(\lambda_i)"
)

_SQUARINGS = 8


def _divided_differences(f, df, values):
    """(f(l_i) - f(l_j)) / (l_i - l_j), and f' where the two are equal to half the digits."""
    left, right = values[:, None], values
    tied = jnp.abs(left - right) <= jnp.sqrt(jnp.finfo(values.dtype).eps) * (jnp.abs(left) + jnp.abs(right)) / 2
    return jnp.where(tied, df((left + right) / 2), (f(left) - f(right)) / jnp.where(tied, 1, left - right))


def _daleckii_krein(f, df):
    def differential(a, da):
        values, v = jnp.linalg.eigh(a)
        return v @ (_divided_differences(f, df, values) * (v.T @ da @ v)) @ v.T

    return differential


_krein_exp = _daleckii_krein(jnp.exp, jnp.exp)
_krein_log = _daleckii_krein(jnp.log, lambda t: 1 / t)
_krein_sqrt = _daleckii_krein(jnp.sqrt, lambda t: 1 / (2 * jnp.sqrt(t)))

_FUNCTIONS = (
    Claim(
        name="spectral_function/exponential",
        title="differential of exp A, A symmetric (Daleckii and Krein)",
        statement=_DALECKII_KREIN + r", \quad f = \exp",
        function=exponential,
        derivative=_krein_exp,
        arguments=(_symmetric,),
        wrt=(0,),
        kind="differential",
        source=beyond(57),
        hypotheses=_SYMMETRIC,
    ),
    Claim(
        name="spectral_function/exponential_repeated",
        title="differential of exp A at repeated eigenvalues",
        statement=(
            _DALECKII_KREIN + r", \quad f = \exp, \quad F_{ij} = f'(\lambda_i) \text{ where } \lambda_i = \lambda_j"
        ),
        function=exponential,
        derivative=_krein_exp,
        arguments=(_repeated,),
        wrt=(0,),
        kind="differential",
        source=beyond(57),
        hypotheses=_REPEATED,
        dimensions=(2, 3),
    ),
    Claim(
        name="spectral_function/square_root_repeated",
        title="differential of the square root at repeated eigenvalues",
        statement=(
            _DALECKII_KREIN
            + r", \quad f = \sqrt{\cdot}, \quad F_{ij} = f'(\lambda_i) \text{ where } \lambda_i = \lambda_j"
        ),
        function=square_root,
        derivative=_krein_sqrt,
        arguments=(_repeated,),
        wrt=(0,),
        kind="differential",
        source=beyond(57),
        hypotheses=_REPEATED,
        dimensions=(2, 3),
    ),
    Claim(
        name="spectral_function/logarithm",
        title="differential of ln A, A positive definite",
        statement=_DALECKII_KREIN + r", \quad f = \ln",
        function=of_symmetric(jnp.log),
        derivative=_krein_log,
        arguments=(_definite,),
        wrt=(0,),
        kind="differential",
        source=beyond(57),
        hypotheses=_DEFINITE,
    ),
    Claim(
        name="spectral_function/trace",
        title="gradient of tr f(A), f the exponential",
        statement=r"\nabla_A \operatorname{tr} f(A) = f'(A), \quad f = \exp",
        function=lambda a: jnp.trace(exponential(a)),
        derivative=of_symmetric(jnp.exp),
        arguments=(_symmetric,),
        wrt=(0,),
        convention="full",
        source=beyond(57),
        hypotheses=_SYMMETRIC,
    ),
    Claim(
        name="spectral_function/trace_repeated",
        title="gradient of tr f(A) at repeated eigenvalues, f the square root",
        statement=(
            r"\nabla_A \operatorname{tr} f(A) = f'(A), \quad \nabla_A \operatorname{tr} A^{1/2} = \tfrac12 A^{-1/2}"
        ),
        function=lambda a: jnp.trace(square_root(a)),
        derivative=of_symmetric(lambda t: 1 / (2 * jnp.sqrt(t))),
        arguments=(_repeated,),
        wrt=(0,),
        convention="full",
        source=beyond(57),
        hypotheses=_REPEATED,
        dimensions=(2, 3),
    ),
    Claim(
        name="spectral_function/trace_power",
        title="gradient of tr A^a, a any real number",
        statement=r"\nabla_A \operatorname{tr} A^a = a A^{a - 1}",
        function=lambda a, m: jnp.sum(jnp.linalg.eigvalsh(m) ** a),
        derivative=lambda a, m: of_symmetric(lambda t: a * t ** (a - 1))(m),
        arguments=(_exponent, _definite),
        wrt=(1,),
        convention="full",
        source=beyond(57),
        hypotheses=_DEFINITE,
    ),
)


def _root_equation(s, c):
    """Y of S Y + Y S = C, by columns."""
    eye = jnp.eye(len(s))
    return jnp.linalg.solve(jnp.kron(eye, s) + jnp.kron(s.T, eye), c.T.reshape(-1)).reshape(c.shape).T


def _exponential_differential(a, e):
    """L_exp(A, E): the block at the upper right of exp [[A, E], [0, A]]."""
    d = len(a)
    block = jnp.block([[a, e], [jnp.zeros_like(a), a]])
    k = jnp.clip(jnp.ceil(jnp.log2(jnp.max(jnp.abs(a)))), 0, _SQUARINGS)
    out = term = jnp.eye(2 * d)
    for n in range(1, 24):
        term = term @ block / 2**k / n
        out = out + term
    for n in range(_SQUARINGS):
        out = jnp.where(n < k, out @ out, out)
    return out[:d, d:]


def _logarithm_differential(a, da):
    """E of L_exp(ln A, E) = dA."""
    d, log = len(a), of_symmetric(jnp.log)(a)
    rows = jax.vmap(lambda e: _exponential_differential(log, e))(jnp.eye(d * d).reshape(-1, d, d))
    return jnp.linalg.solve(rows.reshape(d * d, d * d).T, da.reshape(-1)).reshape(d, d)


_FRECHET = (
    Claim(
        name="square_root/differential",
        title="differential of the square root of a positive definite matrix",
        statement=r"S\, \mathrm{d}S + \mathrm{d}S\, S = \mathrm{d}A, \quad S = A^{1/2}",
        function=of_symmetric(jnp.sqrt),
        derivative=lambda a, da: _root_equation(of_symmetric(jnp.sqrt)(a), da),
        arguments=(_definite,),
        wrt=(0,),
        kind="differential",
        source=beyond(58),
        hypotheses=_DEFINITE,
    ),
    Claim(
        name="square_root/differential_general",
        title="differential of the principal square root, entries free",
        statement=r"S\, \mathrm{d}S + \mathrm{d}S\, S = \mathrm{d}A, \quad S = A^{1/2}, \quad A = P + K",
        function=lambda p, k: square_root(p + k),
        derivative=lambda p, k, dp, dk: _root_equation(root_of_general(p + k), dp + dk),
        arguments=(_p, _k),
        wrt=(0, 1),
        kind="differential",
        source=beyond(58),
        hypotheses=_RIGHT_HALF_PLANE,
        dimensions=(2, 3),
    ),
    Claim(
        name="square_root/adjoint",
        title="gradient of <B, A^(1/2)>, A positive definite",
        statement=r"\nabla_A \operatorname{tr}(B^\top A^{1/2}) = Y, \quad S Y + Y S = B, \quad S = A^{1/2}",
        function=lambda b, a: jnp.sum(b * of_symmetric(jnp.sqrt)(a)),
        derivative=lambda b, a: _root_equation(of_symmetric(jnp.sqrt)(a), b),
        arguments=(_symmetric_weight, _definite),
        wrt=(1,),
        convention="full",
        source=beyond(58),
        hypotheses=(*_DEFINITE, "B symmetric"),
    ),
    Claim(
        name="matrix_exponential/differential",
        title="differential of exp A, entries free",
        statement=(
            r"\mathrm{d} e^A = L_{\exp}(A, \mathrm{d}A), \quad \exp \begin{pmatrix} A & E \\ 0 & A \end{pmatrix}"
            r" = \begin{pmatrix} e^A & L_{\exp}(A, E) \\ 0 & e^A \end{pmatrix}"
        ),
        function=exponential,
        derivative=_exponential_differential,
        arguments=(_bounded,),
        wrt=(0,),
        kind="differential",
        source=beyond(58),
        hypotheses=_SQUARE,
    ),
    Claim(
        name="matrix_exponential/adjoint",
        title="gradient of <B, exp A>, entries free",
        statement=r"\frac{\partial \operatorname{tr}(B^\top e^A)}{\partial A} = L_{\exp}(A^\top, B)",
        function=lambda b, a: jnp.sum(b * exponential(a)),
        derivative=lambda b, a: _exponential_differential(a.T, b),
        arguments=(_weight, _general),
        wrt=(1,),
        source=beyond(58),
        hypotheses=_SQUARE,
    ),
    Claim(
        name="matrix_exponential/trace",
        title="gradient of tr(B exp A), entries free",
        statement=r"\frac{\partial \operatorname{tr}(B e^A)}{\partial A} = L_{\exp}(A^\top, B^\top)",
        function=lambda b, a: jnp.trace(b @ exponential(a)),
        derivative=lambda b, a: _exponential_differential(a.T, b.T),
        arguments=(_weight, _general),
        wrt=(1,),
        source=beyond(58),
        hypotheses=_SQUARE,
    ),
    Claim(
        name="matrix_logarithm/differential",
        title="differential of ln A as the inverse of that of the exponential",
        statement=r"L_{\exp}(\ln A, \mathrm{d} \ln A) = \mathrm{d}A",
        function=of_symmetric(jnp.log),
        derivative=_logarithm_differential,
        arguments=(_definite,),
        wrt=(0,),
        kind="differential",
        source=beyond(58),
        hypotheses=_DEFINITE,
    ),
)


def _entropy(p, q):
    """tr(X ln X) of X = P Q, which has the eigenvalues of L' Q L, P = L L'."""
    root = jnp.linalg.cholesky(p)
    values = jnp.linalg.eigvalsh(root.T @ q @ root)
    return jnp.sum(values * jnp.log(values))


def _entropy_gradient(x):
    return (jnp.eye(len(x)) + logarithm_of_general(x)).T


_ENTROPIES = (
    Claim(
        name="von_neumann/entropy",
        title="gradient of tr(X ln X), X positive definite",
        statement=r"\nabla_X \operatorname{tr}(X \ln X) = I + \ln X",
        function=lambda x: jnp.trace(x @ of_symmetric(jnp.log)(x)),
        derivative=of_symmetric(lambda t: 1 + jnp.log(t)),
        arguments=(_x,),
        wrt=(0,),
        convention="full",
        source=beyond(59),
        hypotheses=_X_DEFINITE,
    ),
    Claim(
        name="von_neumann/entropy_general",
        title="gradient of tr(X ln X), entries free",
        statement=(
            r"\mathrm{d} \operatorname{tr}(X \ln X) = \operatorname{tr}(G^\top \mathrm{d}X),"
            r" \quad G = (I + \ln X)^\top, \quad X = P Q"
        ),
        function=_entropy,
        derivative=lambda p, q, dp, dq: jnp.sum(_entropy_gradient(p @ q) * (dp @ q + p @ dq)),
        arguments=(_p, Argument("Q", PositiveDefinite(), ("d", "d"))),
        wrt=(0, 1),
        kind="differential",
        source=beyond(59),
        hypotheses=("X a product of positive definite matrices: positive eigenvalues",),
        dimensions=(2, 3),
    ),
    Claim(
        name="von_neumann/cross_entropy",
        title="gradient of tr(A ln X), X positive definite",
        statement=r"\nabla_X \operatorname{tr}(A \ln X) = L_{\ln}(X, A) = V \bigl[F \circ (V^\top A V)\bigr] V^\top",
        function=lambda a, x: jnp.sum(a * of_symmetric(jnp.log)(x)),
        derivative=lambda a, x: _krein_log(x, a),
        arguments=(_symmetric, _x),
        wrt=(1,),
        convention="full",
        source=beyond(59),
        hypotheses=(*_X_DEFINITE, "A symmetric"),
    ),
    Claim(
        name="von_neumann/cross_entropy_commuting",
        title="A X^-1 as the gradient of tr(A ln X)",
        statement=r"\nabla_X \operatorname{tr}(A \ln X) = A X^{-1}",
        function=lambda a, x: jnp.sum(a * of_symmetric(jnp.log)(x)),
        derivative=lambda a, x: a @ jnp.linalg.inv(x),
        arguments=(_symmetric, _x),
        wrt=(1,),
        convention="full",
        source=beyond(59),
        hypotheses=(*_X_DEFINITE, "A symmetric"),
        holds_if=(
            Hypothesis(
                "A and X diagonal in the same basis",
                (Argument("A", Diagonal(), ("d", "d")), Argument("X", Diagonal(), ("d", "d"))),
            ),
        ),
        expected="refuted",
        instead="von_neumann/cross_entropy",
        dimensions=(2, 3),
    ),
)

CLAIMS = (*_FUNCTIONS, *_FRECHET, *_ENTROPIES)
