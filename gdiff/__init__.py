"""Derive, verify and run matrix-calculus formulas for Gaussian models, on JAX.

Names load on first use: a formula with a typing mistake is answered before JAX is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdiff import closed_form as closed_form
    from gdiff import domains as domains
    from gdiff import multivariate_normal as multivariate_normal
    from gdiff import symmetric as symmetric
    from gdiff import testing as testing
    from gdiff.assessment import verify_identity as verify_identity
    from gdiff.derivation import parse as parse
    from gdiff.derived import Derivation as Derivation
    from gdiff.derived import derive as derive
    from gdiff.laplace_approximation import LaplaceApproximation as LaplaceApproximation
    from gdiff.laplace_approximation import laplace as laplace
    from gdiff.lookup import catalogue as catalogue
    from gdiff.statistics import SufficientStatistics as SufficientStatistics
    from gdiff.status import Status as Status
    from gdiff.verify import verify_differential as verify_differential
    from gdiff.verify import verify_gradient as verify_gradient
    from gdiff.verify import verify_hessian as verify_hessian
    from gdiff.verify import verify_jacobian as verify_jacobian
    from gdiff.written import identity as identity

_MODULES = ("closed_form", "domains", "multivariate_normal", "symmetric", "testing")
_NAMES = {
    "parse": "derivation",
    "Derivation": "derived",
    "derive": "derived",
    "LaplaceApproximation": "laplace_approximation",
    "laplace": "laplace_approximation",
    "catalogue": "lookup",
    "SufficientStatistics": "statistics",
    "Status": "status",
    "verify_differential": "verify",
    "verify_gradient": "verify",
    "verify_hessian": "verify",
    "verify_jacobian": "verify",
    "verify_identity": "assessment",
    "identity": "written",
}
__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"gdiff.{name}")
    if name in _NAMES:
        return getattr(import_module(f"gdiff.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'gdiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
