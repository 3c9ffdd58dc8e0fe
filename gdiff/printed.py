"""Numbers from text: CSV files, and matrices as R, NumPy and MATLAB print them, each number with its last digit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from gdiff.tolerance import printed_precision

_LARGEST = 20_000_000  # characters
_ROUNDED = 6  # significant digits from which a number is taken to have been rounded: R prints 7
_NUMERIC = re.compile(r"[-+.0-9eE,;\s]*[0-9][-+.0-9eE,;\s]*")
_R_ROW = re.compile(r"^\[(\d*),?\]$")
_BETWEEN_ROWS = re.compile(r"\]\s*,?\s*\[(?!\d*,?\])(?=[\s\[]*[-+.\d])")  # of nested lists
_R_COLUMN = re.compile(r"^\[,\d+\]$")


@dataclass(frozen=True)
class Numbers:
    """A matrix that was read from text, with half a unit of each entry's last digit; `source` names it in errors."""

    array: np.ndarray  # (rows, columns)
    half_units: np.ndarray
    source: str = ""

    @property
    def rounding(self) -> np.ndarray:
        """The half units of the entries that look rounded (six digits or more); 0 for those that look exact."""
        with np.errstate(divide="ignore"):
            digits = np.log10(np.abs(self.array) / self.half_units)
        return np.where(digits >= _ROUNDED - 1, self.half_units, 0.0)


def read_numbers(given: str | PathLike[str]) -> Numbers:
    """Read a matrix from a file, or from the text itself where that is numbers: `4 1; 1 3`.

    Cells are parted by commas, semicolons, tabs or blanks; a header and labels of rows are left out.

    >>> read_numbers("4 1; 1 3").array.tolist()
    [[4.0, 1.0], [1.0, 3.0]]
    """
    text = str(given)
    if _NUMERIC.fullmatch(text) and not Path(text).exists():
        return parse_numbers(text.replace(";", "\n"), f"`{text}`")
    path = Path(given)
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"{path}: larger than {_LARGEST // 1_000_000} MB; want one matrix")
        return parse_numbers(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file; want numbers parted by commas or blanks") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_numbers(text: str, source: str = "the text") -> Numbers:
    """Read a matrix from text.

    >>> m = parse_numbers('''
    ...            [,1]  [,2]
    ...     [1,]  0.250 -1.50
    ...     [2,] -1.500  4.00
    ... ''')
    >>> m.array.tolist(), m.half_units[0].tolist()
    ([[0.25, -1.5], [-1.5, 4.0]], [0.0005, 0.005])
    """
    text = _BETWEEN_ROWS.sub("\n", text)
    if "[" in text and not re.search(r"\[\d*,?\d*\]", text):
        text = text.replace(";", "\n")  # MATLAB
    blocks: list[list[list[str]]] = [[]]
    lines: list[int] = []
    vector = False
    for number, line in enumerate(text.splitlines(), 1):
        cells = _cells(line)
        if not cells:
            continue
        label = _R_ROW.match(cells[0])
        vector |= bool(label) and "," not in cells[0]
        if any(_R_COLUMN.match(cell) for cell in cells) and blocks[-1]:
            blocks.append([])  # R prints a wide matrix in blocks of columns
        blocks[-1].append(cells)
        lines.append(number)
    if not lines:
        raise ValueError(f"{source}: there are no numbers in it")
    start, parts = 0, []
    for block in blocks:
        parts.append(_block(block, lines[start : start + len(block)], source, vector))
        start += len(block)
    if len({len(part) for part in parts}) > 1:
        raise ValueError(f"{source}: the blocks of columns have {', '.join(str(len(p)) for p in parts)} rows")
    rows = [[cell for part in parts for cell in part[i]] for i in range(len(parts[0]))]
    if vector:
        rows = [[cell] for row in rows for cell in row]
    widths = {len(row) for row in rows}
    assert len(widths) == 1
    return Numbers(np.array([[float(c) for c in row] for row in rows]), printed_precision(rows), source)


def _cells(line: str) -> list[str]:
    """The cells of a line, without quotes and the brackets of NumPy and MATLAB; none for a blank or a comment."""
    line = line.split("#")[0].strip().rstrip(",;")
    if not re.search(r"\[\d*,?\d*\]", line):
        line = re.sub(r"array\(|[\[\]()]", " ", line).strip().rstrip(",;")
    if not line:
        return []
    if ";" in line:
        if "," in line:
            line = line.replace(",", ".")  # 1,5;2,5: a decimal comma
        parts = line.split(";")
    elif re.search(r"\[\d*,\d*\]", line) or not re.search(r"[,\t]", line):
        parts = line.split()
    else:
        parts = line.split(",") if "," in line else line.split("\t")
    return [part.strip().strip("\"'").strip() for part in parts]


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell))) and "_" not in cell
    except ValueError:
        return False


def _block(rows: Sequence[list[str]], lines: Sequence[int], source: str, vector: bool) -> list[list[str]]:
    header = rows[0] if len(rows) > 1 and not any(_is_number(c) and not _R_COLUMN.match(c) for c in rows[0]) else None
    body, numbers = (rows[1:], lines[1:]) if header else (rows, lines)
    labelled = all(len(row) > 1 and not _is_number(row[0]) for row in body)
    if header:  # "","V1" above "1",0.5: labels that are numbers
        labelled |= header[0] == "" or all(len(row) == len(header) + 1 for row in body)
    out: list[list[str]] = []
    for row, line in zip(body, numbers, strict=True):
        cells = row[1:] if labelled else row
        for column, cell in enumerate(cells, 1 + labelled):
            if not _is_number(cell):
                shown = f"`{cell}`" if cell else "an empty cell"
                raise ValueError(f"{source}, line {line}, column {column}: got {shown}, want a number")
        if out and len(cells) != len(out[0]) and not vector:
            raise ValueError(
                f"{source}, line {line}: got {len(cells)} numbers, the lines before have {len(out[0])}; "
                "want a matrix, its rows of equal length"
            )
        out.append(cells)
    return out
