"""The house stands on its floors, products keep their precision, and everything lowers for accelerators."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import gdiff
from gdiff import SufficientStatistics, closed_form, multivariate_normal, symmetric

PACKAGE = Path(gdiff.__file__).parent

# From the ground up: a file imports only from floors below its own.
FLOORS = (
    {"arrays", "differentiation", "display", "native", "primitives", "status"},
    {"symmetric", "program", "entrywise"},
    {"linalg", "tolerance", "layouts"},
    {"validity", "printed"},
    {"statistics", "domains", "blocks", "parameterizations", "derivation"},
    {"inputs", "claim", "oracles", "parameters", "ascent", "importance"},
    {"mode"},
    {"closed_form", "information", "arguments", "dataset", "diagnosis", "frames", "written", "setting", "given"},
    {"density_rules", "scoring", "truth", "verdict"},
    {"missing"},
    {"multivariate_normal"},
    {"estimation"},
    {"claimed", "laplace_approximation", "structured"},
    {"comparison"},
    {"judgement"},
    {"wirtinger", "degenerate"},
    {"verify", "verify_density", "reduction"},
    {"identities", "mutants", "testing", "assessment"},
    {"lookup"},
    {"wording", "listing"},
    {"trial", "probe"},
    {"check"},
    {"worked"},
    {"derived"},
    {"report", "workers"},
    {"integrations"},
    {"cli"},
    {"__main__"},
    {"__init__"},  # the curated list
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
AUTODIFF = {
    "grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian", "hvp", "jvp", "vjp", "linearize",
    "linear_transpose", "custom_jvp", "custom_vjp", "custom_gradient", "defjvp", "defvjp",
}  # fmt: skip


def module_name(path: Path) -> str:
    """gdiff/symmetric/coordinates.py -> symmetric.coordinates; gdiff/symmetric/__init__.py -> symmetric."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name: str) -> Iterator[tuple[str, int]]:
    """The modules of gdiff that a module imports, anywhere in it, with the line."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}, line {node.lineno}: a relative import"
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            if target == "gdiff" or target.startswith("gdiff."):
                module = target.removeprefix("gdiff").removeprefix(".")
                yield (module if module in MODULES else module.rpartition(".")[0]), node.lineno


def sibling_order(package: str) -> list[str]:
    """The siblings of a package in the order in which its docstring first names them, in backquotes."""
    docstring = ast.get_docstring(ast.parse(MODULES[package].read_text())) or ""
    return list(dict.fromkeys(re.findall(r"`(\w+)`", docstring)))


def test_every_file_has_a_floor():
    assert {name.split(".")[0] for name in MODULES} <= set(FLOOR)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__"])
def test_a_file_imports_only_from_floors_below(name):
    top, _, rest = name.partition(".")
    for target, line in imports(name):
        below, _, sibling = target.partition(".")
        where = f"gdiff/{name}, line {line}: imports {target or 'gdiff itself'}"
        if below != top:
            assert FLOOR[below or "__init__"] < FLOOR[top], where
        elif rest:  # a sibling, in the order that the package states
            order = sibling_order(top)
            assert sibling in order, f"{where}, which the docstring of gdiff/{top} does not name"
            assert rest in order, f"gdiff/{top} does not name `{rest}` in its docstring"
            assert order.index(sibling) < order.index(rest), where


def test_closed_forms_use_no_autodiff():
    for name in ("closed_form", "blocks", "inputs"):
        for node in ast.walk(ast.parse(MODULES[name].read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in AUTODIFF, f"gdiff/{name}.py, line {node.lineno}: {node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("jax", "gdiff")):
                used = AUTODIFF.intersection(alias.name for alias in node.names)
                assert not used, f"gdiff/{name}.py, line {node.lineno}: {used}"
        assert not {"symmetric.transforms", "symmetric", "oracles"}.intersection(t for t, _ in imports(name))


def test_oracles_reach_no_closed_form():
    reached, waiting = set(), ["oracles"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [target for target, _ in imports(name) if target not in reached]
    assert not reached & {"closed_form", "blocks", "inputs", "multivariate_normal", ""}


def test_the_curated_list_is_short_and_shadows_no_module():
    assert len(MODULES["__init__"].read_text().splitlines()) <= 60
    for name in gdiff.__all__:
        assert name not in MODULES or getattr(gdiff, name).__name__ == f"gdiff.{name}"


def test_importing_gdiff_loads_nothing_heavy():
    code = """
import sys, jax
before = set(sys.modules)
import gdiff
from gdiff import SufficientStatistics, closed_form, multivariate_normal, symmetric
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "gdiff.closed_form" in loaded
    heavy = ("sympy", "matplotlib", "rich", "scipy", "jax.scipy", "pandas")
    assert not [name for name in loaded if name.startswith(heavy)]


# What is compiled.

X, MEAN, COV = np.ones((5, 3)), np.zeros(3), np.eye(3)
STATISTICS = SufficientStatistics(np.float64(5.0), MEAN, COV)
SCORE = closed_form.Score(jnp.zeros(3), jnp.eye(3))


def second_order(f, *argnums):
    """Value, gradient and Hessian."""
    return lambda *a: (f(*a), jax.grad(f, argnums)(*a), jax.hessian(f, argnums)(*a))


def spread(f, name):
    return lambda x, mean, matrix: jnp.sum(f(x, mean, **{name: matrix}))


PUBLIC = {
    f"{f.__name__}, {name}, {label}": (second_order(spread(f, name), 0, 1, 2), (x, MEAN, COV))
    for f in (multivariate_normal.logpdf, multivariate_normal.log_likelihood)
    for name in ("cov", "cholesky", "precision")
    for label, x in (("rows", X), ("one", X[0]), ("statistics", STATISTICS))
    if not (f is multivariate_normal.logpdf and label == "statistics")
} | {
    "statistics": (SufficientStatistics.of, (X, np.ones(5))),
    "merge": (lambda a, b: a + b, (STATISTICS, STATISTICS)),
    "score": (closed_form.score, (X, MEAN, COV)),
    "score, few rows": (closed_form.score, (X[:2], MEAN, COV)),
    "score, statistics": (closed_form.score, (STATISTICS, MEAN, COV)),
    "score_cholesky": (closed_form.score_cholesky, (X, MEAN, COV)),
    "score_cholesky, few rows": (closed_form.score_cholesky, (X[:2], MEAN, COV)),
    "score_precision": (closed_form.score_precision, (X, MEAN, COV)),
    "score_precision, few rows": (closed_form.score_precision, (X[:2], MEAN, COV)),
    "hessian": (lambda *a: closed_form.hessian(*a), (X, MEAN, COV)),
    "hessian, full": (lambda *a: closed_form.hessian(*a, "full"), (X[:2], MEAN, COV)),
    "newton step": (lambda *a: closed_form.observed_information(*a).solve(SCORE), (X, MEAN, COV)),
    "inverse": (lambda *a: closed_form.observed_information(*a, "full").inverse(), (X, MEAN, COV)),
    "fisher_information": (lambda s: closed_form.fisher_information(s).inverse(), (COV,)),
    "scoring step": (lambda s, score: closed_form.fisher_information(s).solve(score), (COV, SCORE)),
    "inverse_fisher_information": (closed_form.inverse_fisher_information, (COV,)),
    "hessian_vector_product": (closed_form.hessian_vector_product, (X, MEAN, COV, MEAN, COV)),
    "natural_gradient": (closed_form.natural_gradient, (SCORE, COV)),
    "density_gradient": (closed_form.density_gradient, (MEAN, MEAN, COV)),
    "log_det_gradient": (closed_form.log_det_gradient, (COV,)),
    "log_det_hessian": (closed_form.log_det_hessian, (COV,)),
    "quadratic_form_gradient": (closed_form.quadratic_form_gradient, (MEAN, COV)),
    "quadratic_form_hessian": (closed_form.quadratic_form_hessian, (MEAN, COV)),
    "log_det_gradient, general": (lambda s: closed_form.log_det_gradient(s, structure="general"), (COV,)),
    "log_det_hessian, general": (lambda s: closed_form.log_det_hessian(s, structure="general"), (COV,)),
    "quadratic_form_hessian, general": (
        lambda x, s: closed_form.quadratic_form_hessian(x, s, structure="general"),
        (MEAN, COV),
    ),
    "symmetric.hessian": (symmetric.hessian(multivariate_normal.logpdf, (1, 2)), (MEAN, MEAN, COV)),
    "mixture": (multivariate_normal.logpdf, (X[:, None], np.zeros((2, 3)), np.stack([COV, COV]))),
    "mixture, cholesky": (
        lambda x, mean, factor: multivariate_normal.logpdf(x, mean, cholesky=factor),
        (X[:, None], np.zeros((2, 3)), np.stack([COV, COV])),
    ),
}


def equations(jaxpr) -> Iterator:
    """Every equation of a jaxpr, and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for parameter in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def precisions(f, *arguments) -> list:
    """The precision of every product in f."""
    jaxpr = jax.make_jaxpr(f)(*arguments).jaxpr
    return [e.params["precision"] for e in equations(jaxpr) if e.primitive.name == "dot_general"]


def test_the_walk_finds_products_inside_of_everything():
    def f(a):
        inside = jax.lax.scan(lambda c, _: (jax.jit(jnp.matmul)(c, c), None), a, None, length=2)[0]
        return jax.lax.cond(True, lambda a: a @ inside, lambda a: a, a)

    assert precisions(f, COV) == [None, None]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_product_asks_for_the_highest_precision(name):
    f, arguments = PUBLIC[name]
    highest = (jax.lax.Precision.HIGHEST,) * 2
    assert all(precision == highest for precision in precisions(f, *arguments)), precisions(f, *arguments)


def test_the_table_has_every_public_function():
    public = {name for name in dir(closed_form) if callable(getattr(closed_form, name)) and not name.startswith("_")}
    own = {name for name in public if getattr(closed_form, name).__module__ == closed_form.__name__ and name.islower()}
    formulas = {"log_density", "moments", "mean_gradient", "cov_gradient", "curvature", "score_differential"}
    functions = {key.split(",")[0] for key in PUBLIC}
    assert own - formulas - {"observed_information"} <= functions


def test_every_public_function_lowers_for_gpu_and_tpu():
    failures = {}
    for name, (f, arguments) in PUBLIC.items():
        try:
            exported = export.export(jax.jit(f), platforms=["cuda", "tpu"])(*arguments)
            assert exported.platforms == ("cuda", "tpu")
        except Exception as error:  # noqa: BLE001 - every failure is listed, then they fail once
            failures[name] = f"{type(error).__name__}: {str(error)[:200]}"
    assert not failures
