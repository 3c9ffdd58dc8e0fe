"""Quadratic and trace forms."""

import jax.numpy as jnp

from gdiff import closed_form
from gdiff.claim import Argument, Claim
from gdiff.domains import General, Symmetric, Vector
from gdiff.identities.notation import (
    MAGNUS_NEUDECKER,
    cookbook,
    cov,
    covariance_note,
    general,
    quadratic_form,
    scatter,
    x,
)

_a = Argument("a", Vector(), ("d",))
_b = Argument("b", Vector(), ("d",))
_s = Argument("s", Vector(), ("d",))
_w = Argument("W", Symmetric(), ("d", "d"))
_square = Argument("B", General(), ("d", "d"))


def _trace_form(s, t):
    return jnp.trace(jnp.linalg.solve(s, t))


def _trace_form_full(s, t):
    p = jnp.linalg.inv(s)
    return -p @ t @ p


def _trace_form_symmetric(s, t):
    a = _trace_form_full(s, t)
    return 2 * a - a * jnp.eye(len(a))


CLAIMS = (
    Claim(
        name="bilinear_inverse/general",
        title="gradient of a' X^-1 b, entries free",
        statement=r"\frac{\partial a^\top X^{-1} b}{\partial X} = -X^{-\top} a b^\top X^{-\top}",
        function=lambda m, a, b: a @ jnp.linalg.solve(m, b),
        derivative=lambda m, a, b: -jnp.outer(jnp.linalg.solve(m.T, a), jnp.linalg.solve(m, b)),
        arguments=(general, _a, _b),
        wrt=(0,),
        source=cookbook(61),
        hypotheses=("X square and invertible, entries independent",),
    ),
    Claim(
        name="quadratic_form/general",
        title="gradient of x' X^-1 x, entries free",
        statement=r"\frac{\partial x^\top X^{-1} x}{\partial X} = -X^{-\top} x x^\top X^{-\top}",
        function=quadratic_form,
        derivative=lambda v, m: closed_form.quadratic_form_gradient(v, m, structure="general"),
        arguments=(x, general),
        wrt=(1,),
        source=cookbook(61),
        hypotheses=("X square and invertible, entries independent",),
    ),
    Claim(
        name="quadratic_form/full",
        title="gradient of x' S^-1 x, S symmetric",
        statement=r"\nabla_S \, x^\top S^{-1} x = -S^{-1} x x^\top S^{-1}",
        function=quadratic_form,
        derivative=closed_form.quadratic_form_gradient,
        arguments=(x, cov),
        wrt=(1,),
        convention="full",
        source=cookbook(61),
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="quadratic_form/symmetric",
        title="gradient of x' S^-1 x in the distinct entries",
        statement=r"\frac{\partial x^\top S^{-1} x}{\partial S} = -2 Q + Q \circ I, \quad Q = S^{-1} x x^\top S^{-1}",
        function=quadratic_form,
        derivative=lambda v, s: closed_form.quadratic_form_gradient(v, s, "symmetric"),
        arguments=(x, cov),
        wrt=(1,),
        convention="symmetric",
        source=cookbook(61, 138),
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="quadratic_form_hessian/general",
        title="Hessian of x' X^-1 x, entries free",
        statement=(
            r"\nabla^2_{\operatorname{vec} X} x^\top X^{-1} x = K (X^{-\top} \otimes M + M^\top \otimes X^{-1}),"
            r" \quad M = X^{-1} x x^\top X^{-1}"
        ),
        function=quadratic_form,
        derivative=lambda v, m: closed_form.quadratic_form_hessian(v, m, structure="general"),
        arguments=(x, general),
        wrt=(1,),
        kind="hessian",
        source=MAGNUS_NEUDECKER,
        hypotheses=("X square and invertible, entries independent",),
    ),
    Claim(
        name="quadratic_form_hessian/full",
        title="Hessian of x' S^-1 x on symmetric steps",
        statement=(
            r"N \nabla^2 (x^\top S^{-1} x) N = N (S^{-1} \otimes Q + Q \otimes S^{-1}) N,"
            r" \quad Q = S^{-1} x x^\top S^{-1}"
        ),
        function=quadratic_form,
        derivative=lambda v, s: closed_form.quadratic_form_hessian(v, s, "full"),
        arguments=(x, cov),
        wrt=(1,),
        kind="hessian",
        convention="full",
        source=MAGNUS_NEUDECKER,
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="quadratic_form_hessian/symmetric",
        title="Hessian of x' S^-1 x in vech S",
        statement=(
            r"\nabla^2_{\operatorname{vech} S} x^\top S^{-1} x = D^\top (S^{-1} \otimes Q + Q \otimes S^{-1}) D,"
            r" \quad Q = S^{-1} x x^\top S^{-1}"
        ),
        function=quadratic_form,
        derivative=closed_form.quadratic_form_hessian,
        arguments=(x, cov),
        wrt=(1,),
        kind="hessian",
        convention="symmetric",
        source=MAGNUS_NEUDECKER,
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="quadratic_form/vector",
        title="gradient of x' B x in x",
        statement=r"\frac{\partial x^\top B x}{\partial x} = (B + B^\top) x",
        function=lambda v, m: v @ m @ v,
        derivative=lambda v, m: (m + m.T) @ v,
        arguments=(x, _square),
        wrt=(0,),
        source=cookbook(81),
        hypotheses=("B any square matrix",),
    ),
    Claim(
        name="quadratic_form/shift",
        title="gradient of (x - s)' W (x - s) in s",
        statement=r"\frac{\partial (x - s)^\top W (x - s)}{\partial s} = -2 W (x - s)",
        function=lambda v, s, w: (v - s) @ w @ (v - s),
        derivative=lambda v, s, w: -2 * w @ (v - s),
        arguments=(x, _s, _w),
        wrt=(1,),
        source=cookbook(86),
        hypotheses=("W symmetric",),
    ),
    Claim(
        name="trace_form/full",
        title="gradient of tr(S^-1 T), S symmetric",
        statement=r"\nabla_S \operatorname{tr}(S^{-1} T) = -S^{-1} T S^{-1}",
        function=_trace_form,
        derivative=_trace_form_full,
        arguments=(cov, scatter),
        wrt=(0,),
        convention="full",
        source=covariance_note(14),
        hypotheses=("S positive definite", "T symmetric"),
    ),
    Claim(
        name="trace_form/symmetric",
        title="gradient of tr(S^-1 T) in the distinct entries",
        statement=(
            r"\frac{\partial \operatorname{tr}(S^{-1} T)}{\partial S} = -2 Q + Q \circ I, \quad Q = S^{-1} T S^{-1}"
        ),
        function=_trace_form,
        derivative=_trace_form_symmetric,
        arguments=(cov, scatter),
        wrt=(0,),
        convention="symmetric",
        source=covariance_note(14),
        hypotheses=("S positive definite", "T symmetric"),
    ),
)
