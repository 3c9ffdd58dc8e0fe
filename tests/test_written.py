"""Claims from text, and a catalogue of one's own."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gdiff import identity, verify_identity
from gdiff.derivation import ReadError
from gdiff.domains import General, PositiveDefinite, Singular, Symmetric

MINE = """
from gdiff import identity

CLAIMS = (
    identity("mine/ridge", "(y - X*b)'*(y - X*b) + c*b'*b", "2*c*b - 2*X'*(y - X*b)", "b", source="my notes"),
    identity("mine/transpose", "log(det(X))", "{claim}", "X", source="my notes"),
)
"""


def _verify(tmp_path, text, *options):
    path = tmp_path / "my_identities.py"
    path.write_text(text)
    command = [sys.executable, "-m", "gdiff", "verify", "--from", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_catalogue_of_ones_own_is_judged_from_the_outside(tmp_path):
    status, out, _ = _verify(tmp_path, MINE.format(claim="inv(X)'"), "--json", str(tmp_path / "out.json"))
    assert status == 0
    assert "mine/ridge" in out
    claims = json.loads((tmp_path / "out.json").read_text())["claims"]
    assert [(c["name"], c["source"], c["status"]) for c in claims] == [
        ("mine/ridge", "my notes", "holds"),
        ("mine/transpose", "my notes", "holds"),
    ]


def test_a_mistake_in_it_is_named(tmp_path):
    status, out, _ = _verify(tmp_path, MINE.format(claim="inv(X)"))
    assert status == 1
    assert "mine/transpose: refuted (transpose)" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "wanted CLAIMS"),
        ("CLAIMS = (1,)", "wanted CLAIMS, a tuple of claims such as `gdiff.identity` makes; got int"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("def broken(:", "SyntaxError"),
        (MINE.format(claim="inv(X"), "expected"),
        (MINE.format(claim="inv(X)") + "CLAIMS += CLAIMS", "two identities are called"),
    ],
)
def test_a_file_that_has_none_is_bad_input(tmp_path, text, said):
    status, _, err = _verify(tmp_path, text)
    assert status == 2
    assert said in err
    assert "Traceback" not in err


def test_a_gradient_reads_its_variable_from_the_text():
    entry = identity("form", "x'*W*x", "2*W*x", "x", domains={"W": Symmetric()}, hypotheses=["W symmetric"])
    assert [(a.name, a.shape) for a in entry.arguments] == [("x", ("d",)), ("W", ("d", "d"))]
    assert entry.wrt == (0,)
    assert verify_identity(entry).holds
    general = identity("form", "x'*W*x", "2*W*x", "x")
    assert verify_identity(general).refuted


@pytest.mark.parametrize(
    ("kind", "expression", "claim", "wrt", "statement"),
    [
        ("value", "tr(A'*B)", "vec(A)'*vec(B)", (), r"A^\top B"),
        ("differential", "X*Y", "dX*Y + X*dY", ("X", "Y"), r"\mathrm{d} \left(X Y\right)"),
        ("jacobian", "A*x", "A", "x", r"\frac{\partial}{\partial x^\top} A x = A"),
        ("hessian", "x'*A*x", "A + A'", "x", r"\nabla^2_{x} x^\top A x"),
        ("gradient", "x'*A*x + b'*x", "(A + A')*x + b", "x", r"\frac{\partial}{\partial x} \left[x^\top A x"),
    ],
)
def test_every_kind_of_claim_is_judged_and_set_in_latex(kind, expression, claim, wrt, statement):
    entry = identity("it", expression, claim, wrt, kind=kind)
    assert statement in entry.statement
    assert verify_identity(entry).status == "holds"
    assert verify_identity(identity("it", expression, f"2*({claim})", wrt, kind=kind)).refuted


def test_hypotheses_are_domains_or_shapes():
    entry = identity(
        "det/axb",
        "det(A*X*B)",
        "det(A*X*B)*inv(X)'",
        "X",
        shapes={"A": ("d", "d"), "X": ("d", "d"), "B": ("d", "d")},
        fails_unless={
            "A and B square": {"A": ("d", "n"), "X": ("n", "n"), "B": ("n", "d")},
            "X invertible": {"X": Singular()},
            "no hypothesis": {"X": General()},
        },
    )
    verdict = verify_identity(entry)
    assert verdict.status == "holds under hypotheses"
    assert verdict.hypotheses == ("A and B square", "X invertible")


def test_what_the_texts_do_not_have_is_an_error():
    with pytest.raises(ValueError, match="Z is not in the texts; they have X"):
        identity("it", "tr(X)", "I", "X", domains={"Z": PositiveDefinite()})
    with pytest.raises(ReadError):
        identity("it", "tr(X", "I", "X")
    with pytest.raises(ValueError, match="convention"):
        identity("it", "log(det(S))", "inv(S)", "S", domains={"S": PositiveDefinite()}, convention="both")


def test_the_function_of_a_claim_is_that_of_its_text():
    entry = identity("it", "x'*A*x", "(A + A')*x", "x")
    a, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0])
    point = [{"A": a, "x": x}[argument.name] for argument in entry.arguments]
    assert float(entry.function(*point)) == x @ a @ x
    assert np.array_equal(entry.derivative(*point), (a + a.T) @ x)
