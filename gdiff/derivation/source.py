"""A plan as source code to paste: a Python function that imports JAX and nothing else, or one in base R."""

from __future__ import annotations

import builtins
import keyword
from textwrap import indent

from gdiff.derivation.steps import Plan, Step, Value
from gdiff.derivation.writer import ATOM, MATMUL, POWER, PRODUCT, SUM, Writer


def python_source(plan: Plan, name: str = "gradient", formula: str = "") -> str:
    """Write a plan as a Python function of JAX or NumPy arrays; vectors are (d,), here and in what it returns.

    The arguments are the names that occur, those that Python has taken with `_` behind: `lambda_`. A size that no
    argument has raises ValueError.

    >>> from gdiff.derivation import parse
    >>> from gdiff.derivation.plan import plan
    >>> f = parse("inv(S)*x*x'*inv(S)")
    >>> print(python_source(plan(f.node, f.all_shapes, {"S": "positive_definite"}), formula=f.text))
    import jax.numpy as jnp
    import jax.scipy.linalg as jsl
    <BLANKLINE>
    <BLANKLINE>
    def gradient(S, x):
        \"\"\"inv(S)*x*x'*inv(S)
    <BLANKLINE>
        S: d x d (positive definite), x: d. Returns: d x d.
        \"\"\"
        S = S / 2 + S.T / 2
        L_S = jnp.linalg.cholesky(S)
        u = jsl.cho_solve((L_S, True), x)
        return jnp.outer(u, u)
    """
    writer = _Python(plan, name)
    *lines, result = writer.body()
    lines.append(f"return {result}")
    helpers = writer.used_helpers(lines)
    if any(step.operation in ("matmul", "dot") for step in plan.steps):
        lines = ['with jax.default_matmul_precision("highest"):  # the default on GPUs is less than float32', *lines]
        lines[1:] = [indent(line, "    ") for line in lines[1:]]
    code = "\n".join(lines)
    words = [part for part in (formula, writer.described()) if part]
    docstring = '"""' + "\n\n".join(words) + ('\n"""' if len(words) > 1 else '"""')
    head = f"def {name}({', '.join(writer.arguments.values())}):"
    function = f"{head}\n{indent(docstring, '    ')}\n{indent(code, '    ')}"
    parts = [*helpers, function]
    modules = {"jax.": "import jax", "jnp.": "import jax.numpy as jnp", "jsl.": "import jax.scipy.linalg as jsl"}
    imports = [line for prefix, line in modules.items() if any(prefix in part for part in (*helpers, code))]
    return "\n\n\n".join(["\n".join(imports), *parts] if imports else parts) + "\n"


def r_source(plan: Plan, name: str = "gradient", formula: str = "") -> str:
    """Write a plan as a function in base R. Matrices are matrices, of one row too; vectors have no dimensions.

    Names that R has taken get `_` behind: `t_`. A size that no argument has raises ValueError.

    >>> from gdiff.derivation import parse
    >>> from gdiff.derivation.plan import plan
    >>> f = parse("inv(S)*x*x'*inv(S)")
    >>> print(r_source(plan(f.node, f.all_shapes, {"S": "positive_definite"}), formula=f.text))
    # inv(S)*x*x'*inv(S)
    # S: d x d (positive definite), x: d. Returns: d x d.
    gradient <- function(S, x) {
      x <- c(x)
      S <- S / 2 + t(S) / 2
      R_S <- chol(S)
      u <- backsolve(R_S, backsolve(R_S, x, transpose = TRUE))
      outer(u, u)
    }
    """
    writer = _R(plan, name)
    lines = writer.body()
    vectors = [written for argument, written in writer.arguments.items() if _is_vector(plan, argument)]
    lines = [f"{vector} <- c({vector})" for vector in vectors] + lines
    words = [indent(part, "# ") for part in (formula, writer.described()) if part]
    head = f"{name} <- function({', '.join(writer.arguments.values())}) {{"
    function = "\n".join([*words, head, *(indent(line, "  ") for line in lines), "}"])
    return "\n\n".join([*writer.used_helpers(lines), function]) + "\n"


def _is_vector(plan: Plan, argument: str) -> bool:
    shape = plan.shapes[argument]
    return 1 in shape and shape != (1, 1)


class _Python(Writer):
    power_sign = " ** "
    assign = "="
    reserved = frozenset({*keyword.kwlist, *dir(builtins), "jax", "jnp", "jsl"})
    helpers = {
        "log_det": '''\
def log_det(A):
    """The logarithm of a determinant, NaN where that is not positive."""
    sign, value = jnp.linalg.slogdet(A)
    return jnp.where(sign > 0, value, jnp.nan)''',
        "log_prod": '''\
def log_prod(v):
    """The logarithm of the product of all entries, NaN where that is not positive."""
    return jnp.where(jnp.prod(jnp.sign(v)) > 0, jnp.sum(jnp.log(jnp.abs(v))), jnp.nan)''',
        "lu_pivots": '''\
def lu_pivots(factors):
    """The pivots, with the sign of the exchanges of rows: their product is the determinant."""
    lu, order = factors
    pivots = jnp.diag(lu)
    return jnp.where(order == jnp.arange(len(pivots)), pivots, -pivots)''',
        "vech": '''\
def vech(A):
    """The columns of the lower triangle, one below the other."""
    return A.T[jnp.triu_indices(len(A))]''',
        "commutation": '''\
def commutation(m, n):
    """K with K vec(A) = vec(A') for an m x n matrix A."""
    return jnp.eye(m * n)[jnp.arange(m * n).reshape(n, m).T.ravel()]''',
        "duplication": '''\
def duplication(d):
    """D with D vech(A) = vec(A) for a symmetric d x d matrix A."""
    i, j = jnp.indices((d, d))
    low, high = jnp.minimum(i, j), jnp.maximum(i, j)
    return jnp.eye(d * (d + 1) // 2)[(low * d - low * (low + 1) // 2 + high).ravel()]''',
    }

    def call(self, step: Step) -> tuple[str, int]:
        refs = [self.ref(operand) for operand in step.operands]
        first = self.ref(step.operands[0], ATOM) if refs else ""
        match step.operation, step.detail:
            case "pi", _:
                return "jnp.pi", ATOM
            case "eye", (size,):
                return f"jnp.eye({self.size(size)}{self.dtype()})", ATOM
            case "full", (entry, *extents):
                sizes = [self.size(extent) for extent in extents]
                shape = sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"
                return f"jnp.{'ones' if entry else 'zeros'}({shape}{self.dtype()})", ATOM
            case "commutation" | "duplication", extents:
                made = f"{step.operation}({', '.join(map(self.size, extents))})"
                return made + (f".astype({self.like()}.dtype)" if self.like() else ""), ATOM
            case "matmul" | "dot", _:
                return f"{self.ref(step.operands[0], MATMUL)} @ {self.ref(step.operands[1], POWER)}", MATMUL
            case "scale_rows", _:
                return f"{first}[:, None] * {self.ref(step.operands[1], POWER)}", PRODUCT
            case "scale_columns", _:
                return f"{self.ref(step.operands[0], PRODUCT)} * {self.ref(step.operands[1], POWER)}", PRODUCT
            case "solve_triangular", (transposed,):
                return f"jsl.solve_triangular({', '.join(refs)}, lower=True{', trans=1' * transposed})", ATOM
            case "lu_solve", (transposed,):
                return f"jsl.lu_solve({', '.join(refs)}{', trans=1' * transposed})", ATOM
            case "cholesky_solve", _:
                return f"jsl.cho_solve(({refs[0]}, True), {refs[1]})", ATOM
            case "cholesky_inverse", _:
                return f"jsl.cho_solve(({refs[0]}, True), jnp.eye(len({refs[0]}), dtype={refs[0]}.dtype))", ATOM
            case "lu_inverse", _:
                return f"jsl.lu_solve({refs[0]}, jnp.eye(len({refs[0]}[0]), dtype={refs[0]}[0].dtype))", ATOM
            case "cbind" | "rbind", _:
                return f"jnp.{'hstack' if step.operation == 'cbind' else 'vstack'}([{', '.join(refs)}])", ATOM
            case "cell", _:
                return f"jnp.reshape({refs[0]}, (1, 1))", ATOM
        template = _PYTHON.get(step.operation, f"jnp.{step.operation}({{}})")
        return template.format(first if template.startswith("{}") else ", ".join(refs)), ATOM

    def like(self) -> str:
        """An argument that has the dtype of the others."""
        return next((self.arguments[a] for a in self.arguments if self.plan.shapes[a] != (1, 1)), "")

    def dtype(self) -> str:
        return f", dtype={self.like()}.dtype" if self.like() else ""

    def transposed(self, value: Value) -> str:
        return f"{self.ref(value, ATOM)}.T"

    def triangle(self, d: str) -> str:
        return f"{d} * ({d} + 1) // 2"

    def extent(self, name: str, rank: int, axis: int) -> str:
        return f"{name}.shape[{axis}]" if rank == 2 else f"len({name})"


# {} is the list of operands; at the beginning, it is the first one, bracketed where need be. The others are jnp's own.
_PYTHON = {
    "total": "jnp.sum({})",
    "row_sums": "jnp.sum({}, axis=1)",
    "log_prod": "log_prod({})",
    "diagonal": "jnp.diag({})",
    "diag_matrix": "jnp.diag({})",
    "cholesky": "jnp.linalg.cholesky({})",
    "lu": "jsl.lu_factor({})",
    "lu_det": "jnp.prod(lu_pivots({}))",
    "lu_log_det": "log_prod(lu_pivots({}))",
    "solve": "jnp.linalg.solve({})",
    "inverse": "jnp.linalg.inv({})",
    "det": "jnp.linalg.det({})",
    "log_det": "log_det({})",
    "pinv": "jnp.linalg.pinv({})",
    "row": "{}[None, :]",
    "column": "{}[:, None]",
    "vec": "{}.T.ravel()",
    "vech": "vech({})",
}


_R_WORDS = frozenset({
    "if", "else", "repeat", "while", "function", "for", "next", "break", "in", "TRUE", "FALSE", "NULL", "Inf",
    "NaN", "NA", "T", "F", "pi", "c", "t",
})  # fmt: skip
# those of base R that a source may call
_R_FUNCTIONS = frozenset({
    "exp", "log", "sqrt", "abs", "sum", "prod", "diag", "det", "determinant", "solve", "chol", "chol2inv",
    "backsolve", "forwardsolve", "crossprod", "tcrossprod", "outer", "kronecker", "cbind", "rbind", "matrix", "rep",
    "drop", "sweep", "svd", "max", "min", "dim", "nrow", "ncol", "length", "rowSums", "replace", "isTRUE", "ifelse",
})  # fmt: skip


class _R(Writer):
    power_sign = "^"
    assign = "<-"
    reserved = _R_WORDS | _R_FUNCTIONS
    repeating = frozenset({"diag_matrix"})
    helpers = {
        "log_det": """\
log_det <- function(A) {
  d <- determinant(A)
  if (isTRUE(d$sign > 0)) c(d$modulus) else NaN
}""",
        "log_prod": """\
log_prod <- function(v) if (isTRUE(prod(sign(v)) > 0)) sum(log(abs(v))) else NaN""",
        "tril": """\
tril <- function(A) replace(A, upper.tri(A), 0)""",
        "vech": """\
vech <- function(A) A[lower.tri(A, diag = TRUE)]""",
        "pinv": """\
pinv <- function(A) {
  s <- svd(A)
  kept <- s$d > 10 * max(dim(A)) * .Machine$double.eps * max(s$d)
  s$v %*% (ifelse(kept, 1 / s$d, 0) * t(s$u))
}""",
        "commutation": """\
commutation <- function(m, n) {
  diag(m * n)[c(t(matrix(seq_len(m * n), m, n))), , drop = FALSE]
}""",
        "duplication": """\
duplication <- function(d) {
  k <- matrix(0, d, d)
  k[lower.tri(k, diag = TRUE)] <- seq_len(d * (d + 1) / 2)
  k <- pmax(k, t(k))
  diag(d * (d + 1) / 2)[c(k), , drop = FALSE]
}""",
    }

    def call(self, step: Step) -> tuple[str, int]:
        refs = [self.ref(operand) for operand in step.operands]
        match step.operation, step.detail:
            case "pi", _:
                return "pi", ATOM
            case "lu", _:  # base R keeps no LU factors: `solve` and `determinant` take the matrix
                return self.written[step.operands[0]]
            case "eye", (size,):
                return f"diag({self.size(size)})", ATOM
            case "full", (entry, *extents):
                sizes = ", ".join(map(self.size, extents))
                return f"{'rep' if len(extents) == 1 else 'matrix'}({entry}, {sizes})", ATOM
            case "commutation" | "duplication", extents:
                return f"{step.operation}({', '.join(map(self.size, extents))})", ATOM
            case "dot", _:
                u, v = step.operands
                square = f"{self.ref(u, ATOM)}^2"
                return f"sum({square if u == v else f'{self.ref(u, PRODUCT)} * {self.ref(v, POWER)}'})", ATOM
            case "matmul", _:
                text, level = self.matmul(*step.operands)
                return (f"drop({text})", ATOM) if step.rank == 1 else (text, level)
            case "scale_rows", _:
                return f"{self.ref(step.operands[0], PRODUCT)} * {self.ref(step.operands[1], POWER)}", PRODUCT
            case "solve_triangular", (transposed,):
                return f"forwardsolve({', '.join(refs)}{', transpose = TRUE' * transposed})", ATOM
            case "lu_solve", (transposed,):
                matrix = self.transposed(step.operands[0]) if transposed else refs[0]
                return f"solve({matrix}, {refs[1]})", ATOM
            case "cholesky_solve", _:
                return f"backsolve({refs[0]}, backsolve({refs[0]}, {refs[1]}, transpose = TRUE))", ATOM
        return _R_CALLS.get(step.operation, f"{step.operation}({{}})").format(", ".join(refs), *refs), ATOM

    def matmul(self, a: Value, b: Value) -> tuple[str, int]:
        steps = self.plan.steps
        if steps[a].operation == "transpose":
            inner = steps[a].operands[0]
            return f"crossprod({self.ref(inner)}{'' if inner == b else f', {self.ref(b)}'})", ATOM
        if steps[b].operation == "transpose":
            inner = steps[b].operands[0]
            return f"tcrossprod({self.ref(a)}{'' if inner == a else f', {self.ref(inner)}'})", ATOM
        return f"{self.ref(a, MATMUL)} %*% {self.ref(b, POWER)}", MATMUL

    def prefix(self, step: Step) -> str | None:
        if step.operation == "lu":
            return None
        return "R" if step.operation == "cholesky" else super().prefix(step)

    def transposed(self, value: Value) -> str:
        return f"t({self.ref(value, SUM)})"

    def triangle(self, d: str) -> str:
        return f"{d} * ({d} + 1) / 2"

    def extent(self, name: str, rank: int, axis: int) -> str:
        return f"length({name})" if rank == 1 else f"{'ncol' if axis else 'nrow'}({name})"


# {} is the list of operands, {1} the first of them; the others are called in R as they are in a plan.
_R_CALLS = {
    "total": "sum({})",
    "row_sums": "rowSums({})",
    "trace": "sum(diag({}))",
    "diagonal": "diag({})",
    "diag_matrix": "diag({1}, nrow = length({1}))",
    "scale_columns": 'sweep({1}, 2, {2}, "*")',
    "cholesky": "chol({})",
    "cholesky_inverse": "chol2inv({})",
    "lu_inverse": "solve({})",
    "lu_det": "det({})",
    "lu_log_det": "log_det({})",
    "inverse": "solve({})",
    "kron": "kronecker({})",
    "row": "t({})",
    "column": "matrix({})",
    "cell": "matrix({})",
    "ravel": "c({})",
    "vec": "c({})",
}
