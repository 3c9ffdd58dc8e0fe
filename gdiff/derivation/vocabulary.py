"""The words that have a meaning: functions, Greek letters, and what a name is by its first letter.

| name | is read as |
|---|---|
| `a` to `g` | scalar |
| `h` to `z` | vector |
| `A` to `Z` | matrix |
| lower-case Greek | scalar, but `beta`, `eta`, `theta`, `mu`, `xi` vector |
| upper-case Greek | matrix |
| `mean`, `resid`, `residual` | vector |
| `cov`, `covariance`, `prec`, `precision`, `corr` | matrix |
| `dS`, `dmu`, `dSigma`: `d` before one of these | a differential, of the shape of what follows |

Digits and subscripts do not matter: `x1`, `x_1`, `S_xx`, `Sigma_hat`. Three names are not free: `I` is the identity,
`pi` the number, and `t(x)` the transpose (`t` alone is a vector). `e^x` is the exponential, `e` alone a scalar. What
the expression itself, or a declared shape, says otherwise comes first.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["scalar", "vector", "matrix"]

_LOWER = "αβγδεζηθικλμνξοπρστυφχψω"
_UPPER = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
_SPELLED = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"),
    *("nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)

# character -> ASCII spelling, and the letters that have two shapes
GREEK = dict(zip(_LOWER, _SPELLED, strict=True)) | dict(zip(_UPPER, [s.capitalize() for s in _SPELLED], strict=True))
GREEK |= {"ϵ": "epsilon", "ϕ": "phi", "ϑ": "theta", "ς": "sigma", "µ": "mu", "∑": "Sigma", "∆": "Delta", "Ω": "Omega"}
GREEK_WORDS = frozenset(GREEK.values())
GREEK_VARIANTS = {f"var{s}": s for s in ("epsilon", "theta", "kappa", "rho", "sigma", "phi")}
# those that have a command of their own in LaTeX (capital alpha is a plain A there)
_CAPITAL_COMMANDS = {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"}
GREEK_COMMANDS = (frozenset(_SPELLED) - {"omicron"}) | _CAPITAL_COMMANDS
_GREEK_VECTORS = frozenset({"beta", "eta", "theta", "mu", "xi"})

_WORDS: dict[str, Kind] = {
    **dict.fromkeys(("mean", "resid", "residual"), "vector"),
    **dict.fromkeys(("cov", "covariance", "prec", "precision", "corr"), "matrix"),
}

# what is written -> (what it is, fewest arguments, most arguments)
FUNCTIONS: dict[str, tuple[str, int, int]] = {
    **dict.fromkeys(("inv", "inverse"), ("inv", 1, 1)),
    "solve": ("solve", 1, 2),
    **dict.fromkeys(("t", "transpose"), ("t", 1, 1)),
    **dict.fromkeys(("tr", "trace", "Tr"), ("tr", 1, 1)),
    **dict.fromkeys(("det", "determinant"), ("det", 1, 1)),
    "logdet": ("logdet", 1, 1),
    **dict.fromkeys(("log", "ln"), ("log", 1, 1)),
    **dict.fromkeys(("sqrt", "√"), ("sqrt", 1, 1)),
    **dict.fromkeys(("had", "hadamard", "multiply"), ("had", 2, 2)),
    **dict.fromkeys(("kron", "kronecker"), ("kron", 2, 2)),
    **dict.fromkeys(("eye", "identity"), ("eye", 0, 1)),
    **{name: (name, 0, 2) for name in ("ones", "zeros")},
    "commutation": ("commutation", 1, 2),
    "duplication": ("duplication", 1, 1),
    **dict.fromkeys(("pinv", "ginv"), ("pinv", 1, 1)),
    **{name: (name, 2, 8) for name in ("cbind", "rbind")},
    **{name: (name, 1, 2) for name in ("outer", "crossprod")},
    "dot": ("dot", 2, 2),
    **{
        name: (name, 1, 1)
        for name in ("exp", "abs", "sum", "norm", "diag", "ddiag", "diagonal", "tril", "vec", "vech", "sym")
    },
}

# matrices that are made from sizes alone
SIZED = frozenset({"eye", "ones", "zeros", "commutation", "duplication"})
CONSTANTS = frozenset({"pi"})
_IDENTITY = re.compile(r"I(?:_?([0-9]+|[a-z]))?")


def identity_size(name: str) -> str | None:
    """Read `I`, `I_3`, `I_d`: the size that is named, an empty text for none, None for another name."""
    match = _IDENTITY.fullmatch(name)
    return match and (match[1] or "")


def ascii_name(text: str) -> str:
    r"""A name as it is spelled here: Σ and \Sigma are Sigma."""
    return "".join(GREEK.get(c, c) for c in text.strip().lstrip("\\"))


def base_of(name: str) -> str:
    """Take digits and subscripts off: S_xx -> S, x1 -> x."""
    return name.split("_")[0].rstrip("0123456789")


def kind_of(name: str) -> Kind | None:
    """Say what a name is by the table above; None for a word that is not in it.

    >>> [kind_of(name) for name in ("a", "x_1", "Sigma", "nu", "dS", "simga")]
    ['scalar', 'vector', 'matrix', 'scalar', 'matrix', None]
    """
    base = base_of(name)
    if base in _WORDS:
        return _WORDS[base]
    if base in GREEK_WORDS:
        return "matrix" if base[0].isupper() else "vector" if base in _GREEK_VECTORS else "scalar"
    if len(base) == 1:
        return "matrix" if base.isupper() else "scalar" if base <= "g" else "vector"
    if differential_of(name):
        return kind_of(name[1:])
    return None


def differential_of(name: str) -> str | None:
    """Return the name of which this one is the differential: dS -> S."""
    rest = name[1:]
    base = base_of(rest)
    known = base in GREEK_WORDS or base in _WORDS or len(base) == 1
    return rest if name.startswith("d") and base_of(name) not in GREEK_WORDS and known else None


def is_word(name: str, declared: Collection[str] = ()) -> bool:
    """Whether a run of letters is one name, and not several letters or a slip."""
    return name in declared or name in FUNCTIONS or name in CONSTANTS or kind_of(name) is not None
