"""Complex arguments, verified as pairs of real ones; the conventions for a derivative with respect to them.

With Z = X + iY and a real function f, people call four arrays its derivative (Matrix Cookbook 2012-11-15, section 4):

    "wirtinger"   d/dZ  = (df/dX - i df/dY) / 2
    "conjugate"   d/dZ* = (df/dX + i df/dY) / 2
    "nabla"       df/dX + i df/dY = 2 d/dZ*, the direction of steepest ascent (232)
    "jax"         df/dX - i df/dY = 2 d/dZ, which `jax.grad` returns

A complex function has dF = (dF/dZ) dZ + (dF/dZ*) dZ*; where it is holomorphic the second is zero, and the first is the
derivative, with transposes that do not conjugate.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.arguments import by_argument, parameter_names
from gdiff.claimed import ClaimValues, read_claim
from gdiff.diagnosis import Diagnosis, Kind
from gdiff.domains import Complex, Domain
from gdiff.judgement import judge
from gdiff.oracles import judging, refuse_tracers
from gdiff.tolerance import question
from gdiff.truth import Truth, establish
from gdiff.verdict import Verdict

# What (df/dX, df/dY) is, of the real and the imaginary part of a derivative in that convention.
_FROM = {"wirtinger": (2.0, -2.0), "conjugate": (2.0, 2.0), "nabla": (1.0, 1.0), "jax": (1.0, -1.0)}
CONVENTIONS = tuple(_FROM)
_MEANING = {
    "wirtinger": "as d/dZ = (df/dRe Z - i df/dIm Z)/2. The direction of steepest ascent is twice its conjugate, and "
    "jax.grad returns twice this.",
    "conjugate": "as d/dZ* = (df/dRe Z + i df/dIm Z)/2. The direction of steepest ascent, nabla, is twice this.",
    "nabla": "as nabla f = df/dRe Z + i df/dIm Z = 2 d/dZ*, the direction of steepest ascent. jax.grad returns its "
    "conjugate.",
    "jax": "as jax.grad has it, df/dRe Z - i df/dIm Z = 2 d/dZ. Its conjugate is the direction of steepest ascent.",
}


def is_complex(args: Sequence[Any], domains: Any) -> bool:
    """Whether any argument is a complex array, or declared to be."""
    declared = domains if isinstance(domains, tuple | list) else (domains,)
    return any(isinstance(d, Complex) for d in declared) or any(
        np.issubdtype(np.result_type(leaf), np.complexfloating)
        for leaf in jax.tree.leaves(tuple(args))
        if hasattr(leaf, "dtype") or isinstance(leaf, complex)
    )


class _Parts:
    """How arguments, some of them complex, are made of real arrays."""

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int], domains: Any, names: Sequence[str]) -> None:
        refuse_tracers(tuple(args))
        self.chosen = tuple(a % len(args) for a in ((argnums,) if isinstance(argnums, int) else argnums))
        spaces = by_argument(domains, args, self.chosen)
        self.split: list[bool] = []
        self.names: list[str] = []
        self.domains: list[Domain | None] = []
        self.argnums: list[int] = []
        for number, (argument, space, name) in enumerate(zip(args, spaces, names, strict=True)):
            leaves = jax.tree.leaves(argument)
            if len(leaves) != 1:
                raise TypeError(f"{name}: got a pytree beside complex arguments, wanted arrays.")
            split = np.iscomplexobj(leaves[0]) or isinstance(space, Complex)
            if split and not (space is None or isinstance(space, Complex)):
                raise ValueError(f"{name}: got complex numbers in the domain {space}, wanted Complex().")
            self.split.append(split)
            position = len(self.names)
            self.names += [f"Re {name}", f"Im {name}"] if split else [name]
            own = space if isinstance(space, Complex) else Complex()
            self.domains += list(own.parts(np.shape(argument))) if split else [space]
            if number in self.chosen:
                self.argnums += [position, position + 1] if split else [position]

    def real(self, args: Sequence[Any]) -> list[Any]:
        """The real arrays of the arguments."""
        out: list[Any] = []
        for argument, split in zip(args, self.split, strict=True):
            out += [np.real(argument), np.imag(argument)] if split else [argument]
        return out

    def rebuild(self, parts: Sequence[Any]) -> list[Any]:
        """The arguments of the real arrays."""
        rest = iter(parts)
        return [next(rest) + 1j * next(rest) if split else next(rest) for split in self.split]

    def scales(self, convention: str) -> list[float]:
        """By block, what makes the real derivative of the parts of a claim in that convention."""
        return [s for a in self.chosen for s in (_FROM[convention] if self.split[a] else (1.0,))]


def derivative_in_parts(derivative: Any, convention: str) -> tuple[Any, Any]:
    """(df/dRe Z, df/dIm Z) of a real f, from its derivative in one of CONVENTIONS."""
    if convention not in CONVENTIONS:
        raise ValueError(f"convention: got {convention!r}, wanted one of {', '.join(map(repr, CONVENTIONS))}.")
    along_re, along_im = _FROM[convention]
    return along_re * jnp.real(derivative), along_im * jnp.imag(derivative)


def pair_in_parts(derivatives: Any) -> tuple[Any, Any]:
    """(dF/dRe Z, dF/dIm Z) of a complex F as real arrays, parts of F first, from dF/dZ alone or with dF/dZ*.

    dF/dRe Z = W + V and dF/dIm Z = i (W - V), W = dF/dZ and V = dF/dZ*.
    """
    pair = derivatives if isinstance(derivatives, tuple) else (derivatives, jnp.zeros_like(jnp.asarray(derivatives)))
    w, v = map(jnp.asarray, pair)
    re, im = (jnp.stack([jnp.real(a), jnp.imag(a)]) for a in (w + v, 1j * (w - v)))
    return re, im


def _returns(f: Callable[..., Any], args: Sequence[Any], parts: _Parts, seed: int) -> str:
    """What f returns: "real", "complex", or "real as complex" (a complex dtype with no imaginary part anywhere)."""
    with judging(), np.errstate(all="ignore"):
        out = np.asarray(f(*args))
        if not np.iscomplexobj(out):
            return "real"
        rng = np.random.default_rng(seed)
        drawn = [
            Complex().sample(rng, np.shape(a)) if split else np.asarray(a)
            for a, split in zip(args, parts.split, strict=True)
        ]
        for value in (out, np.asarray(f(*drawn))):
            if np.max(np.abs(value.imag), initial=0.0) > question() * np.max(np.abs(value), initial=0.0):
                return "complex"
    return "real as complex"


def verify_complex(
    f: Callable[..., Any],
    claimed: Any,
    args: Sequence[Any],
    *,
    argnums: int | Sequence[int],
    domains: Any,
    convention: str | None,
    digits: Any,
    seed: int,
    names: Sequence[str] | None,
) -> Verdict:
    """The verdict on a first derivative with respect to arguments some of which are complex.

    Of a real f, `claimed` is its derivative in one of `CONVENTIONS`, by default whichever it is. Of a complex f, it is
    dF/dZ of a holomorphic function, or the pair (dF/dZ, dF/dZ*), each of the shape of the output, then the argument.
    """
    if convention is not None and convention not in CONVENTIONS:
        raise ValueError(f"convention: got {convention!r}, wanted one of {', '.join(map(repr, CONVENTIONS))}, or None.")
    parts = _Parts(args, argnums, domains, names or parameter_names(f, len(args)))
    returned = _returns(f, args, parts, seed)
    of_complex = returned == "complex"

    def real(*arrays: Any) -> Any:
        out = f(*parts.rebuild(arrays))
        if of_complex:
            return jnp.stack([jnp.real(out), jnp.imag(out)])
        return jnp.real(out) if returned == "real as complex" else out

    truth = establish(
        real,
        [parts.real(args)],
        argnums=tuple(parts.argnums),
        domains=tuple(parts.domains),
        seed=seed,
        names=parts.names,
        fresh=callable(claimed) or (isinstance(claimed, tuple) and all(map(callable, claimed))),
    )
    if of_complex:
        if convention is not None:
            raise ValueError(
                "convention: f is complex, and has dF/dZ and dF/dZ*; wanted None, with the first, or both."
            )
        return _of_complex(truth, parts, claimed)
    values = read_claim(truth, _claim_in_parts(claimed, parts), digits=digits)
    note = () if returned == "real" else ("f returns complex numbers without an imaginary part: taken as real.",)
    verdict = _of_real(truth, parts, values, convention)
    return replace(verdict, notes=(*verdict.notes, *note))


def _in_parts(arrays: Sequence[Any], parts: _Parts) -> list[Any]:
    out: list[Any] = []
    for a, array in zip(parts.chosen, arrays, strict=True):
        out += [jnp.real(array), jnp.imag(array)] if parts.split[a] else [jnp.real(array)]
    return out


def _claim_in_parts(claimed: Any, parts: _Parts) -> Any:
    """A claim as one about the real arrays: real and imaginary part of each of its arrays."""

    def arrays(out: Any) -> list[Any]:
        leaves = jax.tree.leaves(out)
        if len(leaves) != len(parts.chosen):
            raise ValueError(f"the claim has {len(leaves)} arrays, wanted {len(parts.chosen)}, one for each argument.")
        return _in_parts(leaves, parts)

    if isinstance(claimed, tuple) and all(map(callable, claimed)):
        return lambda *real: arrays([c(*parts.rebuild(real)) for c in claimed])
    if callable(claimed):
        return lambda *real: arrays(claimed(*parts.rebuild(real)))
    with judging():
        return tuple(np.asarray(x) for x in arrays(claimed))


def _of_real(truth: Truth, parts: _Parts, values: ClaimValues, convention: str | None) -> Verdict:
    def held(name: str, explain: bool = False) -> Verdict:
        scales = parts.scales(name)
        return judge(truth, values.mapped(lambda array, _, block: scales[block] * array), explain=explain)

    verdicts = {name: held(name) for name in CONVENTIONS}
    right = [name for name, verdict in verdicts.items() if verdict.holds]
    asked = convention or (right[0] if right else None)
    if asked in right:
        name = asked if len(right) == 1 or convention else "either"
        meaning = _MEANING[str(asked)] if name != "either" else f"as {' and as '.join(right)}: the derivative is real."
        return replace(verdicts[str(asked)], convention=name, explanation=f"right, {meaning}")
    if right:
        message = f"right, {_MEANING[right[0]]} Asked was {convention}."
        return replace(verdicts[str(convention)], diagnosis=Diagnosis(Kind.OTHER_CONVENTION, message))
    vague = [v for v in verdicts.values() if v.inconclusive]
    if vague and convention is None:
        return vague[0]
    # the other two are twice or half of these
    told = [(name, held(name, explain=True)) for name in ([convention] if convention else ["nabla", "jax"])]

    def vagueness(pair: tuple[str, Verdict]) -> tuple[bool, bool]:
        return pair[1].kind in (None, Kind.UNKNOWN), not pair[1].reason.startswith("every block")

    name, verdict = min(told, key=vagueness)
    if verdict.diagnosis is None:
        return verdict
    found = replace(verdict.diagnosis, message=f"held as {name}, {verdict.diagnosis.message}")
    return replace(verdict, diagnosis=found)


def _of_complex(truth: Truth, parts: _Parts, claimed: Any) -> Verdict:
    if len(parts.chosen) != 1 or not parts.split[parts.chosen[0]]:
        raise ValueError("argnums: f is complex; wanted one complex argument.")
    pair = isinstance(claimed, tuple)

    def conjugated(out: Any) -> Any:
        return jax.tree.map(jnp.conj, out)

    def evaluate(change: Callable[[Any], Any]) -> Any:
        if pair and all(map(callable, claimed)):
            return lambda *real: pair_in_parts(change(tuple(c(*parts.rebuild(real)) for c in claimed)))
        if callable(claimed):
            return lambda *real: pair_in_parts(change(claimed(*parts.rebuild(real))))
        with judging():
            return tuple(np.asarray(b) for b in pair_in_parts(change(claimed)))

    verdict = judge(truth, evaluate(lambda out: out))
    if verdict.holds:
        held = "as dF/dZ and dF/dZ*." if pair else "as dF/dZ: the function is holomorphic."
        return replace(verdict, explanation=f"right, {held}")
    if not verdict.refuted:
        return verdict
    if not _is_holomorphic(truth) and not pair:
        message = "the function is not holomorphic: its derivative is a pair, (dF/dZ, dF/dZ*); claim both."
        return replace(verdict, diagnosis=Diagnosis(Kind.MISSING_TERM, message))
    if judge(truth, evaluate(conjugated), explain=False).holds:
        message = (
            "the conjugate of the derivative: transposes of holomorphic functions do not conjugate, .T and not .H."
        )
        return replace(verdict, diagnosis=Diagnosis(Kind.OTHER_CONVENTION, message))
    return verdict


def _is_holomorphic(truth: Truth) -> bool:
    """Cauchy and Riemann: dF/dIm Z = i dF/dRe Z, at every point."""
    for point in truth.points:
        re, im = (block.tensor.reshape(2, -1) for block in point.blocks)
        size = max(np.max(np.abs(re), initial=0.0), np.max(np.abs(im), initial=0.0))
        if not np.all(np.abs(im - np.stack([-re[1], re[0]])) <= question() * size):
            return False
    return True
