"""A claim, points and oracles make a verdict.

`verify_gradient`, `verify_hessian`, `verify_jacobian` and `verify_differential` establish the truth and judge one
claim; `establish` and `judge` are the two halves, for holding many claims against one truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from gdiff.arguments import parameter_names, read_arguments, with_positive_definite
from gdiff.claimed import ClaimFunction
from gdiff.claimed import ClaimValues as ClaimValues
from gdiff.claimed import read_claim as read_claim
from gdiff.degenerate import at_degenerate_points, judged_at
from gdiff.diagnosis import Diagnosis, Kind
from gdiff.domains import PositiveDefinite
from gdiff.judgement import Term, judge
from gdiff.judgement import case_of as case_of
from gdiff.oracles import judging
from gdiff.symmetric.coordinates import check_convention
from gdiff.tolerance import question
from gdiff.truth import NotEstablished, Subject, establish
from gdiff.verdict import Verdict
from gdiff.wirtinger import is_complex, verify_complex


def _verify(
    f: Callable[..., Any],
    claimed: Any,
    args: tuple[Any, ...],
    order: int,
    *,
    argnums: int | Sequence[int],
    domains: Any,
    convention: str | None,
    digits: Any,
    seed: int,
    names: Sequence[str] | None,
    terms: Sequence[Term],
    degenerate: bool,
) -> Verdict:
    if is_complex(args, domains):
        if degenerate:
            raise ValueError("degenerate=True is for real arguments; pass complex points of your own.")
        if order == 2:
            raise TypeError(
                "a Hessian with respect to complex arguments is not supported: write f of the real and imaginary parts."
            )
        return verify_complex(
            f, claimed, args, argnums=argnums, domains=domains, convention=convention, digits=digits, seed=seed,
            names=names,
        )  # fmt: skip
    if convention is not None:
        check_convention(convention)
    arguments = read_arguments(f, args, argnums, domains, names)
    leaves = arguments.flatten(args)
    subject = Subject(f, arguments, order)
    fresh = callable(claimed) or (isinstance(claimed, tuple) and all(map(callable, claimed)))
    if degenerate and not fresh:
        raise ValueError("degenerate=True is for a claimed function: numbers are those of one point.")
    function: ClaimFunction | None = None
    tried: list[Verdict] = []
    reason: Exception | None = None
    general = not any(arguments.domains[i].is_symmetric for i in arguments.wrt)
    attempts: list[Any] = [] if convention == "symmetric" and general else [(arguments, ())]
    seen = [arguments.domains]
    for which in ("differentiated", "others", "all"):
        upgraded = with_positive_definite(arguments, leaves, which)
        if upgraded is not None and upgraded[0].domains not in seen:
            seen.append(upgraded[0].domains)
            attempts.append(upgraded)
    if not attempts:
        raise ValueError(
            "convention='symmetric' is about a symmetric argument: declare it, domains=PositiveDefinite()."
        )
    for own, hypotheses in attempts:
        try:
            truth = establish(f, [args], order=order, seed=seed, arguments=own, subject=subject, hypotheses=hypotheses)
            if fresh:
                function = function or ClaimFunction(claimed, truth)
            asked = convention if truth.conventions != (None,) else None
            verdict = judge(truth, claimed, convention=asked, digits=digits, terms=terms, function=function)
        except NotEstablished as error:
            reason = reason or error
            continue
        if verdict.holds and degenerate:
            at = partial(judged_at, f, claimed, own, order=order, subject=subject, function=function)
            verdict = at_degenerate_points(verdict, own, leaves, partial(at, convention=asked, digits=digits))
        if verdict.holds:
            first = tried[0] if tried else None  # what it would be without the hypothesis
            if first is not None and first.kind is Kind.TRANSPOSE:
                return replace(verdict, diagnosis=_advised(first))
            return verdict
        tried.append(verdict)
    if not tried:
        raise ValueError(f"nothing to judge at: {reason}")
    told = _most_telling(tried)
    advisable = told.diagnosis is not None and "if_symmetric" in told.diagnosis.evidence
    if advisable and len(attempts) == 1:
        domains = [PositiveDefinite() if i in arguments.wrt else d for i, d in enumerate(arguments.domains)]
        try:
            truth = establish(
                f, [args], order=order, seed=seed, arguments=replace(arguments, domains=tuple(domains)),
                subject=subject, hypotheses=("symmetric",),
            )  # fmt: skip
            if judge(truth, claimed, digits=digits, function=function, explain=False).holds:
                return replace(told, diagnosis=_advised(told))
        except NotEstablished:
            pass
    return told


def _advised(verdict: Verdict) -> Diagnosis:
    """The diagnosis of a transpose, with the advice that its claim holds for symmetric arguments: it was tried."""
    found = verdict.diagnosis
    assert found is not None
    advice = found.evidence.get("if_symmetric", "")
    return replace(found, message=f"{found.message} {advice}" if advice else found.message)


def _most_telling(tried: Sequence[Verdict]) -> Verdict:
    """Of verdicts that do not hold: an inconclusive one, else the one whose diagnosis changes least to make it hold."""

    def rank(verdict: Verdict) -> tuple[int, int]:
        if verdict.inconclusive:
            return (0, 0)
        if verdict.diagnosis is None or verdict.diagnosis.kind is Kind.UNKNOWN:
            return (3, 0)
        if verdict.diagnosis.kind is Kind.SYMMETRIC_PART_RIGHT:
            return (2, 0)
        return (1, int(verdict.diagnosis.evidence.get("changes", 0)))

    return min(tried, key=rank)


def verify_gradient(
    f: Callable[..., Any],
    claimed: Any,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    domains: Any = None,
    convention: str | None = None,
    digits: Any = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    terms: Sequence[Term] = (),
    degenerate: bool = False,
) -> Verdict:
    """Is `claimed` the gradient of the scalar function f?

    `args` is a point: the claim is judged there and, where it is a function, at fresh points of the same shapes.
    `claimed` has the shape of the argument, or is its vec or vech. `domains` is one domain for the differentiated
    argument, or one for each argument; by default Scalar, Vector, General by rank, and if that fails, square matrices
    are tried as positive definite (the verdict then names that hypothesis). `convention=None` accepts either and
    reports which. For a complex argument the conventions are "wirtinger", "conjugate", "nabla" and "jax", as
    `gdiff.wirtinger` defines them. `digits` are the significant digits that a numeric claim was printed with, or half a
    unit of the last digit for each entry (`gdiff.tolerance.printed_precision`). `terms` are extra (text, function of
    the named arguments) for the diagnosis to look for. `degenerate=True` tries a claim that holds at degenerate points
    too (zero, rank one, equal eigenvalues ...): where it fails becomes a hypothesis of the verdict.

    Raises ValueError for shapes that fit no layout and for points outside their domain, TypeError for tracers.
    """
    return _verify(
        _scalar(f),
        claimed,
        args,
        1,
        argnums=argnums,
        domains=domains,
        convention=convention,
        digits=digits,
        seed=seed,
        names=names or parameter_names(f, len(args)),
        terms=terms,
        degenerate=degenerate,
    )


def verify_hessian(
    f: Callable[..., Any],
    claimed: Any,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    domains: Any = None,
    convention: str | None = None,
    digits: Any = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    terms: Sequence[Term] = (),
    degenerate: bool = False,
) -> Verdict:
    """Is `claimed` the Hessian of the scalar function f?

    Layouts: (d, d) for a vector; (k, k) in vech, (d*d, d*d) in vec coordinates, or (d, d, d, d), for a matrix; blocks
    or one joint matrix for several arguments. "full" is N H N, N = (I + K)/2; "symmetric" D' H D. The rest is as in
    `verify_gradient`.
    """
    return _verify(
        _scalar(f),
        claimed,
        args,
        2,
        argnums=argnums,
        domains=domains,
        convention=convention,
        digits=digits,
        seed=seed,
        names=names or parameter_names(f, len(args)),
        terms=terms,
        degenerate=degenerate,
    )


def verify_jacobian(
    f: Callable[..., Any],
    claimed: Any,
    *args: Any,
    argnums: int | Sequence[int] = 0,
    domains: Any = None,
    convention: str | None = None,
    digits: Any = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    terms: Sequence[Term] = (),
    degenerate: bool = False,
) -> Verdict:
    """Is `claimed` the Jacobian of f, of any output shape?

    Layouts: output shape + argument shape, or a matrix with one row for each output (vec of it, if a matrix) and one
    column for each entry of the argument (vec or vech). The rest is as in `verify_gradient`.
    """
    return _verify(
        f,
        claimed,
        args,
        1,
        argnums=argnums,
        domains=domains,
        convention=convention,
        digits=digits,
        seed=seed,
        names=names,
        terms=terms,
        degenerate=degenerate,
    )


def _scalar(f: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*args: Any) -> Any:
        out = f(*args)
        if np.size(out) != 1:
            raise ValueError(
                f"f returned the shape {np.shape(out)}, wanted a scalar: a gradient is of a scalar function; "
                "use verify_jacobian."
            )
        return out.reshape(()) if hasattr(out, "reshape") else out

    return checked


def verify_differential(
    f: Callable[..., Any],
    claimed: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] = 0,
    domains: Any = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
    terms: Sequence[Term] = (),
) -> Verdict:
    """Is `claimed(*args, *tangents)` the differential of f, for tangents of the differentiated arguments?

    `claimed` is called with the arguments and one tangent for each of `argnums`, and returns df in the shape of f's
    output; tangents stay in the domain's tangent space, so no convention comes into it. A claim that is not linear in
    the tangents is refuted.
    """
    if not callable(claimed):
        raise TypeError("verify_differential: wanted a function df(*args, *tangents).")
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def attempt(space: Any) -> Callable[..., Any]:
        def as_jacobian(*point: Any) -> Any:
            bases = [np.eye(int(np.size(point[a]))).reshape(-1, *np.shape(point[a])) for a in chosen]
            out = []
            for slot, basis in enumerate(bases):
                zeros = [np.zeros(b.shape[1:]) for b in bases]
                columns = [claimed(*point, *zeros[:slot], space(e, chosen[slot]), *zeros[slot + 1 :]) for e in basis]
                out.append(
                    jax.numpy.stack([jax.numpy.asarray(c) for c in columns], axis=-1).reshape(
                        *np.shape(columns[0]), *basis.shape[1:]
                    )
                )
            return out[0] if isinstance(argnums, int) else tuple(out)

        return as_jacobian

    arguments = read_arguments(f, args, argnums, domains, names)
    if len(arguments.wrt) != len(chosen):
        raise TypeError("verify_differential: wanted arrays as differentiated arguments, not pytrees of them.")
    crooked = _not_linear(claimed, args, chosen, arguments, seed)
    if crooked is not None:
        return crooked
    position = {a: arguments.domains[i] for a, i in zip(chosen, arguments.wrt, strict=True)}
    verdict = verify_jacobian(
        f,
        attempt(lambda e, a: position[a].project(e)),
        *args,
        argnums=argnums,
        domains=domains,
        convention="full" if any(d.is_symmetric for d in position.values()) else None,
        seed=seed,
        names=names,
        terms=terms,
    )
    if not verdict.holds and domains is None:
        # an argument of undeclared structure: right for symmetric tangents, perhaps
        square = {a: d for a, d in position.items() if np.ndim(args[a]) == 2 and len(set(np.shape(args[a]))) == 1}
        if square:
            again = verify_jacobian(
                f,
                attempt(lambda e, a: (e + e.T) / 2 if a in square else e),
                *args,
                argnums=argnums,
                convention="full",
                seed=seed,
                names=names,
                terms=terms,
            )
            verdict = again if again.holds else verdict
    return replace(verdict, convention=None, explanation="")


def _not_linear(
    claimed: Callable[..., Any], args: tuple[Any, ...], chosen: tuple[int, ...], arguments: Any, seed: int
) -> Verdict | None:
    """The refutation of a differential that is not linear in its tangents, at the point given."""
    rng = np.random.default_rng(seed)
    point = [np.asarray(a, dtype=float) if i in chosen else a for i, a in enumerate(args)]

    def draw() -> list[np.ndarray]:
        out = []
        for a, i in zip(chosen, arguments.wrt, strict=True):
            basis = arguments.domains[i].tangent_basis(np.asarray(args[a], dtype=float))
            out.append(np.tensordot(rng.normal(size=len(basis)), basis, axes=1))
        return out

    with judging():
        u, v = draw(), draw()
        both = [2 * a - 3 * b for a, b in zip(u, v, strict=True)]
        left = np.asarray(claimed(*point, *both), dtype=float)
        one, other = (np.asarray(claimed(*point, *t), dtype=float) for t in (u, v))
    scale = float(np.max(np.abs(2 * one) + np.abs(3 * other), initial=0.0))
    if np.all(np.abs(left - (2 * one - 3 * other)) <= question(left.dtype) * scale):
        return None
    return Verdict(
        "refuted",
        diagnosis=Diagnosis(
            Kind.UNKNOWN,
            "it is not linear in the tangents: df(2u - 3v) is not 2 df(u) - 3 df(v), so it is no differential.",
        ),
        checks=int(left.size),
        points=1,
    )
