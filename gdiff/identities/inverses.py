"""Inverses: their differentials, forms in them, and how a gradient in A^-1 becomes one in A."""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General
from gdiff.identities.notation import cookbook
from gdiff.written import identity

_A = Argument("A", General(), ("d", "d"))
_B = Argument("B", General(), ("d", "d"))


def _of_inverse(w, b):
    """A function of W = A^-1 that is no simple form of it."""
    return jnp.sum(jnp.sin(w @ b)) + jnp.trace(w @ w @ b)


CLAIMS = (
    identity("inverse/differential", "inv(X)", "-inv(X)*dX*inv(X)", "X", kind="differential", source=cookbook(40)),
    identity(
        "inverse/of_scalar",
        "inv(A + c*B + c^2*C)",
        "-inv(A + c*B + c^2*C)*(B + 2*c*C)*inv(A + c*B + c^2*C)",
        "c",
        kind="jacobian",
        source=cookbook(59),
        title="derivative of Y(x)^-1, Y = A + x B + x^2 C",
        hypotheses=["Y invertible"],
    ),
    Claim(
        name="inverse/entries",
        title="Jacobian of X^-1, entry by entry",
        statement=r"\frac{\partial (X^{-1})_{kl}}{\partial X_{ij}} = -(X^{-1})_{ki} (X^{-1})_{jl}",
        function=jnp.linalg.inv,
        derivative=lambda x: -jnp.einsum("ki,jl->klij", jnp.linalg.inv(x), jnp.linalg.inv(x)),
        arguments=(Argument("X", General(), ("d", "d")),),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(60),
        hypotheses=("X invertible",),
    ),
    identity(
        "inverse/bilinear",
        "a'*inv(X)*b",
        "-inv(X)'*a*b'*inv(X)'",
        "X",
        source=cookbook(61),
        shapes={"a": ("d",), "b": ("d",)},
        hypotheses=["X square, elements independent"],
    ),
    identity(
        "inverse/determinant",
        "det(inv(X))",
        "-det(inv(X))*inv(X)'",
        "X",
        source=cookbook(62),
        hypotheses=["X square, elements independent"],
    ),
    identity(
        "inverse/trace_shifted",
        "tr(inv(X + A))",
        "-(inv(X + A)*inv(X + A))'",
        "X",
        source=cookbook(64),
        hypotheses=["X square, elements independent"],
    ),
    Claim(
        name="inverse/chain_rule",
        title="a gradient in W = A^-1 as one in A",
        statement=(
            r"\frac{\partial J}{\partial A} = -A^{-\top} \frac{\partial J}{\partial W} A^{-\top}, \quad W = A^{-1}"
        ),
        function=lambda a, b: _of_inverse(jnp.linalg.inv(a), b),
        derivative=lambda a, b: (
            -jnp.linalg.inv(a).T @ jax.grad(_of_inverse)(jnp.linalg.inv(a), b) @ jnp.linalg.inv(a).T
        ),
        arguments=(_A, _B),
        wrt=(0,),
        source=cookbook(place="after 64"),
        hypotheses=("A unconstrained",),
    ),
)
