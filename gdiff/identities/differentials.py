"""The rules that everything else is made of: differentials of sums, products and transposes, and the chain rule."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import Complex, General, Symmetric, Toeplitz, Vector
from gdiff.identities.notation import cookbook
from gdiff.written import identity

_A = Argument("A", General(), ("d", "d"))

_U_AND_V: dict[str, Any] = {"shapes": {"X": ("d", "n"), "Y": ("d", "n")}}


def _outer(u, a):
    """A scalar function of a matrix that is no form of the catalogue."""
    return jnp.sum(jnp.sin(u @ a)) + jnp.trace(u @ u @ u)


def _inner(x, b):
    """A matrix function of a matrix."""
    return x @ b @ x + jnp.sin(x)


def _smooth(x, a):
    """A function of a vector with all derivatives."""
    return jnp.exp(x @ a @ x / 10) + jnp.sum(jnp.sin(x))


def _by_structure(x, a, patterns):
    """tr(G' S^ij) for every pattern S^ij = dA/dA_ij, laid out along it, each entry with its share."""
    gradient = jax.grad(_outer)(x, a)
    return sum(jnp.sum(gradient * s) * s / np.sum(s) for s in patterns)


def _toeplitz_patterns(d):
    return [np.eye(d, k=k) for k in range(1 - d, d)]


def _taylor(x, a, h):
    """f, g' h and h' H h / 2: the terms of the second-order expansion."""
    g, hessian = jax.grad(_smooth)(x, a), jax.hessian(_smooth)(x, a)
    return jnp.stack([_smooth(x, a), g @ h, h @ hessian @ h / 2])


def _along(x, a, h):
    """f(x + t h), its derivative, and half its second derivative in t, at t = 0."""

    def f(t):
        return _smooth(x + t * h, a)

    return jnp.stack([f(0.0), jax.grad(f)(0.0), jax.grad(jax.grad(f))(0.0) / 2])


CLAIMS = (
    Claim(
        name="entry/independent",
        title="entries are independent: dX_kl/dX_ij",
        statement=r"\frac{\partial X_{kl}}{\partial X_{ij}} = \delta_{ik} \delta_{lj}",
        function=lambda x: 1 * x,
        derivative=lambda x: jnp.einsum("ik,lj->klij", jnp.eye(x.shape[0]), jnp.eye(x.shape[1])),
        arguments=(Argument("X", General(), ("d", "n")),),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(32),
        hypotheses=("independent elements",),
    ),
    identity(
        "rule/constant",
        "A + X",
        "dX",
        "X",
        kind="differential",
        source=cookbook(33),
        shapes={"A": ("d", "n"), "X": ("d", "n")},
        title="differential of A + X: that of a constant is 0",
        hypotheses=["A constant"],
    ),
    identity(
        "rule/scalar_multiple", "a*X", "a*dX", "X", kind="differential", source=cookbook(34), shapes={"X": ("d", "n")}
    ),
    identity("rule/sum", "X + Y", "dX + dY", ("X", "Y"), kind="differential", source=cookbook(35), **_U_AND_V),
    identity("rule/trace", "tr(X)", "tr(dX)", "X", kind="differential", source=cookbook(36)),
    identity("rule/product", "X*Y", "dX*Y + X*dY", ("X", "Y"), kind="differential", source=cookbook(37)),
    identity(
        "rule/hadamard",
        "had(X, Y)",
        "had(dX, Y) + had(X, dY)",
        ("X", "Y"),
        kind="differential",
        source=cookbook(38),
        **_U_AND_V,
    ),
    identity(
        "rule/kronecker",
        "kron(X, Y)",
        "kron(dX, Y) + kron(X, dY)",
        ("X", "Y"),
        kind="differential",
        source=cookbook(39),
        shapes={"X": ("d", "p"), "Y": ("p", "d")},
    ),
    identity("rule/transpose", "X'", "dX'", "X", kind="differential", source=cookbook(44), shapes={"X": ("d", "n")}),
    Claim(
        name="rule/conjugate_transpose",
        title="differential of X^H: none in X, the transpose in X*",
        statement=r"\mathrm{d}(X^{H}) = (\mathrm{d}X)^{H}",
        function=lambda x: jnp.conj(x).T,
        derivative=lambda x: (
            jnp.zeros((*x.shape[::-1], *x.shape)),
            jnp.einsum("lj,ki->klji", jnp.eye(x.shape[0]), jnp.eye(x.shape[1])),
        ),
        arguments=(Argument("X", Complex(), ("d", "p")),),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(45),
    ),
    Claim(
        name="structure/chain_rule",
        title="gradient in a structured matrix from the unconstrained one",
        statement=(
            r"\frac{\mathrm{d}f}{\mathrm{d}A_{ij}} ="
            r" \operatorname{tr}\Bigl[\Bigl(\frac{\partial f}{\partial A}\Bigr)^\top S^{ij}\Bigr],"
            r" \quad S^{ij} = \frac{\partial A}{\partial A_{ij}}"
        ),
        function=_outer,
        derivative=lambda x, a: _by_structure(x, a, _toeplitz_patterns(len(x))),
        arguments=(Argument("X", Toeplitz(), ("d", "d")), _A),
        wrt=(0,),
        source=cookbook(133, 134),
        hypotheses=("A Toeplitz: each entry of a diagonal has an equal share of its partial derivative",),
    ),
    Claim(
        name="rule/chain",
        title="gradient of g(U), U = f(X)",
        statement=(
            r"\frac{\partial g(U)}{\partial X_{ij}} ="
            r" \sum_{kl} \frac{\partial g}{\partial u_{kl}} \frac{\partial u_{kl}}{\partial x_{ij}}"
            r" = \operatorname{tr}\Bigl[\Bigl(\frac{\partial g}{\partial U}\Bigr)^\top"
            r" \frac{\partial U}{\partial X_{ij}}\Bigr]"
        ),
        function=lambda x, a, b: _outer(_inner(x, b), a),
        derivative=lambda x, a, b: jnp.einsum(
            "kl,klij->ij", jax.grad(_outer)(_inner(x, b), a), jax.jacfwd(_inner)(x, b)
        ),
        arguments=(
            Argument("X", General(), ("p", "p")),
            Argument("A", General(), ("p", "p")),
            Argument("B", General(), ("p", "p")),
        ),
        wrt=(0,),
        source=cookbook(135, 136, 137),
    ),
    Claim(
        name="rule/taylor",
        title="second-order expansion of f, term by term",
        statement=r"f(x_0 + h) \cong f(x_0) + g^\top h + \tfrac12 h^\top H h",
        function=_along,
        derivative=_taylor,
        arguments=(
            Argument("x", Vector(), ("d",)),
            Argument("A", Symmetric(), ("d", "d")),
            Argument("h", Vector(), ("d",)),
        ),
        wrt=(),
        kind="value",
        source=cookbook(488),
        hypotheses=("g the gradient, H the Hessian",),
        dimensions=(1, 2),
    ),
)
