"""Vec and Kronecker, exponentials, and functions of products."""

import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Scalar, Symmetric
from gdiff.identities.matrix_functions import exponential
from gdiff.identities.notation import BOUNDED, cookbook, log_det
from gdiff.written import identity

_A = Argument("A", BOUNDED, ("d", "d"))
_SMALL = Argument("B", General(), ("p", "p"))
_t = Argument("t", Scalar(), ())
_FORM = {"a": ("d",), "c": ("d",), "X": ("d", "p"), "B": ("p", "p")}

CLAIMS = (
    Claim(
        name="function/commutes",
        title="f(AB) A = A f(BA), f the exponential",
        statement=r"f(AB) A = A f(BA)",
        function=lambda a, b: exponential(a @ b) @ a,
        derivative=lambda a, b: a @ exponential(b @ a),
        arguments=(Argument("A", BOUNDED, ("d", "p")), Argument("B", BOUNDED, ("p", "d"))),
        wrt=(),
        kind="value",
        source=cookbook(493),
        hypotheses=("f analytic",),
    ),
    Claim(
        name="exponential/derivative_left",
        title="derivative of e^(tA)",
        statement=r"\frac{\mathrm{d}}{\mathrm{d}t} e^{tA} = A e^{tA}",
        function=lambda t, a: exponential(t * a),
        derivative=lambda t, a: a @ exponential(t * a),
        arguments=(_t, _A),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(500),
        hypotheses=("t a number",),
    ),
    Claim(
        name="exponential/derivative_right",
        title="derivative of e^(tA), A on the right",
        statement=r"\frac{\mathrm{d}}{\mathrm{d}t} e^{tA} = e^{tA} A",
        function=lambda t, a: exponential(t * a),
        derivative=lambda t, a: exponential(t * a) @ a,
        arguments=(_t, _A),
        wrt=(0,),
        kind="jacobian",
        source=cookbook(500),
        hypotheses=("t a number",),
    ),
    Claim(
        name="exponential/trace",
        title="derivative of tr e^(tA)",
        statement=r"\frac{\mathrm{d}}{\mathrm{d}t} \operatorname{tr} e^{tA} = \operatorname{tr}(A e^{tA})",
        function=lambda t, a: jnp.trace(exponential(t * a)),
        derivative=lambda t, a: jnp.trace(a @ exponential(t * a)),
        arguments=(_t, _A),
        wrt=(0,),
        source=cookbook(501),
        hypotheses=("t a number",),
    ),
    Claim(
        name="exponential/determinant",
        title="determinant of e^A",
        statement=r"\det e^{A} = e^{\operatorname{tr} A}",
        function=lambda a: jnp.linalg.det(exponential(a)),
        derivative=lambda a: jnp.exp(jnp.trace(a)),
        arguments=(_A,),
        wrt=(),
        kind="value",
        source=cookbook(502),
    ),
    Claim(
        name="kronecker/determinant",
        title="determinant of a Kronecker product",
        statement=(
            r"\det(A \otimes B) = \det(A)^n \det(B)^m,"
            r" \quad A \in \mathbb{R}^{m \times m}, B \in \mathbb{R}^{n \times n}"
        ),
        function=lambda a, b: jnp.linalg.det(jnp.kron(a, b)),
        derivative=lambda a, b: jnp.linalg.det(a) ** len(b) * jnp.linalg.det(b) ** len(a),
        arguments=(Argument("A", General(), ("d", "d")), _SMALL),
        wrt=(),
        kind="value",
        source=cookbook(516),
        hypotheses=("A and B square and invertible",),
    ),
    Claim(
        name="kronecker/log_det",
        title="gradient of log|det(A (x) B)| in A",
        statement=r"\frac{\partial \ln|\det(A \otimes B)|}{\partial A} = n A^{-\top}",
        function=lambda a, b: log_det(jnp.kron(a, b)),
        derivative=lambda a, b: len(b) * jnp.linalg.inv(a).T,
        arguments=(Argument("A", General(), ("d", "d")), Argument("B", General(), ("n", "n"))),
        wrt=(0,),
        source=cookbook(516),
        hypotheses=("A m x m and B n x n, invertible",),
        dimensions=(1, 2),
    ),
    identity(
        "vec/product",
        "vec(A*X*B)",
        "kron(B', A)*vec(X)",
        kind="value",
        source=cookbook(520),
        shapes={"A": ("m", "d"), "X": ("d", "p"), "B": ("p", "n")},
    ),
    identity(
        "vec/product_jacobian",
        "vec(A*X*B)",
        "kron(B', A)",
        "X",
        kind="jacobian",
        source=cookbook(520),
        shapes={"A": ("m", "d"), "X": ("d", "p"), "B": ("p", "n")},
    ),
    identity(
        "vec/trace",
        "tr(A'*B)",
        "vec(A)'*vec(B)",
        kind="value",
        source=cookbook(521),
        shapes={"A": ("d", "n"), "B": ("d", "n")},
    ),
    identity(
        "vec/form_printed",
        "a'*X*B*X'*c",
        "vec(X)'*kron(B, c*a')*vec(X)",
        kind="value",
        source=cookbook(524),
        shapes=_FORM,
        holds_if={"B symmetric": {"B": Symmetric()}},
        expected="refuted",
        instead="vec/form",
        dimensions=(3,),
    ),
    identity(
        "vec/form", "a'*X*B*X'*c", "vec(X)'*kron(B', c*a')*vec(X)", kind="value", source=cookbook(524), shapes=_FORM
    ),
)
