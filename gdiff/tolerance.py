"""The one function from dtype, step and conditioning to a bound. Every literal of a comparison lives here.

u is the unit roundoff of a dtype: half its eps. A *conditioning* is an amplification of rounding: the relative error
of a result in units of u. It is known (`d kS` for the closed forms, kS the scaled condition number) or *measured*:
move the inputs by a few u, see by how many u the result moves.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

SAFETY = 8.0  # the closed forms stay within 8 d kS u; a measured response within 8 of the largest of a few draws
PERTURBATION = 4.0  # inputs are moved by at most this many u when an amplification is measured
DRAWS = 6  # how often they are moved: three can all fall where a response happens to be small
_QUESTION = 1e-6  # the smallest relative mistake that a verdict is asked to see, in float64
_QUESTION_IN_UNITS = 2.0**14  # and in lower precisions, in units of u: 1e-3 in float32
_CONVERGING = 1e-6  # the truncation of sixth-order differences that are near their limit, relative to the largest
STEP_REDUCTION, STEP_REDUCTIONS = 8.0, 3  # how the step shrinks until they are, and how often
_STEP_POWER = 1 / 8  # of u: truncation h^6 and noise u/h of a sixth-order difference meet near u^(1/7)


@cache
def unit_roundoff(dtype: Any) -> float:
    """u = eps/2 of a floating dtype (complex: of its parts); integers count as float64.

    >>> unit_roundoff("float64") == 2.0**-53, unit_roundoff("float32") == 2.0**-24
    (True, True)
    """
    kind = np.dtype(dtype)
    if not np.issubdtype(kind, np.inexact):
        kind = np.dtype(np.float64)
    return float(np.finfo(kind).eps) / 2


def tolerance(
    dtype: Any, *, conditioning: Any = 1.0, step: float | None = None, order: int = 1, truncation: Any = 0.0
) -> Any:
    """The bound on an error: `8 u conditioning`, divided by `step**order` for differences, plus their truncation.

    `conditioning` and `truncation` may be arrays; with a conditioning in absolute units (scale times amplification)
    the bound is absolute, otherwise relative.

    >>> tolerance("float64", conditioning=10.0) == 8 * 2.0**-53 * 10
    True
    """
    noise = SAFETY * unit_roundoff(dtype) * np.asarray(conditioning, dtype=float)
    if step is not None:
        noise = noise / step**order
    bound = noise + np.asarray(truncation, dtype=float)
    return float(bound) if np.ndim(bound) == 0 else bound


def question(dtype: Any = np.float64) -> float:
    """The relative difference that a verdict is asked about: noise above it is inconclusive.

    >>> question("float64")
    1e-06
    """
    return max(_QUESTION, _QUESTION_IN_UNITS * unit_roundoff(dtype))


def difference_step(dtype: Any = np.float64) -> float:
    """The step of the sixth-order finite differences, in whitened coordinates: about 1e-2 in float64."""
    return unit_roundoff(dtype) ** _STEP_POWER


def converges(value: Any, truncation: Any) -> bool:
    """Whether differences at two steps are close enough for their distance to estimate the error of the finer one."""
    return bool(np.max(truncation, initial=0.0) <= _CONVERGING * np.max(np.abs(value), initial=0.0))


def agree(a: Any, b: Any, dtype: Any = np.float64) -> bool:
    """Whether two arrays answer the question alike: they differ by less than it, relative to the largest entry."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    scale = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    return bool(np.all(np.abs(a - b) <= question(dtype) * scale))


def half_unit(array: Any, digits: int) -> np.ndarray:
    """Half a unit of the last of `digits` significant digits, entry by entry; zero entries get that of the smallest.

    >>> half_unit([123.4, 0.5], 4).tolist()
    [0.05, 5e-05]
    """
    if digits < 1:
        raise ValueError(f"digits={digits}: wanted at least one significant digit.")
    size = np.abs(np.asarray(array, dtype=float))
    smallest = np.min(size[size > 0], initial=np.inf)
    size = np.where(size > 0, size, smallest if np.isfinite(smallest) else 1.0)
    exponent = np.floor(np.log10(size)) - digits + 1
    return np.asarray(0.5 * 10.0**exponent)


_NUMBER = re.compile(r"^\s*[+-]?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$")


def printed_precision(text: str | Sequence[Any]) -> np.ndarray:
    """Half a unit of the last printed digit of each number, in the shape of nested sequences of texts.

    >>> printed_precision([["0.25", "-1.5e3"], ["2", "0.1000"]]).tolist()
    [[0.005, 50.0], [0.5, 5e-05]]
    """
    if not isinstance(text, str):
        return np.array([printed_precision(item) for item in text])
    match = _NUMBER.match(text)
    if match is None or not (match.group(1) or match.group(2)):
        raise ValueError(f"{text!r} is not a number.")
    decimals, exponent = len(match.group(2) or ""), int(match.group(3) or 0)
    return np.array(float(f"5e{exponent - decimals - 1}"))
