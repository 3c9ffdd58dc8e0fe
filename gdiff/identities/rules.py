"""Rules of reverse mode for matrix operations, Jacobians in vec coordinates, Hessians in vec and vech coordinates.

A reverse rule takes the cotangent W of F(A, B, ...) to those of its arguments: they are the gradients of <W, F>.
"""

import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, PositiveDefinite, Symmetric
from gdiff.identities.notation import beyond, log_det
from gdiff.symmetric.coordinates import commutation_matrix, duplication_matrix, vec
from gdiff.written import identity

_square = Argument("X", General(), ("d", "d"))
_tall = Argument("X", General(), ("n", "d"))
_weight = Argument("A", General(), ("d", "d"))
_s = Argument("X", PositiveDefinite(), ("d", "d"))
_symmetric_weight = Argument("A", Symmetric(), ("d", "d"))

_FREE = ("entries independent",)
_INVERTIBLE = ("A invertible", "entries independent")
_X_INVERTIBLE = ("X square and invertible, entries independent",)
_DEFINITE = ("X symmetric positive definite",)


def _reverse(name, expression, claim, wrt, title, shapes, hypotheses=_FREE):
    return identity(
        f"reverse_rule/{name}",
        expression,
        claim,
        wrt,
        title=f"cotangent of {wrt} in {title}",
        shapes=shapes,
        source=beyond(50),
        hypotheses=hypotheses,
    )


_PRODUCT = {"A": ("n", "d"), "B": ("d", "m"), "W": ("n", "m")}
_SOLVE = {"A": ("d", "d"), "B": ("d", "m"), "W": ("d", "m")}
_FORM = {"A": ("n", "n"), "B": ("n", "d"), "W": ("d", "d")}

_REVERSE = (
    _reverse("product_left", "tr(W'*A*B)", "W*B'", "A", "A B", _PRODUCT),
    _reverse("product_right", "tr(W'*A*B)", "A'*W", "B", "A B", _PRODUCT),
    _reverse("inverse", "tr(W'*inv(A))", "-inv(A)'*W*inv(A)'", "A", "A^-1", {"A": ("d", "d")}, _INVERTIBLE),
    _reverse("solve_right", "tr(W'*inv(A)*B)", "inv(A)'*W", "B", "A^-1 B", _SOLVE, _INVERTIBLE),
    _reverse("solve_left", "tr(W'*inv(A)*B)", "-inv(A)'*W*(inv(A)*B)'", "A", "A^-1 B", _SOLVE, _INVERTIBLE),
    _reverse("form_middle", "tr(W'*B'*A*B)", "B*W*B'", "A", "B' A B", _FORM),
    _reverse("form_sides", "tr(W'*B'*A*B)", "A*B*W' + A'*B*W", "B", "B' A B", _FORM),
    _reverse(
        "inverse_form_middle",
        "tr(W'*B'*inv(A)*B)",
        "-inv(A)'*B*W*B'*inv(A)'",
        "A",
        "B' A^-1 B",
        _FORM,
        _INVERTIBLE,
    ),
    _reverse(
        "inverse_form_sides",
        "tr(W'*B'*inv(A)*B)",
        "inv(A)*B*W' + inv(A)'*B*W",
        "B",
        "B' A^-1 B",
        _FORM,
        _INVERTIBLE,
    ),
    _reverse("determinant", "c*det(A)", "c*det(A)*inv(A)'", "A", "det A", {"A": ("d", "d")}, _INVERTIBLE),
)

_JACOBIANS = (
    identity(
        "vec_jacobian/inverse",
        "inv(X)",
        "-kron(inv(X)', inv(X))",
        "X",
        kind="jacobian",
        title="Jacobian of vec X^-1 in vec X",
        shapes={"X": ("d", "d")},
        source=beyond(52),
        hypotheses=_X_INVERTIBLE,
    ),
    identity(
        "vec_jacobian/square",
        "X*X",
        "kron(X', I_d) + kron(I_d, X)",
        "X",
        kind="jacobian",
        title="Jacobian of vec X^2 in vec X",
        shapes={"X": ("d", "d")},
        source=beyond(52),
        hypotheses=("X square, entries independent",),
    ),
    Claim(
        name="vec_jacobian/inner_product",
        title="Jacobian of vec X'X in vec X",
        statement=(
            r"\frac{\partial \operatorname{vec} X^\top X}{\partial \operatorname{vec}(X)^\top}"
            r" = (I + K)(I \otimes X^\top)"
        ),
        function=lambda x: x.T @ x,
        derivative=lambda x: _plus_swapped(jnp.kron(jnp.eye(x.shape[1]), x.T), x.shape[1]),
        arguments=(_tall,),
        wrt=(0,),
        kind="jacobian",
        source=beyond(52),
        hypotheses=_FREE,
    ),
    Claim(
        name="vec_jacobian/outer_product",
        title="Jacobian of vec XX' in vec X",
        statement=(
            r"\frac{\partial \operatorname{vec} X X^\top}{\partial \operatorname{vec}(X)^\top} = (I + K)(X \otimes I)"
        ),
        function=lambda x: x @ x.T,
        derivative=lambda x: _plus_swapped(jnp.kron(x, jnp.eye(len(x))), len(x)),
        arguments=(_tall,),
        wrt=(0,),
        kind="jacobian",
        source=beyond(52),
        hypotheses=_FREE,
    ),
    Claim(
        name="vec_jacobian/transpose",
        title="Jacobian of vec X' in vec X",
        statement=r"\frac{\partial \operatorname{vec} X^\top}{\partial \operatorname{vec}(X)^\top} = K",
        function=lambda x: x.T,
        derivative=lambda x: commutation_matrix(*x.shape),
        arguments=(_tall,),
        wrt=(0,),
        kind="jacobian",
        source=beyond(52),
        hypotheses=_FREE,
    ),
    Claim(
        name="vec_jacobian/kronecker",
        title="Jacobian of vec(A kron X) in vec X, A m x n, X p x q",
        statement=(
            r"\frac{\partial \operatorname{vec}(A \otimes X)}{\partial \operatorname{vec}(X)^\top}"
            r" = (I_n \otimes K_{q, m} \otimes I_p)(\operatorname{vec} A \otimes I_{pq})"
        ),
        function=lambda a, x: jnp.einsum("ij,kl->ikjl", a, x).reshape(len(a) * len(x), -1),
        derivative=lambda a, x: _kronecker_jacobian(a, *x.shape),
        arguments=(Argument("A", General(), ("m", "d")), Argument("X", General(), ("p", "q"))),
        wrt=(1,),
        kind="jacobian",
        source=beyond(52),
        hypotheses=_FREE,
        dimensions=(1, 2),
    ),
)


def _plus_swapped(jacobian, d):
    """(I + K) J."""
    return jacobian + commutation_matrix(d, d) @ jacobian


def _kronecker_jacobian(a, p, q):
    m, n = a.shape
    middle = jnp.kron(jnp.kron(jnp.eye(n), commutation_matrix(q, m)), jnp.eye(p))
    return middle @ jnp.kron(vec(a)[:, None], jnp.eye(p * q))


def _inverse_trace_hessian(a, x):
    """K (X^-T kron M + M' kron X^-1), M = X^-1 A X^-1."""
    p = jnp.linalg.inv(x)
    m = p @ a @ p
    return commutation_matrix(*x.shape) @ (jnp.kron(p.T, m) + jnp.kron(m.T, p))


def _inverse_trace_hessian_distinct(a, x):
    """2 D' (X^-1 A X^-1 kron X^-1) D."""
    p, d = jnp.linalg.inv(x), duplication_matrix(len(x))
    return 2 * d.T @ jnp.kron(p @ a @ p, p) @ d


def _log_det_hessian(x):
    p = jnp.linalg.inv(x)
    return -commutation_matrix(*x.shape) @ jnp.kron(p.T, p)


def _log_det_hessian_distinct(x):
    p, d = jnp.linalg.inv(x), duplication_matrix(len(x))
    return -d.T @ jnp.kron(p, p) @ d


def _twice_hessian(a, b, x):
    """N + N', N = K_nm (B' kron A)."""
    m, n = x.shape
    half = commutation_matrix(n, m) @ jnp.kron(b.T, a)
    return half + half.T


def _hessian(name, title, right, function, derivative, arguments, hypotheses, convention=None):
    coordinates = r"\operatorname{vech} X" if convention else r"\operatorname{vec} X"
    left, claimed = right
    return Claim(
        name=f"{'vech' if convention else 'vec'}_hessian/{name}",
        title=f"Hessian of {title} in {'vech' if convention else 'vec'} X",
        statement=rf"\nabla^2_{{{coordinates}}} {left} = {claimed}",
        function=function,
        derivative=derivative,
        arguments=arguments,
        wrt=(len(arguments) - 1,),
        kind="hessian",
        convention=convention,
        source=beyond(53),
        hypotheses=hypotheses,
    )


_HESSIANS = (
    _hessian(
        "log_det",
        "ln|det X|",
        (r"\ln |\det X|", r"-K (X^{-\top} \otimes X^{-1})"),
        log_det,
        _log_det_hessian,
        (_square,),
        _X_INVERTIBLE,
    ),
    _hessian(
        "inverse_trace",
        "tr(A X^-1)",
        (
            r"\operatorname{tr}(A X^{-1})",
            r"K (X^{-\top} \otimes M + M^\top \otimes X^{-1}), \quad M = X^{-1} A X^{-1}",
        ),
        lambda a, x: jnp.trace(jnp.linalg.solve(x, a)),
        _inverse_trace_hessian,
        (_weight, _square),
        _X_INVERTIBLE,
    ),
    identity(
        "vec_hessian/quadratic_trace",
        "tr(X'*B*X*C)",
        "kron(C', B) + kron(C, B')",
        "X",
        kind="hessian",
        title="Hessian of tr(X' B X C) in vec X",
        shapes={"X": ("n", "d"), "B": ("n", "n"), "C": ("d", "d")},
        source=beyond(53),
        hypotheses=_FREE,
    ),
    _hessian(
        "product_trace",
        "tr(A X B X)",
        (r"\operatorname{tr}(A X B X)", r"N + N^\top, \quad N = K_{n, m} (B^\top \otimes A)"),
        lambda a, b, x: jnp.trace(a @ x @ b @ x),
        _twice_hessian,
        (
            Argument("A", General(), ("d", "m")),
            Argument("B", General(), ("d", "m")),
            Argument("X", General(), ("m", "d")),
        ),
        ("X m x n, A and B n x m, entries independent",),
    ),
    _hessian(
        "log_det",
        "ln det X",
        (r"\ln \det X", r"-D^\top (X^{-1} \otimes X^{-1}) D"),
        log_det,
        _log_det_hessian_distinct,
        (_s,),
        _DEFINITE,
        "symmetric",
    ),
    _hessian(
        "inverse_trace",
        "tr(A X^-1)",
        (r"\operatorname{tr}(A X^{-1})", r"2 D^\top (X^{-1} A X^{-1} \otimes X^{-1}) D"),
        lambda a, x: jnp.trace(jnp.linalg.solve(x, a)),
        _inverse_trace_hessian_distinct,
        (_symmetric_weight, _s),
        (*_DEFINITE, "A symmetric"),
        "symmetric",
    ),
)

CLAIMS = (*_REVERSE, *_JACOBIANS, *_HESSIANS)
