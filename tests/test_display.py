import numpy as np

from gdiff.display import Table, matrix_html, matrix_rows, matrix_text, number


def test_a_long_matrix_is_shortened_in_the_middle():
    rows = matrix_rows(np.arange(100.0).reshape(10, 10), limit=4)
    assert [row[0] for row in rows] == ["0", "10", "…", "80", "90"]
    assert rows[0] == ["0", "1", "…", "8", "9"]


def test_numbers_keep_six_digits():
    assert number(1 / 3) == "0.333333"


def test_a_matrix_is_aligned():
    lines = matrix_text(np.array([[1.0, 2.0], [-30.5, 4.0]])).split("\n")
    assert len({len(line) for line in lines}) == 1


def test_a_table_draws_every_cell_as_text():
    text = Table(("name", "error"), [("a[bold]", "1e-3"), ("b", 2)], title="errors").text()
    assert "errors" in text
    assert "a[bold]" in text  # markup is not read
    assert text.splitlines()[0] == text.splitlines()[0].rstrip()


def test_html_is_escaped():
    html = Table(("<x>",), [("a & b",)]).html()
    assert "&lt;x&gt;" in html
    assert "a &amp; b" in html
    assert matrix_html(np.eye(2)).count("<td") == 4


def test_markdown_escapes_bars_and_stars_and_leaves_names_alone():
    text = Table(("a_b", "c"), [("log|S|", "2*x")]).markdown()
    assert text.splitlines() == ["| a_b | c |", "| --- | --- |", r"| log\|S\| | 2\*x |"]
