"""Real data for the catalogue: a table of numbers, and the Gaussian arguments that it stands for."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from gdiff.claim import Argument

_SHIFT = 0.25  # of a standard deviation: the mean moves off its maximum
_SHRINK, _STRETCH = 0.8, 1.2  # off and on the diagonal: the covariance moves off its maximum, and stays definite


@dataclass(frozen=True)
class Dataset:
    """n observations of d numeric variables."""

    name: str
    columns: tuple[str, ...]
    rows: np.ndarray

    def arguments(self, arguments: tuple[Argument, ...]) -> tuple[np.ndarray, ...] | None:
        """What stands for each argument: the mean and covariance of the data, moved off the maximum so that the score
        is not zero; None where an argument has no role in data.
        """
        mean = self.rows.mean(axis=0)
        s = np.cov(self.rows, rowvar=False, bias=True).reshape(len(mean), len(mean))
        moved_mean = mean + _SHIFT * np.sqrt(np.diag(s))
        moved = _SHRINK * s + (_STRETCH - _SHRINK) * np.diag(np.diag(s))
        resid = self.rows - moved_mean
        stands_for = {
            "observation": self.rows[0],
            "sample": self.rows,
            "mean": moved_mean,
            "covariance": moved,
            "factor": np.linalg.cholesky(moved),
            "precision": np.linalg.inv(moved),
            "scatter": resid.T @ resid,
        }
        if any(a.role is None for a in arguments):
            return None
        return tuple(stands_for[a.role] for a in arguments if a.role is not None)


def penguins() -> Dataset:
    """151 Adelie penguins, four measurements: Gorman, Williams and Fraser (2014), PLoS ONE 9(3) e90081.

    From the Palmer Station Long Term Ecological Research Program, as in the R package palmerpenguins (Horst, Hill and
    Gorman 2020), dedicated to the public domain (CC0). Birds with missing measurements are left out.
    """
    with files("gdiff").joinpath("samples/penguins.csv").open() as stream:
        header, *rows = list(csv.reader(stream))
    return Dataset("penguins", tuple(header), np.array(rows, dtype=float))


def read_csv(path: str | Path, columns: tuple[str, ...] | None = None) -> Dataset:
    """Read numeric columns with a header row, all of them or those that are named.

    Raises ValueError, saying what was got, what was wanted and what to do, for a file that is missing, empty or not
    comma-separated, a column that is not there, text or missing cells, constant or collinear columns, and fewer rows
    than d + 1.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not a text file in UTF-8.") from None
    try:
        lines = [line for line in csv.reader(text.splitlines()) if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise ValueError(f"{path}: not a comma-separated file ({error}).") from None
    if not lines:
        raise ValueError(f"{path}: the file is empty, wanted a header row and rows of numbers.")
    header = [cell.strip() for cell in lines[0]]
    body = lines[1:]
    if len(header) == 1 and any(mark in lines[0][0] for mark in ";\t"):
        raise ValueError(
            f"{path}: the header reads as one column, {lines[0][0]!r}; wanted commas between columns "
            "(and a point as the decimal mark)."
        )
    if _all_numbers(lines[0]):
        raise ValueError(
            f"{path}: the first row holds numbers, {', '.join(lines[0][:3])} ...; wanted a header of names."
        )
    wanted = columns or tuple(header)
    for name in wanted:
        if header.count(name) != 1:
            problem = "is not there" if name not in header else "appears more than once"
            raise ValueError(f"{path}: column {name!r} {problem}; the columns are {', '.join(header)}.")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"{path}: a column is named twice in {', '.join(wanted)}.")
    values = np.empty((len(body), len(wanted)))
    for number, line in enumerate(body):
        if len(line) != len(header):
            raise ValueError(f"{path}: row {number + 1} has {len(line)} cells, wanted {len(header)} as in the header.")
        for place, name in enumerate(wanted):
            values[number, place] = _cell(path, number, name, line[header.index(name)], header)
    _check_sample(path, wanted, values)
    return Dataset(path.name, wanted, values)


def _all_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _cell(path: Path, number: int, name: str, cell: str, header: list[str]) -> float:
    place = f"{path}: row {number + 1}, column {name!r}"
    if cell.strip().lower() in ("", "na", "nan", "null", "?", "."):
        raise ValueError(f"{place}: got {cell!r}, a missing value; drop the row, or choose other --columns.")
    try:
        value = float(cell)
    except ValueError:
        others = [other for other in header if other != name]
        advice = f"leave it out, as in --columns {','.join(others[:3])}" if others else "wanted a number"
        raise ValueError(f"{place}: got {cell!r}, which is not a number; {advice}.") from None
    if not np.isfinite(value):
        raise ValueError(f"{place}: got {cell!r}, wanted a finite number.")
    return value


def _check_sample(path: Path, columns: tuple[str, ...], values: np.ndarray) -> None:
    n, d = values.shape
    if n < d + 1:
        raise ValueError(f"{path}: {n} rows for {d} columns, wanted at least {d + 1} rows; choose fewer --columns.")
    spread = values.std(axis=0)
    constant = [
        name for name, sd, size in zip(columns, spread, np.abs(values).max(axis=0), strict=True) if sd <= 1e-12 * size
    ]
    if constant:
        raise ValueError(f"{path}: column {constant[0]!r} is constant, so it has no variance; leave it out.")
    standard = (values - values.mean(axis=0)) / spread
    size, direction = np.linalg.svd(standard, full_matrices=False)[1:]
    if size[-1] <= 1e-10 * size[0]:
        involved = [name for name, weight in zip(columns, direction[-1], strict=True) if abs(weight) > 1e-3]
        raise ValueError(
            f"{path}: columns {', '.join(involved)} are collinear, so the covariance is singular; leave one out."
        )
