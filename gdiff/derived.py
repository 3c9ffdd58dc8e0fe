"""Derivatives worked out: `derive` makes a `Derivation`, every line of it held against numbers, the result verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gdiff.derivation import Expression
from gdiff.derivation.constants import is_zero
from gdiff.derivation.differential import Reason
from gdiff.derivation.errors import DerivationError
from gdiff.derivation.lines import Line, derivation
from gdiff.derivation.printer import to_plain, to_typeset
from gdiff.derivation.structure import SQUARE, Structure
from gdiff.derivation.tree import SCALAR, Node, Symbol
from gdiff.display import Table
from gdiff.given import STRUCTURE_OF, Shapes, name_of, read_expression, structure_of
from gdiff.probe import Probe, flattened, inner
from gdiff.setting import Setting
from gdiff.symmetric.coordinates import check_convention

if TYPE_CHECKING:
    from gdiff.claim import Claim
    from gdiff.derivation.plan import Plan
    from gdiff.verdict import Verdict


@dataclass(frozen=True)
class Step:
    """One line: what is on its left, the expression, and why it follows from the line before it."""

    left: str  # f, df, df/dS
    left_latex: str
    expression: Expression
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        """The line as a person writes it: df = tr(S^-1 dS)."""
        return f"{self.left} = {to_plain(self.expression.node)}"

    @property
    def by(self) -> str:
        """The names of the rules, each with its source."""
        return "; ".join(f"{reason.name}, {reason.source}" for reason in self.reasons)

    @property
    def words(self) -> str:
        """The same in plain words."""
        return " ".join(reason.words for reason in self.reasons)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Derivation:
    """A derivative, how it came about, and the verdict on it.

    `steps` are the lines from f to the result; `original` is f, `expression` the result as gdiff prints and reads it.
    """

    original: Expression
    wrt: str
    structure: Structure
    convention: str
    order: int
    steps: tuple[Step, ...]
    verdict: Verdict
    seed: int = 0

    @staticmethod
    def start(
        text: str,
        wrt: str | None = None,
        *,
        assume: Mapping[Any, str] | None = None,
        shapes: Shapes | None = None,
    ) -> Any:
        """Begin a derivation of one's own, to be continued by `.step(text, by=...)` and judged by `.check()`."""
        from gdiff.worked import Worked

        return Worked.start(text, wrt, assume=assume, shapes=shapes)

    @property
    def expression(self) -> Expression:
        """The derivative."""
        return self.steps[-1].expression

    @property
    def differential(self) -> Expression:
        """The differential of the expression, in dX, every rule applied."""
        return [step.expression for step in self.steps if step.left in ("df", "dF")][-1]

    @property
    def bilinear(self) -> Expression | None:
        """The second differential d2f in dX, of a Hessian with respect to a matrix; None otherwise."""
        return next((step.expression for step in self.steps if step.left == "d2f"), None)

    @property
    def result(self) -> Any:
        """The derivative as a SymPy expression."""
        return self.expression.sympy

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Derivation {self.steps[-1].text}, {len(self.steps)} lines>"

    def text(self, *, steps: bool = True, words: bool = False) -> str:
        """The lines as text, each with its rules; `words` adds a sentence of plain words to each."""
        if not steps:
            return self.steps[-1].text
        lines = [self.steps[0].text]
        for number, step in enumerate(self.steps[1:], 1):
            lines += ["", f"{number}. {step.text}", f"   {step.by}"]
            if words:
                lines.append(f"   {step.words}")
        return "\n".join(lines)

    def latex(self) -> str:
        r"""The lines as LaTeX, one below the other, in an `aligned` environment."""
        rows = []
        for step in self.steps:
            why = ", ".join(reason.name for reason in step.reasons)
            note = rf" && \text{{{why}}}" if why else ""
            rows.append(rf"{step.left_latex} &= {to_typeset(step.expression.node)}{note}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """A row for each line: its number, the line, its rules, the sentence in plain words."""
        rows = [(str(i), s.text, s.by, s.words) for i, s in enumerate(self.steps)]
        return Table(("", "line", "rule", "in words"), tuple(rows))

    @cached_property
    def plan(self) -> Plan:
        """The result as a program, every shared part of it computed once."""
        from gdiff.derivation.plan import plan

        return plan(self.expression.node, self.original.all_shapes, self._planned_structure)

    def function(self) -> Callable[..., Any]:
        """The result as a JAX function of arrays, called with the names of the original expression as keywords.

        It can be jitted, batched by `jax.vmap` and differentiated again. A vector is `(d,)`; names that dropped out
        are accepted. One factorisation for each matrix that is inverted, solves in place of inverses. A matrix of
        declared structure is taken as that: S/2 + S'/2, the triangle, the diagonal. One that was declared positive
        definite and is not gives NaN.
        """
        from gdiff.derivation.compiled import compile_function

        return compile_function(self.plan, self.original.symbols)

    def python(self, name: str = "") -> str:
        """Python source of the same function, which imports jax only."""
        from gdiff.derivation.source import python_source

        return python_source(self.plan, name or self._default_name, self.steps[-1].text)

    def r(self, name: str = "") -> str:
        """R source of the same function, which needs base R only."""
        from gdiff.derivation.source import r_source

        return r_source(self.plan, name or self._default_name, self.steps[-1].text)

    def report(self) -> str:
        """What a person is told beside the lines: how names were read, which convention, what was compared."""
        about = self.original.describe_shapes()
        marks = {n: w.replace("_", " ") for n, w in self.structure.of.items() if w not in ("symmetric", "general")}
        about = "; ".join([about, *(f"{n} {w}" for n, w in marks.items())])
        lines = [f"Read as: {about}.", *(f"Note: {note.removesuffix('.')}." for note in self.original.notes)]
        if self.wrt in self.structure.symmetric and self.verdict.convention in ("full", "symmetric"):
            other = "symmetric" if self.convention == "full" else "full"
            meaning = {
                "full": "the gradient in the Frobenius inner product, which a descent step follows",
                "symmetric": "entries that are equal move together, as standard errors need",
            }[self.convention]
            lines.append(f"In the {self.convention} convention: {meaning}; --convention {other} gives the other.")
        v = self.verdict
        errors = ", ".join(f"{name} {error:.1g}" for name, error in v.max_error.items())
        lines.append(
            f"Verified: {v.checks} comparisons at {v.points} points, every step at random points "
            f"(largest relative error: {errors}; allowed {v.bound:.1g}; seed {self.seed})."
        )
        return "\n".join(lines)

    @property
    def _planned_structure(self) -> dict[str, Any]:
        """What a program can make use of: a positive number is a positive definite 1 x 1 matrix."""
        scalars = {name for name, shape in self.original.all_shapes.items() if shape == SCALAR}
        words = {
            n: "positive_definite" if w == "positive" and n in scalars else w for n, w in self.structure.of.items()
        }
        return {name: word for name, word in words.items() if word in SQUARE}

    @property
    def _default_name(self) -> str:
        return "hessian" if self.order == 2 else "gradient" if self.original.shape == () else "jacobian"


def derive(
    expression: Any,
    wrt: Any,
    *,
    assume: Mapping[Any, str] | None = None,
    convention: str = "full",
    order: int = 1,
    shapes: Shapes | None = None,
    seed: int = 0,
) -> Derivation:
    """The derivative of an expression with respect to one of its names, with every step, verified.

    `expression` is a SymPy expression, a text in the notation of `gdiff.parse`, or what that returns; `assume` declares
    the structure of names: "symmetric", "positive_definite", "diagonal", "lower_triangular", "orthogonal", "positive"
    or "constant". Order 1 gives the gradient of a scalar (in the shape of `wrt`) or the Jacobian of anything else, one
    row for each entry of vec; order 2 the Hessian of a scalar, for a matrix in vec coordinates. For a symmetric `wrt`,
    `convention` is "full" (the Frobenius gradient, sym(G); the Hessian N H N) or "symmetric" (partial derivatives by
    the distinct entries; the Hessian D' H D in vech coordinates).

    >>> d = derive("log(det(S)) + x'*inv(S)*x", "S", assume={"S": "positive_definite"}, convention="symmetric")
    >>> print(d.text(steps=False))
    df/dS = 2 S^-1 - S^-1∘I - 2 S^-1 x x' S^-1 + (S^-1 x x' S^-1)∘I

    Raises ReadError for text that cannot be read, TypeError for SymPy nodes outside the language, ValueError for what
    has no derivative formula in it, and DerivationError if a step does not hold numerically: nothing that was not
    verified is returned.
    """
    check_convention(convention)
    if order not in (1, 2):
        raise ValueError(f"order={order}: want 1 or 2")
    if seed < 0:
        raise ValueError(f"seed={seed}: want 0 or more")
    variable = name_of(wrt)
    structure = structure_of(assume)
    if isinstance(expression, Expression):
        structure = Structure({**dict.fromkeys(expression.symmetric, "symmetric"), **structure.of})
    f = read_expression(expression, structure, shapes, variable)
    _check(f, variable, structure, convention, order)
    lines = derivation(f.node, variable, f.all_shapes[variable], structure, convention, order)
    steps = tuple(_step(line, f, variable) for line in lines)
    setting = Setting(f, variable, structure.of, seed)
    probe = Probe(f, variable, setting)
    _hold(lines, steps, probe)
    last = lines[-1]
    if is_zero(last.node):
        verdict = _constant(probe, last.convention)
    else:
        try:
            verdict = probe.verify(steps[-1].expression, last.convention or "full", order)
        except ValueError as error:
            raise ValueError(
                f"{error} Declare what the names are, for example positive or positive definite."
            ) from None
    if not verdict.holds:
        raise DerivationError(f"{steps[-1].text} does not hold: {verdict}")
    return Derivation(f, variable, structure, convention, order, steps, verdict, seed)


def derivation_of(entry: Claim, seed: int = 0) -> Derivation | None:
    """The derivation of what a catalogue entry is about, where the entry is written as text and in the language."""
    if not entry.text or entry.kind not in ("gradient", "hessian", "jacobian", "differential") or len(entry.wrt) != 1:
        return None
    words = {a.name: STRUCTURE_OF.get(type(a.domain).__name__) for a in entry.arguments}
    if None in words.values():
        return None
    try:
        return derive(
            entry.text[0],
            entry.arguments[entry.wrt[0]].name,
            assume={name: word for name, word in words.items() if word},
            convention=entry.convention or "full",
            order=entry.order,
            shapes={a.name: a.shape for a in entry.arguments},
            seed=seed,
        )
    except ValueError:
        return None


def _check(f: Expression, wrt: str, structure: Structure, convention: str, order: int) -> None:
    known = ", ".join(f.symbols) or "none"
    if wrt not in f.symbols:
        raise ValueError(f"wrt `{wrt}`: the expression has no `{wrt}`; its names: {known}")
    for name in f.all_shapes:
        if name not in f.symbols:
            raise ValueError(f"`{name}` has a shape: the expression has no `{name}`; its names: {known}")
    for name, word in structure.of.items():
        if name not in f.symbols:
            raise ValueError(f"`{name}` is declared {word}: the expression has no `{name}`; its names: {known}")
        rows, columns = f.all_shapes[name]
        if word in SQUARE and rows != columns:
            shape = " x ".join(map(str, f.shapes[name])) or "a scalar"
            raise ValueError(f"`{name}` is declared {word}, which is for square matrices; it is {shape}")
    if structure.declares(wrt, "constant"):
        raise ValueError(f"wrt `{wrt}`: it is declared constant")
    if structure.declares(wrt, "orthogonal"):
        raise ValueError(
            f"wrt `{wrt}`: an orthogonal matrix moves on a manifold, and its derivative depends on the metric there; "
            "leave the declaration out for the gradient in the surrounding space"
        )
    if convention == "symmetric" and wrt not in structure.symmetric:
        raise ValueError(
            f"convention='symmetric' is about a symmetric argument: declare it, assume={{'{wrt}': 'symmetric'}}"
        )
    if order == 2 and f.node.shape != SCALAR:
        raise ValueError(f"a Hessian is of a scalar; `{f.text}` is not")


def _step(line: Line, f: Expression, wrt: str) -> Step:
    """A line with its left side: df/dS for a gradient."""
    v, vl = wrt, to_typeset(Symbol(wrt, shape=f.all_shapes[wrt]))
    scalar, matrix = f.node.shape == SCALAR, f.all_shapes[wrt][1] != 1
    head = "f" if scalar else "F"
    right = f"d vec({v})'" if matrix else f"d{v}'" if f.all_shapes[wrt] != SCALAR else f"d{v}"
    right_latex = rf"\mathrm{{d}}\operatorname{{vec}}({vl})^\top" if matrix else rf"\mathrm{{d}}{vl}^\top"
    left = {
        "f": (head, head),
        "df": (f"d{head}", rf"\mathrm{{d}}{head}"),
        "gradient": (f"df/d{v}", rf"\frac{{\partial f}}{{\partial {vl}}}"),
        "jacobian": (f"d vec(F)/{right}", rf"\frac{{\mathrm{{d}}\operatorname{{vec}}(F)}}{{{right_latex}}}"),
        "d gradient": (f"d(df/d{v})", rf"\mathrm{{d}}\frac{{\partial f}}{{\partial {vl}}}"),
        "bilinear": ("d2f", r"\mathrm{d}^2 f"),
        "hessian": (f"d2f/d{v}2", rf"\nabla^2_{{{vl}}} f"),
    }[line.quantity]
    shapes = {**f.all_shapes, f"d{wrt}": f.all_shapes[wrt]}
    return Step(*left, Expression(line.node, "", shapes, f.symmetric), line.reasons)


def _hold(lines: Sequence[Line], steps: Sequence[Step], probe: Probe) -> None:
    """Hold every line against numbers; raise DerivationError at the first that fails."""
    f = lines[0].node
    gradient: Node | None = None
    (df,) = probe.differentials([f])
    for line, step in zip(lines, steps, strict=True):
        got = probe.values(line.node)
        wanted = df
        match line.quantity:
            case "f":
                continue
            case "gradient":
                got = inner(got, probe.steps, line.convention)
                gradient = line.node
            case "jacobian":
                got = np.einsum("nij,nj->ni", _matrices(got), flattened(probe.steps, line.convention))
                wanted = flattened(list(_matrices(df)), None)
            case "d gradient":
                assert gradient is not None
                (wanted,) = probe.differentials([gradient])
            case "bilinear":
                wanted = _second(probe, gradient)
            case "hessian":
                v = flattened(list(_matrices(np.stack(probe.steps))), line.convention)
                got, wanted = np.einsum("ni,nij,nj->n", v, _matrices(got), v), _second(probe, gradient)
        if not probe.agree(got, wanted):
            raise DerivationError(
                f"the step {step.text} ({step.by}) does not follow: its numbers are not those of jax.jvp"
            )


def _matrices(stack: np.ndarray) -> np.ndarray:
    """Stacked scalars and columns as stacked matrices."""
    return stack.reshape(*stack.shape, *(1,) * (3 - stack.ndim))


def _second(probe: Probe, gradient: Node | None) -> np.ndarray:
    """<dG, dX>."""
    assert gradient is not None
    (moved,) = probe.differentials([gradient])
    return inner(moved, probe.steps, None)


def _constant(probe: Probe, convention: str | None) -> Verdict:
    """The verdict on a derivative that is zero: the steps were held against forward mode, and that is all to see."""
    from gdiff.verdict import Verdict

    count = len(probe.points)
    size = sum(np.size(step) for step in probe.steps)
    note = "the derivative is zero everywhere: by forward mode in random directions"
    return Verdict("holds", convention, max_error={"forward": 0.0}, checks=size, points=count, notes=(note,))
