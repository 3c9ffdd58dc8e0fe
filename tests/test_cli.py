import json
import re
import subprocess
import sys

import numpy as np
import pytest

from gdiff.cli import main


def _run(capsys, *argv):
    with pytest.raises(SystemExit) as exit_info:
        main(list(argv))
    out = capsys.readouterr()
    return exit_info.value.code, out.out, out.err


def test_verify_prints_a_line_an_identity_and_writes_json(capsys, tmp_path):
    path = tmp_path / "out.json"
    status, out, _ = _run(capsys, "verify", "log_det/full", "quadratic_form/vector", "--json", str(path), "--seed", "3")
    assert status == 0
    assert "log_det/full" in out
    assert "quadratic_form/vector" in out
    assert "2 identities" in out
    record = json.loads(path.read_text())
    assert record["seed"] == 3
    assert record["dtype"] == "float64"
    assert set(record["versions"]) >= {"gdiff", "jax"}
    entry = next(c for c in record["claims"] if c["name"] == "log_det/full")
    assert entry["status"] == "holds"
    assert entry["equations"] == [57]
    assert entry["edition"] == "2012-11-15"
    assert entry["checks"] > 0
    assert entry["max_error"]["reverse"] <= entry["bound"]


def test_json_on_standard_output_leaves_the_table_to_standard_error(capsys):
    status, out, err = _run(capsys, "verify", "quadratic_form/vector", "--json", "-")
    assert status == 0
    assert json.loads(out)["claims"][0]["status"] == "holds"
    assert "quadratic_form/vector" in err


def test_a_claim_that_is_expected_to_be_refuted_does_not_fail_the_run(capsys):
    status, out, _ = _run(capsys, "verify", "concave/everywhere")
    assert status == 0
    assert "refuted, as expected" in out


def test_a_broken_formula_exits_1_and_names_the_identity_and_the_mistake(capsys, monkeypatch):
    from gdiff import closed_form

    monkeypatch.setattr(closed_form, "cov_gradient", lambda m, p: (m.n * p - m.q) / 2)
    closed_form._in.cache_clear()
    import jax

    jax.clear_caches()
    status, out, _ = _run(capsys, "verify", "log_density/full")
    monkeypatch.undo()
    jax.clear_caches()
    assert status == 1
    assert "log_density/full: refuted (sign)" in out


def test_user_data_takes_the_place_of_the_penguins(capsys, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("u,v,name\n1,2,a\n2,1,b\n3,5,c\n4,4,d\n")
    status, out, _ = _run(capsys, "verify", "log_density/mean", "--data", str(path), "--columns", "u,v")
    assert status == 0
    assert "mine.csv, 4 rows, columns u, v" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["verify", "log_det/ful"], "Did you mean log_det/full"),
        (["verify", "--columns", "a"], "got no --data"),
        (["verify", "--data", "no-such.csv"], "cannot be read"),
        (["verify", "--seed", "-1"], "wanted 0 or more"),
        (["list", "zebra"], "no identity has the words"),
        (["show", "nothing"], "no identity, chapter or source"),
        (["check", "log(det(S)", "inv(S)", "--wrt", "S"], "expected"),
    ],
)
def test_bad_input_exits_2_with_a_message_and_no_traceback(capsys, argv, message):
    status, _, err = _run(capsys, *argv)
    assert status == 2
    assert message in err
    assert "Traceback" not in err


def test_list_filters_by_words(capsys):
    status, out, _ = _run(capsys, "list", "fisher", "score")
    assert status == 0
    assert "fisher_information/score" in out
    assert "log_det/full" not in out


def test_show_prints_statement_source_code_and_the_verdict_of_now(capsys):
    status, out, _ = _run(capsys, "show", "log_det/symmetric")
    assert status == 0
    for part in (
        r"2 S^{-1} - S^{-1} \circ I",
        "cookbook:141",
        "2012-11-15",
        "def log_det_gradient",
        "verdict      holds",
    ):
        assert part in out


def test_a_formula_may_begin_with_a_minus(capsys):
    status, out, _ = _run(capsys, "check", "-tr(S)", "-I", "--wrt", "S")
    assert status == 0, out


def test_bad_text_is_answered_before_jax_loads():
    code = (
        "import sys\nfrom gdiff.cli import main\n"
        "try: main(['check', 'log(', 'S', '--wrt', 'S'])\n"
        "except SystemExit as e: assert e.code == 2\n"
        "assert 'jax' not in sys.modules and 'sympy' not in sys.modules, 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_m_gdiff_is_the_same_command():
    done = subprocess.run([sys.executable, "-m", "gdiff", "list", "cookbook:81"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "quadratic_form/vector" in done.stdout


def test_what_is_refuted_comes_with_a_counter_example_that_is_one(capsys, tmp_path):
    path = tmp_path / "out.json"
    status, out, _ = _run(capsys, "show", "quotient/printed")
    assert status == 0
    assert "refuted, as expected (holds if B symmetric)" in out
    assert "instead      quotient/rayleigh" in out
    assert "counter-example" in out
    _run(capsys, "verify", "quotient/printed", "--json", str(path))
    (entry,) = json.loads(path.read_text())["claims"]
    assert (entry["status"], entry["expected"], entry["holds_if"]) == ("refuted", "refuted", ["B symmetric"])
    point = {name: np.asarray(value) for name, value in entry["counter_example"].items()}
    a, b, x = point["A"], point["B"], point["x"]
    above, below = a @ x, b @ x
    true = 2 * a.T @ above / (below @ below) - 2 * (above @ above) * b.T @ below / (below @ below) ** 2
    np.testing.assert_allclose(point["true"], true, rtol=1e-9)
    assert np.max(np.abs(point["claimed"] - true)) > 0.1 * np.max(np.abs(true))


def test_a_work_is_judged_a_line_an_equation():
    from gdiff.assessment import Assessment
    from gdiff.lookup import catalogue
    from gdiff.report import equation_table
    from gdiff.verdict import Verdict

    judged = [Assessment(entry, Verdict("holds", checks=1), 0.0) for entry in catalogue.find("cookbook")]
    shown = [row[0] for row in equation_table(judged, "cookbook").rows]
    numbers = [int(n) for n in shown if n.isdigit()]
    assert numbers == sorted(numbers)
    assert set(range(32, 145)) <= set(numbers)
    assert "8.2.4" in shown


@pytest.mark.parametrize(
    ("options", "first", "count"),
    [
        (["--chapter", "inverses"], "inverse/differential", 7),
        (["--source", "cookbook:53"], "det/xtax_symmetric", 1),
        (["--status", "convention dependent"], "mixture/covariance", 1),
        (["toeplitz", "--status", "refuted"], "toeplitz/trace_printed", 2),
    ],
)
def test_the_list_is_filtered(capsys, options, first, count):
    status, out, _ = _run(capsys, "list", *options)
    assert status == 0
    rows = re.findall(r"^  (\w+/\w+) ", out, re.MULTILINE)
    assert (rows[0], len(rows)) == (first, count)


def test_a_filter_that_is_wrong_says_what_there_is(capsys):
    status, _, err = _run(capsys, "list", "--chapter", "nothing")
    assert status == 2
    assert "wanted one of differentials, rules" in err


def test_chapters_are_judged_in_several_processes(capsys):
    status, out, _ = _run(capsys, "verify", "vector_forms")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines() if line.startswith(("  form/", "  entry/", "  power/"))]
    assert names[:3] == ["form/linear", "form/bilinear", "form/bilinear_transposed"]
    assert "0 unexpected" in out


def test_derive_prints_the_formula_the_steps_and_what_was_checked(capsys):
    command = ("derive", "-1/2*(log(det(S)) + x'*inv(S)*x)", "--wrt", "S", "--symmetric", "S")
    status, out, _ = _run(capsys, *command, "--convention", "symmetric")
    assert status == 0
    assert out.startswith("df/dS = -1/2 (2 S^-1 - S^-1∘I - 2 S^-1 x x' S^-1 + (S^-1 x x' S^-1)∘I)\n")
    assert "Verified:" in out
    _, steps, _ = _run(capsys, *command, "--steps")
    assert "log-determinant, Cookbook (43)" in steps
    _, latex, _ = _run(capsys, *command, "--latex")
    assert latex.startswith(r"\begin{aligned}")
    _, python, _ = _run(capsys, *command, "--python")
    compile(python, "pasted", "exec")
    assert "import jax.numpy as jnp" in python
    _, r, _ = _run(capsys, *command, "--r")
    assert "gradient <- function(S, x) {" in r
    _, hessian, _ = _run(capsys, "derive", "log(det(L))", "--wrt", "L", "--assume", "L=lower_triangular", "--hessian")
    assert "d2f/dL2 = " in hessian


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("derive", "x'*A*x", "--wrt", "z"), "the expression has no `z`"),
        (("derive", "eig(S)", "--wrt", "S"), "unknown function `eig`"),
        (("derive", "x'*A*x", "--wrt", "A", "--convention", "symmetric"), "declare it"),
        (("derive", "x'*A*x", "--wrt", "A", "--assume", "A"), "want NAME=VALUE"),
        (("check", "--steps", "no such file"), "cannot be read"),
        (("check", "x'*x"), "want an expression, a claim and --wrt V"),
    ],
)
def test_bad_input_to_derive_and_steps_exits_with_2(capsys, argv, message):
    status, _, err = _run(capsys, *argv)
    assert status == 2
    assert message in err


def test_check_reads_a_derivation_from_a_file(capsys, tmp_path):
    path = tmp_path / "steps.txt"
    path.write_text("wrt x\nx'x\ndf = 2 x' dx  # product rule\n2 x\n")
    status, out, _ = _run(capsys, "check", "--steps", str(path))
    assert status == 0
    assert "Every line follows" in out
    path.write_text("wrt x\nx'x\ndf = x' dx\n2 x\n")
    status, out, _ = _run(capsys, "check", "--steps", str(path))
    assert status == 1
    assert "Line 1 is the first that does not follow" in out
