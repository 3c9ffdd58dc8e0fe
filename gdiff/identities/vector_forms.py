"""Linear, bilinear and quadratic forms in vectors and matrices; quotients of forms; vector norms."""

from typing import Any

import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import Complex, General, Symmetric
from gdiff.identities.notation import cookbook
from gdiff.written import identity

_WEIGHTED: dict[str, Any] = {"domains": {"W": Symmetric()}, "hypotheses": ["W symmetric"]}
_X = Argument("X", General(), ("d", "d"))
_TALL = Argument("X", General(), ("n", "d"))


def _power(x, k):
    return jnp.linalg.matrix_power(x, k)


def _single_entries(rows, columns):
    """J^ij, of entries [k, i, j, l]."""
    return jnp.einsum("ki,jl->kijl", jnp.eye(rows), jnp.eye(columns))


CLAIMS = (
    identity("form/linear", "x'*a", "a", "x", source=cookbook(69), shapes={"a": ("d",), "x": ("d",)}),
    identity(
        "form/bilinear",
        "a'*X*b",
        "a*b'",
        "X",
        source=cookbook(70),
        shapes={"a": ("m",), "b": ("n",), "X": ("m", "n")},
    ),
    identity(
        "form/bilinear_transposed",
        "a'*X'*b",
        "b*a'",
        "X",
        source=cookbook(71),
        shapes={"a": ("n",), "b": ("m",), "X": ("m", "n")},
    ),
    identity(
        "form/square",
        "a'*X*a",
        "a*a'",
        "X",
        source=cookbook(72),
        shapes={"a": ("d",), "X": ("d", "d")},
        hypotheses=["X square, unconstrained"],
    ),
    Claim(
        name="entry/itself",
        title="Jacobian of X in X: the single-entry matrices",
        statement=r"\frac{\partial X}{\partial X_{ij}} = J^{ij}",
        function=lambda x: 1 * x,
        derivative=lambda x: jnp.einsum("ki,lj->klij", jnp.eye(x.shape[0]), jnp.eye(x.shape[1])),
        arguments=(_TALL,),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(73),
    ),
    Claim(
        name="entry/xa",
        title="Jacobian of XA, entry by entry",
        statement=r"\frac{\partial (XA)_{ij}}{\partial X_{mn}} = \delta_{im} A_{nj} = (J^{mn} A)_{ij}",
        function=lambda x, a: x @ a,
        derivative=lambda x, a: jnp.einsum("im,nj->ijmn", jnp.eye(x.shape[0]), a),
        arguments=(_TALL, Argument("A", General(), ("d", "p"))),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(74),
    ),
    Claim(
        name="entry/xta",
        title="Jacobian of X'A, entry by entry",
        statement=r"\frac{\partial (X^\top A)_{ij}}{\partial X_{mn}} = \delta_{in} A_{mj} = (J^{nm} A)_{ij}",
        function=lambda x, a: x.T @ a,
        derivative=lambda x, a: jnp.einsum("in,mj->ijmn", jnp.eye(x.shape[1]), a),
        arguments=(_TALL, Argument("A", General(), ("n", "p"))),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(75),
    ),
    Claim(
        name="form/sum_of_products",
        title="gradient of the sum of all products of two entries",
        statement=r"\frac{\partial}{\partial X_{ij}} \sum_{klmn} X_{kl} X_{mn} = 2 \sum_{kl} X_{kl}",
        function=lambda x: jnp.einsum("kl,mn->", x, x),
        derivative=lambda x: 2 * jnp.sum(x) * jnp.ones_like(x),
        arguments=(_TALL,),
        wrt=(0,),
        source=cookbook(76),
    ),
    identity(
        "form/gram",
        "b'*X'*X*c",
        "X*(b*c' + c*b')",
        "X",
        source=cookbook(77),
        shapes={"b": ("d",), "c": ("d",), "X": ("n", "d")},
    ),
    identity(
        "form/affine",
        "(B*x + b)'*C*(D*x + d)",
        "B'*C*(D*x + d) + D'*C'*(B*x + b)",
        "x",
        source=cookbook(78),
        shapes={"x": ("d",), "B": ("m", "d"), "b": ("m",), "C": ("m", "n"), "D": ("n", "d"), "d": ("n",)},
    ),
    Claim(
        name="entry/xtbx",
        title="Jacobian of X'BX, entry by entry",
        statement=(
            r"\frac{\partial (X^\top B X)_{kl}}{\partial X_{ij}} = \delta_{lj} (X^\top B)_{ki} + \delta_{kj} (BX)_{il}"
        ),
        function=lambda x, b: x.T @ b @ x,
        derivative=lambda x, b: (
            jnp.einsum("lj,ki->klij", jnp.eye(x.shape[1]), x.T @ b)
            + jnp.einsum("kj,il->klij", jnp.eye(x.shape[1]), b @ x)
        ),
        arguments=(Argument("X", General(), ("n", "p")), Argument("B", General(), ("n", "n"))),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(79),
        hypotheses=("B any square matrix",),
    ),
    Claim(
        name="entry/xtbx_single_entry",
        title="Jacobian of X'BX, by single-entry matrices",
        statement=r"\frac{\partial (X^\top B X)}{\partial X_{ij}} = X^\top B J^{ij} + J^{ji} B X",
        function=lambda x, b: x.T @ b @ x,
        derivative=lambda x, b: (
            jnp.einsum("ka,aijl->klij", x.T @ b, _single_entries(*x.shape))
            + jnp.einsum("aijk,al->klij", _single_entries(*x.shape), b @ x)
        ),
        arguments=(Argument("X", General(), ("n", "p")), Argument("B", General(), ("n", "n"))),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(80),
        hypotheses=("B any square matrix",),
    ),
    identity("form/quadratic", "x'*B*x", "(B + B')*x", "x", source=cookbook(81), hypotheses=["B any square matrix"]),
    identity(
        "form/xtdx",
        "b'*X'*D*X*c",
        "D'*X*b*c' + D*X*c*b'",
        "X",
        source=cookbook(82),
        shapes={"b": ("d",), "c": ("d",), "X": ("n", "d")},
        hypotheses=["D square"],
    ),
    identity(
        "form/affine_square",
        "(X*b + c)'*D*(X*b + c)",
        "(D + D')*(X*b + c)*b'",
        "X",
        source=cookbook(83),
        shapes={"b": ("d",), "c": ("n",), "X": ("n", "d")},
    ),
    identity(
        "form/residual_in_s", "(x - A*s)'*W*(x - A*s)", "-2*A'*W*(x - A*s)", "s", source=cookbook(84), **_WEIGHTED
    ),
    identity("form/difference_in_x", "(x - s)'*W*(x - s)", "2*W*(x - s)", "x", source=cookbook(85), **_WEIGHTED),
    identity("form/residual_in_x", "(x - A*s)'*W*(x - A*s)", "2*W*(x - A*s)", "x", source=cookbook(87), **_WEIGHTED),
    identity(
        "form/residual_in_a", "(x - A*s)'*W*(x - A*s)", "-2*W*(x - A*s)*s'", "A", source=cookbook(88), **_WEIGHTED
    ),
    Claim(
        name="form/complex_residual_printed",
        title="derivative of (a - x^H b)^2, x complex",
        statement=r"\frac{\partial (a - x^{H} b)^2}{\partial x} = -2 b (a - x^{H} b)^{*}",
        function=lambda a, b, x: (a - jnp.conj(x) @ b) ** 2,
        derivative=lambda a, b, x: -2 * b * jnp.conj(a - jnp.conj(x) @ b),
        arguments=(
            Argument("a", Complex(), ()),
            Argument("b", Complex(), ("d",)),
            Argument("x", Complex(), ("d",)),
        ),
        wrt=(2,),
        source=cookbook(89),
        hypotheses=("a scalar, b vector, x complex",),
        expected="refuted",
        instead="form/complex_residual",
    ),
    Claim(
        name="form/complex_residual",
        title="ascent direction of |a - x^H b|^2, x complex",
        statement=r"\nabla_x |a - x^{H} b|^2 = -2 b (a - x^{H} b)^{*}",
        function=lambda a, b, x: jnp.abs(a - jnp.conj(x) @ b) ** 2,
        derivative=lambda a, b, x: -2 * b * jnp.conj(a - jnp.conj(x) @ b),
        arguments=(
            Argument("a", Complex(), ()),
            Argument("b", Complex(), ("d",)),
            Argument("x", Complex(), ("d",)),
        ),
        wrt=(2,),
        source=cookbook(89),
        convention="nabla",
        hypotheses=("a scalar, b vector, x complex",),
    ),
    Claim(
        name="power/entries",
        title="Jacobian of X^n, entry by entry, n = 3",
        statement=(
            r"\frac{\partial (X^n)_{kl}}{\partial X_{ij}} = \sum_{r=0}^{n-1} (X^r J^{ij} X^{n-1-r})_{kl}"
            r" = \sum_r (X^r)_{ki} (X^{n-1-r})_{jl}"
        ),
        function=lambda x: x @ x @ x,
        derivative=lambda x: sum(jnp.einsum("ki,jl->klij", _power(x, r), _power(x, 2 - r)) for r in range(3)),
        arguments=(_X,),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(90),
        hypotheses=("n = 3",),
    ),
    identity(
        "power/bilinear",
        "a'*X^3*b",
        "a*b'*(X^2)' + X'*a*b'*X' + (X^2)'*a*b'",
        "X",
        source=cookbook(91),
        shapes={"a": ("d",), "b": ("d",), "X": ("d", "d")},
        title="gradient of a' X^n b in X, n = 3",
    ),
    identity(
        "power/squared_printed",
        "a'*(X^2)'*X^2*b",
        "X*a*b'*(X^2)' + X^2*a*b'*X' + a*b'*(X^2)'*X + X'*X^2*a*b'",
        "X",
        source=cookbook(92),
        shapes={"a": ("d",), "b": ("d",), "X": ("d", "d")},
        title="gradient of a' (X^n)' X^n b in X, n = 2",
        expected="refuted",
        instead="power/squared",
        dimensions=(2, 3),
    ),
    identity(
        "power/squared",
        "a'*(X^2)'*X^2*b",
        "X'*X^2*b*a' + X^2*b*a'*X' + X^2*a*b'*X' + X'*X^2*a*b'",
        "X",
        source=cookbook(92),
        shapes={"a": ("d",), "b": ("d",), "X": ("d", "d")},
        title="gradient of a' (X^n)' X^n b in X, n = 2",
    ),
    identity(
        "form/of_functions",
        "(B*x + b)'*A*had(x, x)",
        "B'*A*had(x, x) + 2*diag(x)*A'*(B*x + b)",
        "x",
        source=cookbook(93),
        shapes={"B": ("m", "d"), "b": ("m",), "x": ("d",), "A": ("m", "d")},
        title="gradient of s(x)' A r(x), s = B x + b, r = x o x",
    ),
    identity(
        "quotient/printed",
        "(A*x)'*(A*x)/((B*x)'*(B*x))",
        "2*A'*A*x/(x'*B*B*x) - 2*(x'*A'*A*x)*B'*B*x/(x'*B'*B*x)^2",
        "x",
        source=cookbook(94, 95),
        shapes={"A": ("n", "d"), "B": ("d", "d"), "x": ("d",)},
        holds_if={"B symmetric": {"B": Symmetric()}},
        expected="refuted",
        instead="quotient/rayleigh",
        dimensions=(2, 3),
    ),
    identity(
        "quotient/rayleigh",
        "(A*x)'*(A*x)/((B*x)'*(B*x))",
        "2*A'*A*x/(x'*B'*B*x) - 2*(x'*A'*A*x)*B'*B*x/(x'*B'*B*x)^2",
        "x",
        source=cookbook(94, 95),
        shapes={"A": ("n", "d"), "B": ("m", "d"), "x": ("d",)},
        dimensions=(2, 3),
    ),
    identity("form/quadratic_and_linear", "x'*A*x + b'*x", "(A + A')*x + b", "x", source=cookbook(96, 97)),
    identity("form/quadratic_and_linear_hessian", "x'*A*x + b'*x", "A + A'", "x", kind="hessian", source=cookbook(98)),
    identity(
        "norm/distance",
        "norm(x - a)",
        "(x - a)/norm(x - a)",
        "x",
        source=cookbook(129),
        shapes={"x": ("d",), "a": ("d",)},
    ),
    identity(
        "norm/direction",
        "(x - a)/norm(x - a)",
        "I/norm(x - a) - (x - a)*(x - a)'/norm(x - a)^3",
        "x",
        kind="jacobian",
        source=cookbook(130),
        shapes={"x": ("d",), "a": ("d",)},
        dimensions=(2, 3),
    ),
    identity("norm/square", "norm(x)^2", "2*x", "x", source=cookbook(131), shapes={"x": ("d",)}, hypotheses=["x real"]),
)
