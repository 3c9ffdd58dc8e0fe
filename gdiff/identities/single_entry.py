"""The single-entry matrices J^ij, and what they are in products, traces and forms."""

import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Vector
from gdiff.identities.notation import cookbook

_A = Argument("A", General(), ("d", "d"))
_B = Argument("B", General(), ("d", "d"))
_x = Argument("x", Vector(), ("d",))


def _entries(n):
    """J^ij, of entries [i, j, k, l]."""
    return jnp.einsum("ik,jl->ijkl", jnp.eye(n), jnp.eye(n))


def _structure(n):
    """dA/dA_ij of a symmetric matrix, by moving A_ij and A_ji together: [i, j, k, l]."""
    e = np.eye(n)
    return jnp.asarray([[np.maximum(np.outer(e[i], e[j]), np.outer(e[j], e[i])) for j in range(n)] for i in range(n)])


def _single_entry(name, left, right, statement, function, derivative, equation, *arguments):
    return Claim(
        name=f"single_entry/{name}",
        title=f"{left} is {right}",
        statement=statement,
        function=function,
        derivative=derivative,
        arguments=arguments,
        wrt=(),
        kind="value",
        source=cookbook(*equation),
        hypotheses=("A and B square",),
        dimensions=(2, 3),
    )


CLAIMS = (
    _single_entry(
        "product",
        "(A J^ij B)_kl",
        "A_ki B_jl",
        r"(A J^{ij} B)_{kl} = A_{ki} B_{jl}",
        lambda a, b: jnp.einsum("ka,ijab,bl->klij", a, _entries(len(a)), b),
        lambda a, b: jnp.einsum("ki,jl->klij", a, b),
        (446, 447, 448, 449),
        _A,
        _B,
    ),
    _single_entry(
        "trace",
        "tr(A J^ij)",
        "(A')_ij",
        r"\operatorname{tr}(A J^{ij}) = (A^\top)_{ij}",
        lambda a: jnp.einsum("ka,ijak->ij", a, _entries(len(a))),
        lambda a: a.T,
        (450,),
        _A,
    ),
    _single_entry(
        "trace_product",
        "tr(A J^ij B)",
        "(A'B')_ij",
        r"\operatorname{tr}(A J^{ij} B) = (A^\top B^\top)_{ij}",
        lambda a, b: jnp.einsum("ka,ijab,bk->ij", a, _entries(len(a)), b),
        lambda a, b: a.T @ b.T,
        (451,),
        _A,
        _B,
    ),
    _single_entry(
        "trace_transposed",
        "tr(A J^ji B)",
        "(BA)_ij",
        r"\operatorname{tr}(A J^{ji} B) = (B A)_{ij}",
        lambda a, b: jnp.einsum("ka,jiab,bk->ij", a, _entries(len(a)), b),
        lambda a, b: b @ a,
        (452,),
        _A,
        _B,
    ),
    _single_entry(
        "trace_squared",
        "tr(A J^ij J^ij B)",
        "diag(A'B')_ij",
        r"\operatorname{tr}(A J^{ij} J^{ij} B) = \operatorname{diag}(A^\top B^\top)_{ij}",
        lambda a, b: jnp.einsum("ka,ijab,ijbc,ck->ij", a, _entries(len(a)), _entries(len(a)), b),
        lambda a, b: jnp.diag(jnp.diag(a.T @ b.T)),
        (453,),
        _A,
        _B,
    ),
    _single_entry(
        "form",
        "x'A J^ij B x",
        "(A'xx'B')_ij",
        r"x^\top A J^{ij} B x = (A^\top x x^\top B^\top)_{ij}",
        lambda x, a, b: jnp.einsum("k,ka,ijab,bl,l->ij", x, a, _entries(len(a)), b, x),
        lambda x, a, b: a.T @ jnp.outer(x, x) @ b.T,
        (454,),
        _x,
        _A,
        _B,
    ),
    _single_entry(
        "form_squared",
        "x'A J^ij J^ij B x",
        "diag(A'xx'B')_ij",
        r"x^\top A J^{ij} J^{ij} B x = \operatorname{diag}(A^\top x x^\top B^\top)_{ij}",
        lambda x, a, b: jnp.einsum("k,ka,ijab,ijbc,cl,l->ij", x, a, _entries(len(a)), _entries(len(a)), b, x),
        lambda x, a, b: jnp.diag(jnp.diag(a.T @ jnp.outer(x, x) @ b.T)),
        (455,),
        _x,
        _A,
        _B,
    ),
    _single_entry(
        "symmetric_structure",
        "the structure matrix of a symmetric matrix",
        "J^ij + J^ji - J^ij J^ij",
        r"S^{ij} = J^{ij} + J^{ji} - J^{ij} J^{ij}",
        lambda a: jnp.einsum("ijkl,lm->ijkm", _structure(len(a)), a),
        lambda a: jnp.einsum(
            "ijkl,lm->ijkm",
            _entries(len(a))
            + jnp.swapaxes(_entries(len(a)), 0, 1)
            - jnp.einsum("ijkm,ijml->ijkl", _entries(len(a)), _entries(len(a))),
            a,
        ),
        (456, 457, 458),
        _A,
    ),
)
