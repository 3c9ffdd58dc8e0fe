"""Plain tables and shortened matrices, as text and as HTML. Knows no type of gdiff's."""

import html
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


def number(value: float, digits: int = 6) -> str:
    """A number in `digits` significant digits, without trailing zeros.

    >>> number(0.5), number(-0.10916129), number(3.0), number(1e-12)
    ('0.5', '-0.109161', '3', '1e-12')
    """
    return f"{float(value):.{digits}g}"


def _kept(length: int, limit: int) -> list[int | None]:
    """Indices to show, None where a gap is."""
    if length <= limit:
        return list(range(length))
    head = (limit + 1) // 2
    return [*range(head), None, *range(length - (limit - head), length)]


def matrix_rows(array: np.ndarray, digits: int = 6, limit: int = 6) -> list[list[str]]:
    """The entries of an array of rank at most 2 as text, with the middle left out beyond `limit` rows or columns."""
    grid = np.atleast_2d(np.asarray(array))
    if grid.ndim > 2:
        grid = grid.reshape(grid.shape[0], -1)
    rows, columns = _kept(grid.shape[0], limit), _kept(grid.shape[1], limit)
    return [["…" if r is None or c is None else number(grid[r, c], digits) for c in columns] for r in rows]


def matrix_text(array: np.ndarray, digits: int = 6, limit: int = 6, indent: str = "") -> str:
    """A matrix as aligned text, shortened.

    >>> print(matrix_text(np.array([[1.0, -0.25], [10.5, 2.0]])))
       1 -0.25
    10.5     2
    """
    rows = matrix_rows(array, digits, limit)
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))] if rows and rows[0] else []
    lines = (" ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(indent + line for line in lines)


def matrix_html(array: np.ndarray, digits: int = 6, limit: int = 6) -> str:
    """A matrix as an HTML table, shortened."""
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:right'>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in matrix_rows(array, digits, limit)
    )
    return f"<table>{body}</table>"


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; `text` and `html` draw them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    right: frozenset[int] = field(default_factory=frozenset)

    def rich(self) -> "object":
        """The table as a `rich.table.Table`, for a console that the caller owns."""
        from rich import box  # rich costs 30 ms, and many processes never draw a table
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title or None, box=box.SIMPLE_HEAD, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index in self.right else "left")
        for row in self.rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        return table

    def text(self, width: int = 120) -> str:
        """The table as plain text, without colours."""
        from rich.console import Console

        stream = io.StringIO()
        Console(file=stream, width=width, color_system=None, force_terminal=False).print(self.rich())
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n")

    def markdown(self) -> str:
        """The table in Markdown, with the marks that it would read escaped."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        escaped = ([re.sub(r"([|*])", r"\\\1", str(cell)) for cell in row] for row in rows)
        return "\n".join("| " + " | ".join(row) + " |" for row in escaped)

    def html(self) -> str:
        """The table as HTML, every cell escaped."""
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@contextmanager
def running(what: str) -> Iterator[Callable[[str], None] | None]:
    """A line on a terminal that says how far long work is, by what it is told; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as line:
        yield lambda text: line.update(f"{what}: {text}")
