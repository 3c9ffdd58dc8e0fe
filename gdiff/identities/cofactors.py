"""Determinants of a general matrix: powers, products, forms; at singular matrices by cofactors."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import General, Singular, Symmetric
from gdiff.identities.notation import cookbook, log_det
from gdiff.written import identity


@dataclass(frozen=True)
class _Upper(General):
    """Matrices whose rows below the square on top are zero."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        out = super().sample(rng, shape, condition=condition, scale=scale)
        out[shape[1] :] = 0.0
        return out


@dataclass(frozen=True)
class _SingularCorner(General):
    """Invertible matrices whose leading 2 x 2 block is singular."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        out = super().sample(rng, shape, condition=condition, scale=scale)
        out[1, :2] = -0.5 * out[0, :2]
        return out


# X'AX = T' A_11 T is singular, and yet moves with X
_SINGULAR_FORM = (Argument("X", _Upper(), (5, 2)), Argument("A", _SingularCorner(), (5, 5)))
_SINGULAR = {"X invertible": {"X": Singular()}}
_X = Argument("X", General(), ("d", "d"))
_EXPANSION = "1 + {}det(A) + tr(A) + {} - 1/2*tr(A^2) + 1/6*tr(A)^3 - 1/2*tr(A)*tr(A^2) + 1/3*tr(A^3)"


def adjugate(x):
    """adj(X)_ij = (-1)^(i+j) det(X without row j and column i)."""
    d = len(x)
    rest = [np.delete(np.arange(d), i) for i in range(d)]
    if d == 1:
        return jnp.ones_like(x)
    return jnp.stack(
        [jnp.stack([(-1) ** (i + j) * jnp.linalg.det(x[rest[j]][:, rest[i]]) for j in range(d)]) for i in range(d)]
    )


def _taylor(f):
    """f(0), f'(0), f''(0)."""
    return jnp.stack([g(0.0) for g in (f, jax.grad(f), jax.grad(jax.grad(f)))])


def _shifted(a):
    return _taylor(lambda e: jnp.linalg.det(jnp.eye(len(a)) + e * a))


def _second_order(a):
    return jnp.trace(a) ** 2 - jnp.trace(a @ a)


CLAIMS = (
    identity(
        "det/shifted_printed",
        "det(I + A)",
        _EXPANSION.format("", "1/2 + tr(A)^2"),
        kind="value",
        source=cookbook(27),
        title="det(I + A) for n = 4",
        hypotheses=["n = 4"],
        expected="refuted",
        instead="det/shifted",
        dimensions=(4,),
    ),
    identity(
        "det/shifted",
        "det(I + A)",
        _EXPANSION.format("", "1/2*tr(A)^2"),
        kind="value",
        source=cookbook(27),
        title="det(I + A) for n = 4",
        hypotheses=["n = 4"],
        dimensions=(4,),
    ),
    Claim(
        name="det/near_identity_printed",
        title="det(I + eps A) to second order, as its Taylor coefficients at eps = 0",
        statement=(
            r"\det(I + \epsilon A) \cong 1 + \det(A) + \epsilon \operatorname{tr}(A)"
            r" + \tfrac12 \epsilon^2 (\operatorname{tr}(A)^2 - \operatorname{tr}(A^2))"
        ),
        function=_shifted,
        derivative=lambda a: jnp.stack([1 + jnp.linalg.det(a), jnp.trace(a), _second_order(a)]),
        arguments=(Argument("A", General(), ("d", "d")),),
        wrt=(),
        kind="value",
        source=cookbook(28),
        hypotheses=("eps small",),
        expected="refuted",
        instead="det/near_identity",
        dimensions=(2, 3),
    ),
    Claim(
        name="det/near_identity",
        title="det(I + eps A) to second order, as its Taylor coefficients at eps = 0",
        statement=(
            r"\det(I + \epsilon A) = 1 + \epsilon \operatorname{tr}(A)"
            r" + \tfrac12 \epsilon^2 (\operatorname{tr}(A)^2 - \operatorname{tr}(A^2)) + O(\epsilon^3)"
        ),
        function=_shifted,
        derivative=lambda a: jnp.stack([jnp.ones(()), jnp.trace(a), _second_order(a)]),
        arguments=(Argument("A", General(), ("d", "d")),),
        wrt=(),
        kind="value",
        source=cookbook(28),
        hypotheses=("eps small",),
        dimensions=(2, 3),
    ),
    Claim(
        name="det/differential",
        title="differential of det(X), by the adjugate",
        statement=r"\mathrm{d} \det(X) = \operatorname{tr}(\operatorname{adj}(X) \, \mathrm{d}X)",
        function=jnp.linalg.det,
        derivative=lambda x, dx: jnp.trace(adjugate(x) @ dx),
        arguments=(_X,),
        wrt=(0,),
        kind="differential",
        source=cookbook(41),
        hypotheses=("X square, singular or not",),
        fails_unless=(Hypothesis("X invertible", (Argument("X", Singular(), ("d", "d")),)),),
    ),
    identity(
        "det/differential_inverse",
        "det(X)",
        "det(X)*tr(inv(X)*dX)",
        "X",
        kind="differential",
        source=cookbook(42),
        fails_unless=_SINGULAR,
        expected="holds under hypotheses",
        instead="det/differential",
    ),
    identity("log_det/differential", "log(det(X))", "tr(inv(X)*dX)", "X", kind="differential", source=cookbook(43)),
    identity(
        "det/of_scalar",
        "det(A + c*B + c^2*C)",
        "det(A + c*B + c^2*C)*tr(inv(A + c*B + c^2*C)*(B + 2*c*C))",
        "c",
        source=cookbook(46),
        title="derivative of det(Y(x)), Y = A + x B + x^2 C",
        hypotheses=["Y invertible"],
    ),
    Claim(
        name="det/laplace_expansion",
        title="sum over k of (d det(X)/dX_ik) X_jk",
        statement=r"\sum_k \frac{\partial \det(X)}{\partial X_{ik}} X_{jk} = \delta_{ij} \det(X)",
        function=lambda x: jax.grad(jnp.linalg.det)(x) @ x.T,
        derivative=lambda x: jnp.eye(len(x)) * jnp.linalg.det(x),
        arguments=(_X,),
        wrt=(),
        kind="value",
        source=cookbook(47, 50),
        hypotheses=("X square",),
    ),
    identity(
        "det/of_scalar_second",
        "det(A + c*B + c^2*C)",
        "det(A + c*B + c^2*C)*(tr(inv(A + c*B + c^2*C)*2*C) + tr(inv(A + c*B + c^2*C)*(B + 2*c*C))^2"
        " - tr((inv(A + c*B + c^2*C)*(B + 2*c*C))^2))",
        "c",
        kind="hessian",
        source=cookbook(48),
        title="second derivative of det(Y(x)), Y = A + x B + x^2 C",
        hypotheses=["Y invertible"],
    ),
    identity(
        "det/gradient",
        "det(X)",
        "det(X)*inv(X)'",
        "X",
        source=cookbook(49),
        hypotheses=["X square, elements independent"],
        fails_unless=_SINGULAR,
        expected="holds under hypotheses",
        instead="det/gradient_cofactors",
    ),
    Claim(
        name="det/gradient_cofactors",
        title="gradient of det(X): the cofactors",
        statement=r"\frac{\partial \det(X)}{\partial X} = \operatorname{adj}(X)^\top = \operatorname{cof}(X)",
        function=jnp.linalg.det,
        derivative=lambda x: adjugate(x).T,
        arguments=(_X,),
        wrt=(0,),
        source=cookbook(49),
        hypotheses=("X square, elements independent, singular or not",),
        fails_unless=(Hypothesis("X invertible", (Argument("X", Singular(), ("d", "d")),)),),
    ),
    identity(
        "det/axb",
        "det(A*X*B)",
        "det(A*X*B)*inv(X)'",
        "X",
        source=cookbook(51),
        shapes={"A": ("d", "d"), "X": ("d", "d"), "B": ("d", "d")},
        fails_unless={
            "A and B square": {"A": ("d", "n"), "X": ("n", "n"), "B": ("n", "d")},
            "X square": {"A": ("d", "n"), "X": ("n", "m"), "B": ("m", "d")},
            "X invertible": {"X": Singular()},
        },
        expected="holds under hypotheses",
        instead="det/axb_adjugate",
    ),
    Claim(
        name="det/axb_adjugate",
        title="gradient of det(AXB), by the adjugate",
        statement=r"\frac{\partial \det(A X B)}{\partial X} = A^\top \operatorname{adj}(A X B)^\top B^\top",
        function=lambda a, x, b: jnp.linalg.det(a @ x @ b),
        derivative=lambda a, x, b: a.T @ adjugate(a @ x @ b).T @ b.T,
        arguments=(
            Argument("A", General(), ("p", "m")),
            Argument("X", General(), ("m", "n")),
            Argument("B", General(), ("n", "p")),
        ),
        wrt=(1,),
        source=cookbook(51),
        hypotheses=("A X B square, singular or not",),
        fails_unless=(
            Hypothesis(
                "X invertible",
                (
                    Argument("A", General(), ("d", "d")),
                    Argument("X", Singular(), ("d", "d")),
                    Argument("B", General(), ("d", "d")),
                ),
            ),
        ),
    ),
    identity(
        "det/axb_general",
        "det(A*X*B)",
        "det(A*X*B)*A'*inv(A*X*B)'*B'",
        "X",
        source=cookbook(51),
        shapes={"A": ("p", "m"), "X": ("m", "n"), "B": ("n", "p")},
        hypotheses=["A X B square and invertible"],
    ),
    identity(
        "det/xtax_square",
        "det(X'*A*X)",
        "2*det(X'*A*X)*inv(X)'",
        "X",
        source=cookbook(52),
        shapes={"X": ("d", "d"), "A": ("d", "d")},
        hypotheses=["X square and invertible", "A any square matrix"],
    ),
    identity(
        "det/xtax_symmetric",
        "det(X'*A*X)",
        "2*det(X'*A*X)*A*X*inv(X'*A*X)",
        "X",
        source=cookbook(53),
        shapes={"X": ("n", "p")},
        domains={"A": Symmetric()},
        hypotheses=["A symmetric", "X'AX invertible"],
    ),
    identity(
        "det/xtax",
        "det(X'*A*X)",
        "det(X'*A*X)*(A*X*inv(X'*A*X) + A'*X*inv(X'*A'*X))",
        "X",
        source=cookbook(54),
        shapes={"X": ("n", "p")},
        hypotheses=["A any square matrix"],
        fails_unless={"X'AX invertible": {a.name: a for a in _SINGULAR_FORM}},
        expected="holds under hypotheses",
        instead="det/xtax_adjugate",
    ),
    Claim(
        name="det/xtax_adjugate",
        title="gradient of det(X'AX), by the adjugate",
        statement=(
            r"\frac{\partial \det(X^\top A X)}{\partial X} = A X \operatorname{adj}(X^\top A X)"
            r" + A^\top X \operatorname{adj}(X^\top A X)^\top"
        ),
        function=lambda x, a: jnp.linalg.det(x.T @ a @ x),
        derivative=lambda x, a: a @ x @ adjugate(x.T @ a @ x) + a.T @ x @ adjugate(x.T @ a @ x).T,
        arguments=(Argument("X", General(), ("d", "p")), Argument("A", General(), ("d", "d"))),
        wrt=(0,),
        source=cookbook(54),
        hypotheses=("A any square matrix",),
        fails_unless=(Hypothesis("X'AX invertible", _SINGULAR_FORM),),
    ),
    Claim(
        name="log_det/gram",
        title="gradient of log det(X'X)",
        statement=r"\frac{\partial \ln\det(X^\top X)}{\partial X} = 2 (X^{+})^\top",
        function=lambda x: log_det(x.T @ x),
        derivative=lambda x: 2 * jnp.linalg.pinv(x).T,
        arguments=(Argument("X", General(), ("n", "d")),),
        wrt=(0,),
        source=cookbook(55),
        hypotheses=("X of full column rank",),
    ),
    Claim(
        name="log_det/gram_pseudo_inverse",
        title="gradient of log det(X'X) in X^+",
        statement=r"\frac{\partial \ln\det(X^\top X)}{\partial X^{+}} = -2 X^\top",
        function=lambda y: log_det(jnp.linalg.inv(y @ y.T)),  # X'X = (Y Y')^-1 for Y = X^+
        derivative=lambda y: -2 * jnp.linalg.pinv(y).T,
        arguments=(Argument("Y", General(), ("d", "n")),),
        wrt=(0,),
        source=cookbook(56),
        hypotheses=("X of full column rank, Y = X^+",),
    ),
    identity(
        "det/power", "det(X^3)", "3*det(X^3)*inv(X)'", "X", source=cookbook(58), hypotheses=["k = 3", "X invertible"]
    ),
    identity(
        "det/power_negative",
        "det(X^(-2))",
        "-2*det(X^(-2))*inv(X)'",
        "X",
        source=cookbook(58),
        hypotheses=["k = -2", "X invertible"],
    ),
)
