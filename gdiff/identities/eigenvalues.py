"""Sums and products of eigenvalues; simple eigenvalues and eigenvectors of a symmetric matrix."""

import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Symmetric
from gdiff.identities.notation import cookbook

_X = Argument("X", General(), ("d", "d"))
_A = Argument("A", Symmetric(), ("d", "d"))


def _outer_eigenvectors(a):
    """v_i v_i', which does not depend on the signs of eigenvectors: [i, k, l]."""
    v = jnp.linalg.eigh(a)[1]
    return jnp.einsum("ki,li->ikl", v, v)


def _eigenvector_steps(a, da):
    """d(v_i v_i') by dv_i = (lambda_i I - A)^+ dA v_i, the pseudo-inverse from the other eigenvalues."""
    values, v = jnp.linalg.eigh(a)
    gaps = values[:, None] - values[None, :]
    inverse_gaps = jnp.where(np.eye(len(a)) > 0, 0.0, 1 / (gaps + jnp.eye(len(a))))
    pseudo_inverse = jnp.einsum("kj,ij,lj->ikl", v, inverse_gaps, v)
    dv = jnp.einsum("ikl,lm,mi->ki", pseudo_inverse, da, v)
    return jnp.einsum("ki,li->ikl", dv, v) + jnp.einsum("ki,li->ikl", v, dv)


CLAIMS = (
    Claim(
        name="eigenvalues/sum",
        title="gradient of the sum of the eigenvalues",
        statement=r"\frac{\partial}{\partial X} \sum_i \lambda_i(X) = I",
        function=lambda x: jnp.real(jnp.sum(jnp.linalg.eigvals(x))),
        derivative=lambda x: jnp.eye(len(x)),
        arguments=(_X,),
        wrt=(0,),
        source=cookbook(65),
        hypotheses=("X square, its eigenvalues real or not",),
    ),
    Claim(
        name="eigenvalues/product",
        title="gradient of the product of the eigenvalues",
        statement=r"\frac{\partial}{\partial X} \prod_i \lambda_i(X) = \det(X) X^{-\top}",
        function=lambda x: jnp.real(jnp.prod(jnp.linalg.eigvals(x))),
        derivative=lambda x: jnp.linalg.det(x) * jnp.linalg.inv(x).T,
        arguments=(_X,),
        wrt=(0,),
        source=cookbook(66),
        hypotheses=("X square and invertible, elements independent",),
    ),
    Claim(
        name="eigenvalues/symmetric",
        title="differential of the eigenvalues of a symmetric matrix",
        statement=r"\mathrm{d}\lambda_i = v_i^\top \, \mathrm{d}A \, v_i",
        function=jnp.linalg.eigvalsh,
        derivative=lambda a, da: jnp.einsum("ki,kl,li->i", jnp.linalg.eigh(a)[1], da, jnp.linalg.eigh(a)[1]),
        arguments=(_A,),
        wrt=(0,),
        kind="differential",
        source=cookbook(67),
        hypotheses=("A symmetric, eigenvalues distinct",),
    ),
    Claim(
        name="eigenvectors/symmetric",
        title="differential of the eigenvectors of a symmetric matrix, as that of v v'",
        statement=r"\mathrm{d}v_i = (\lambda_i I - A)^{+} \, \mathrm{d}A \, v_i",
        function=_outer_eigenvectors,
        derivative=_eigenvector_steps,
        arguments=(_A,),
        wrt=(0,),
        kind="differential",
        source=cookbook(68),
        hypotheses=("A symmetric, eigenvalues distinct",),
        dimensions=(2, 3),
    ),
)
