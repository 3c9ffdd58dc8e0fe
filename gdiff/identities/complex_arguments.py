"""Complex arguments: holomorphic functions, d/dZ and d/dZ*, ascent directions, and the formulas made of them.

A complex function is claimed as the pair (dF/dZ, dF/dZ*), or as dF/dZ alone where it is holomorphic.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import Complex, Hermitian, Scalar
from gdiff.identities.notation import cookbook

_z = Argument("z", Complex(), ())
_X = Argument("X", Complex(), ("d", "d"))
_A = Argument("A", Complex(), ("d", "d"))
_B = Argument("B", Complex(), ("d", "d"))
_TALL = Argument("X", Complex(), ("n", "p"))
_SQUARE = Argument("A", Complex(), ("n", "n"))
_x = Argument("x", Complex(), ("d",))
_PARTS = (Argument("x", Scalar(), ()), Argument("y", Scalar(), ()))


def _h(x):
    return jnp.conj(x).T


def _holomorphic(z):
    return jnp.sin(z) + z**3


def _slope(z):
    return jnp.cos(z) + 3 * z**2


def _of_parts(part):
    """Real or imaginary part of the holomorphic function, of (Re z, Im z)."""
    return lambda x, y: part(_holomorphic(x + 1j * y))


def _pair(re, im):
    return jnp.stack([re, im])


def _form(x, a):
    return jnp.linalg.det(_h(x) @ a @ x)


def _outer_form(x, a):
    return jnp.linalg.det(x @ a @ _h(x))


def _quotient(a, b, x):
    return jnp.real(jnp.vdot(a @ x, a @ x) / jnp.vdot(b @ x, b @ x))


def _quotient_gradient(a, b, x, middle):
    """2 A^H A x / (x^H M x) - 2 (x^H A^H A x) B^H B x / (x^H B^H B x)^2."""
    below = jnp.conj(x) @ _h(b) @ b @ x
    return 2 * _h(a) @ a @ x / (jnp.conj(x) @ middle @ x) - 2 * (jnp.conj(x) @ _h(a) @ a @ x) * _h(b) @ b @ x / below**2


def _cauchy_riemann(name, part, derivative, along, number):
    """One of the expressions for f'(z): its real and imaginary parts from derivatives of those of f."""
    return Claim(
        name=f"complex/{name}",
        title=f"f'(z) of a holomorphic f, from derivatives along {part} z",
        statement=along,
        function=lambda x, y: _pair(jnp.real(_slope(x + 1j * y)), jnp.imag(_slope(x + 1j * y))),
        derivative=derivative,
        arguments=_PARTS,
        wrt=(),
        kind="value",
        source=cookbook(number),
        hypotheses=("f holomorphic",),
        dimensions=(1,),
    )


def _complex(name, title, statement, function, derivative, arguments, wrt, source, convention=None, hypotheses=()):
    return Claim(
        name=f"complex/{name}",
        title=title,
        statement=statement,
        function=function,
        derivative=derivative,
        arguments=arguments,
        wrt=(wrt,),
        kind="gradient" if convention else "jacobian",
        source=source,
        convention=convention,
        hypotheses=hypotheses,
    )


_RE, _IM = _of_parts(jnp.real), _of_parts(jnp.imag)

CLAIMS = (
    _cauchy_riemann(
        "along_real",
        "Re",
        lambda x, y: _pair(jax.grad(_RE, 0)(x, y), jax.grad(_IM, 0)(x, y)),
        r"\frac{\mathrm{d}f}{\mathrm{d}z} = \frac{\partial \Re f}{\partial \Re z}"
        r" + i \frac{\partial \Im f}{\partial \Re z}",
        226,
    ),
    _cauchy_riemann(
        "along_imaginary",
        "Im",
        lambda x, y: _pair(jax.grad(_IM, 1)(x, y), -jax.grad(_RE, 1)(x, y)),
        r"\frac{\mathrm{d}f}{\mathrm{d}z} = -i \frac{\partial \Re f}{\partial \Im z}"
        r" + \frac{\partial \Im f}{\partial \Im z}",
        227,
    ),
    Claim(
        name="complex/cauchy_riemann",
        title="the Cauchy-Riemann equations of a holomorphic f",
        statement=r"\frac{\partial f}{\partial \Im z} = i \frac{\partial f}{\partial \Re z}",
        function=lambda x, y: _pair(jax.grad(_RE, 1)(x, y), jax.grad(_IM, 1)(x, y)),
        derivative=lambda x, y: _pair(-jax.grad(_IM, 0)(x, y), jax.grad(_RE, 0)(x, y)),
        arguments=_PARTS,
        wrt=(),
        kind="value",
        source=cookbook(228),
        hypotheses=("f holomorphic",),
        dimensions=(1,),
    ),
    _complex(
        "generalised",
        "d/dz and d/dz* of f = z^2 z* + sin z*",
        r"\frac{\mathrm{d}f}{\mathrm{d}z} = \tfrac12 \Bigl(\frac{\partial f}{\partial \Re z}"
        r" - i \frac{\partial f}{\partial \Im z}\Bigr), \quad"
        r" \frac{\mathrm{d}f}{\mathrm{d}z^*} = \tfrac12 \Bigl(\frac{\partial f}{\partial \Re z}"
        r" + i \frac{\partial f}{\partial \Im z}\Bigr)",
        lambda z: z**2 * jnp.conj(z) + jnp.sin(jnp.conj(z)),
        lambda z: (2 * z * jnp.conj(z), z**2 + jnp.cos(jnp.conj(z))),
        (_z,),
        0,
        cookbook(229, 230, 231),
    ),
    _complex(
        "gradient_scalar",
        "ascent direction of |z|^4",
        r"\nabla f(z) = 2 \frac{\mathrm{d}f}{\mathrm{d}z^*} = 4 |z|^2 z, \quad f = |z|^4",
        lambda z: jnp.abs(z) ** 4,
        lambda z: 4 * jnp.abs(z) ** 2 * z,
        (_z,),
        0,
        cookbook(232),
        "nabla",
        ("f real",),
    ),
    _complex(
        "gradient_matrix",
        "ascent direction of Re tr(AZ) + |Z|^2",
        r"\nabla f(Z) = 2 \frac{\mathrm{d}f}{\mathrm{d}Z^*} = A^{H} + 2Z,"
        r" \quad f = \Re \operatorname{tr}(AZ) + \|Z\|_F^2",
        lambda z, a: jnp.real(jnp.trace(a @ z)) + jnp.sum(jnp.abs(z) ** 2),
        lambda z, a: _h(a) + 2 * z,
        (_X, _A),
        0,
        cookbook(233),
        "nabla",
        ("f real",),
    ),
    _complex(
        "chain_rule",
        "chain rule for g(u(x)), g = u^2 u*, u = x^2 x* + x",
        r"\frac{\partial g}{\partial x} = \frac{\partial g}{\partial u} \frac{\partial u}{\partial x}"
        r" + \frac{\partial g}{\partial u^*} \frac{\partial u^*}{\partial x}",
        lambda x: (lambda u: u**2 * jnp.conj(u))(x**2 * jnp.conj(x) + x),
        lambda x: (
            lambda u, ux, us: (
                2 * u * jnp.conj(u) * ux + u**2 * jnp.conj(us),
                2 * u * jnp.conj(u) * us + u**2 * jnp.conj(ux),
            )
        )(x**2 * jnp.conj(x) + x, 2 * x * jnp.conj(x) + 1, x**2),
        (_z,),
        0,
        cookbook(234),
    ),
    _complex(
        "chain_rule_matrix",
        "chain rule for g(U(X)), g = tr(A U*) + tr(B U), U = X X^H",
        r"\frac{\partial g(U)}{\partial X} ="
        r" \frac{\operatorname{tr}((\partial g / \partial U)^\top \partial U)}{\partial X}"
        r" + \frac{\operatorname{tr}((\partial g / \partial U^*)^\top \partial U^*)}{\partial X}",
        lambda x, a, b: jnp.trace(a @ jnp.conj(x @ _h(x))) + jnp.trace(b @ x @ _h(x)),
        lambda x, a, b: (b.T @ jnp.conj(x) + a @ jnp.conj(x), b @ x + a.T @ x),
        (_X, _A, _B),
        0,
        cookbook(235),
    ),
    _complex(
        "trace_conjugate",
        "derivatives of tr(X*) = tr(X^H)",
        r"\frac{\partial \operatorname{tr}(X^*)}{\partial \Re X} = I,"
        r" \quad i \frac{\partial \operatorname{tr}(X^*)}{\partial \Im X} = I",
        lambda x: jnp.trace(jnp.conj(x)),
        lambda x: (jnp.zeros_like(x), jnp.eye(len(x))),
        (_X,),
        0,
        cookbook(236, 237),
    ),
    _complex(
        "trace",
        "derivatives of tr(X) = tr(X')",
        r"\frac{\partial \operatorname{tr}(X)}{\partial \Re X} = I,"
        r" \quad i \frac{\partial \operatorname{tr}(X)}{\partial \Im X} = -I",
        jnp.trace,
        lambda x: (jnp.eye(len(x)), jnp.zeros_like(x)),
        (_X,),
        0,
        cookbook(238, 239),
    ),
    _complex(
        "trace_hermitian_transpose",
        "derivatives of tr(A X^H)",
        r"\frac{\partial \operatorname{tr}(A X^{H})}{\partial \Re X} = A,"
        r" \quad i \frac{\partial \operatorname{tr}(A X^{H})}{\partial \Im X} = A",
        lambda x, a: jnp.trace(a @ _h(x)),
        lambda x, a: (jnp.zeros_like(x), a),
        (_X, _A),
        0,
        cookbook(240, 241),
    ),
    _complex(
        "trace_a_conjugate",
        "derivatives of tr(A X*)",
        r"\frac{\partial \operatorname{tr}(A X^*)}{\partial \Re X} = A^\top,"
        r" \quad i \frac{\partial \operatorname{tr}(A X^*)}{\partial \Im X} = A^\top",
        lambda x, a: jnp.trace(a @ jnp.conj(x)),
        lambda x, a: (jnp.zeros_like(x), a.T),
        (_X, _A),
        0,
        cookbook(242, 243),
    ),
    _complex(
        "frobenius_parts",
        "derivatives of tr(X X^H) in the real and imaginary parts",
        r"\frac{\partial \operatorname{tr}(X X^{H})}{\partial \Re X} = 2 \Re X,"
        r" \quad i \frac{\partial \operatorname{tr}(X X^{H})}{\partial \Im X} = 2i \Im X",
        lambda x: jnp.real(jnp.trace(x @ _h(x))),
        lambda x: 2 * jnp.real(x) + 2j * jnp.imag(x),
        (_TALL,),
        0,
        cookbook(244, 245),
        "nabla",
    ),
    _complex(
        "frobenius_z",
        "d/dX of tr(X X^H)",
        r"\frac{\mathrm{d} \operatorname{tr}(X X^{H})}{\mathrm{d}X} = X^*",
        lambda x: jnp.real(jnp.trace(x @ _h(x))),
        jnp.conj,
        (_TALL,),
        0,
        cookbook(246),
        "wirtinger",
    ),
    _complex(
        "frobenius_conjugate",
        "d/dX* of tr(X X^H)",
        r"\frac{\mathrm{d} \operatorname{tr}(X X^{H})}{\mathrm{d}X^*} = X",
        lambda x: jnp.real(jnp.trace(x @ _h(x))),
        lambda x: 1 * x,
        (_TALL,),
        0,
        cookbook(247),
        "conjugate",
    ),
    _complex(
        "frobenius_square",
        "ascent direction of tr(X X^H)",
        r"\nabla \operatorname{tr}(X X^{H}) = 2X",
        lambda x: jnp.real(jnp.trace(x @ _h(x))),
        lambda x: 2 * x,
        (_TALL,),
        0,
        cookbook(248),
        "nabla",
    ),
    _complex(
        "det_form",
        "d/dX and d/dX* of det(X^H A X)",
        r"\frac{\partial \det(X^{H} A X)}{\partial X} = \det(X^{H} A X) ((X^{H} A X)^{-1} X^{H} A)^\top,"
        r" \quad \frac{\partial \det(X^{H} A X)}{\partial X^*} = \det(X^{H} A X) A X (X^{H} A X)^{-1}",
        _form,
        lambda x, a: (
            _form(x, a) * (jnp.linalg.inv(_h(x) @ a @ x) @ _h(x) @ a).T,
            _form(x, a) * a @ x @ jnp.linalg.inv(_h(x) @ a @ x),
        ),
        (_TALL, _SQUARE),
        0,
        cookbook(249, 250),
        hypotheses=("X^H A X invertible",),
    ),
    Claim(
        name="complex/quotient_printed",
        title="derivative of (Ax)^H(Ax) / (Bx)^H(Bx), x complex",
        statement=(
            r"\frac{\mathrm{d}}{\mathrm{d}x} \frac{(Ax)^{H}(Ax)}{(Bx)^{H}(Bx)} = 2 \frac{A^{H} A x}{x^{H} B B x}"
            r" - 2 \frac{x^{H} A^{H} A x \, B^{H} B x}{(x^{H} B^{H} B x)^2}"
        ),
        function=_quotient,
        derivative=lambda a, b, x: _quotient_gradient(a, b, x, b @ b),
        arguments=(_A, _B, _x),
        wrt=(2,),
        source=cookbook(251, 252),
        convention="wirtinger",
        hypotheses=("d/dx as in (230)",),
        holds_if=(
            Hypothesis("B Hermitian and d/dx read as nabla", (Argument("B", Hermitian(), ("d", "d")),), "nabla"),
        ),
        expected="refuted",
        instead="complex/quotient",
        dimensions=(2, 3),
    ),
    Claim(
        name="complex/quotient",
        title="ascent direction of (Ax)^H(Ax) / (Bx)^H(Bx)",
        statement=(
            r"\nabla \frac{(Ax)^{H}(Ax)}{(Bx)^{H}(Bx)} = 2 \frac{A^{H} A x}{x^{H} B^{H} B x}"
            r" - 2 \frac{x^{H} A^{H} A x \, B^{H} B x}{(x^{H} B^{H} B x)^2}"
        ),
        function=_quotient,
        derivative=lambda a, b, x: _quotient_gradient(a, b, x, _h(b) @ b),
        arguments=(_A, _B, _x),
        wrt=(2,),
        source=cookbook(251, 252),
        convention="nabla",
        dimensions=(2, 3),
    ),
    _complex(
        "det_outer_form",
        "d/dX and d/dX* of det(X A X^H)",
        r"\frac{\partial \det(X A X^{H})}{\partial X} = \det(X A X^{H}) (A X^{H} (X A X^{H})^{-1})^\top,"
        r" \quad \frac{\partial \det(X A X^{H})}{\partial X^*} = \det(X A X^{H}) (X A X^{H})^{-1} X A",
        _outer_form,
        lambda x, a: (
            _outer_form(x, a) * (a @ _h(x) @ jnp.linalg.inv(x @ a @ _h(x))).T,
            _outer_form(x, a) * jnp.linalg.inv(x @ a @ _h(x)) @ x @ a,
        ),
        (Argument("X", Complex(), ("p", "d")), _A),
        0,
        cookbook(570, 571),
        hypotheses=("X A X^H invertible",),
    ),
    _complex(
        "det",
        "d/dX of det X, holomorphic",
        r"\frac{\mathrm{d} \det X}{\mathrm{d}X} = \det(X) X^{-\top}",
        jnp.linalg.det,
        lambda x: jnp.linalg.det(x) * jnp.linalg.inv(x).T,
        (_X,),
        0,
        cookbook(place="beyond 248"),
        hypotheses=("X complex, invertible: transposes do not conjugate",),
    ),
    _complex(
        "trace_inverse",
        "d/dX of tr(X^-1 A), holomorphic",
        r"\frac{\mathrm{d} \operatorname{tr}(X^{-1} A)}{\mathrm{d}X} = -(X^{-1} A X^{-1})^\top",
        lambda x, a: jnp.trace(jnp.linalg.solve(x, a)),
        lambda x, a: -(jnp.linalg.inv(x) @ a @ jnp.linalg.inv(x)).T,
        (_X, _A),
        0,
        cookbook(place="beyond 248"),
        hypotheses=("X complex, invertible: transposes do not conjugate",),
    ),
    _complex(
        "log_det_square",
        "d/dX of ln|det X|^2",
        r"\frac{\mathrm{d} \ln |\det X|^2}{\mathrm{d}X} = X^{-\top}",
        lambda x: 2 * jnp.linalg.slogdet(x)[1],
        lambda x: jnp.linalg.inv(x).T,
        (_X,),
        0,
        cookbook(place="beyond 248"),
        "wirtinger",
        ("X complex, invertible",),
    ),
)
