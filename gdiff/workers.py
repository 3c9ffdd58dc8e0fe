"""Judging and deriving identities in several processes: each finds them by name in a catalogue that it loads itself."""

import importlib.util
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from gdiff.assessment import Assessment, assess, subject
from gdiff.claim import Claim
from gdiff.dataset import Dataset
from gdiff.derived import derivation_of
from gdiff.lookup import Catalogue, catalogue

_ENOUGH = 24  # identities from which on another process is worth its start
_MOST = 4  # processes


def load(path: str | None = None) -> Catalogue:
    """gdiff's own catalogue, or that of a Python file with a tuple CLAIMS, or a dictionary CHAPTERS of such.

    Raises ValueError for a file that cannot be read, run, or has neither.
    """
    if path is None:
        return catalogue
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file.")
    specification = importlib.util.spec_from_file_location(Path(path).stem, path)
    if specification is None or specification.loader is None:
        raise ValueError(f"{path}: not a Python file; wanted one ending in .py.")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    chapters = getattr(module, "CHAPTERS", None) or {Path(path).stem: getattr(module, "CLAIMS", None)}
    wrong = [c for claims in chapters.values() for c in (claims or [None]) if not isinstance(c, Claim)]
    if wrong:
        raise ValueError(
            f"{path}: wanted CLAIMS, a tuple of claims such as `gdiff.identity` makes; got {type(wrong[0]).__name__}."
        )
    return Catalogue(chapters)


def _processes(identities: int) -> int:
    """How many processes so many identities are worth: one for each of a few cores."""
    return min(os.cpu_count() or 1, _MOST) if identities >= _ENOUGH else 1


def _pool(processes: int) -> ProcessPoolExecutor:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each process is one for a core
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _judge(
    path: str | None, names: Sequence[str], seed: int, data: Dataset | None, dtype: Any
) -> list[tuple[str, Any, float]]:
    own = load(path)
    done = assess([own[name] for name in names], seed, data=data, dtype=dtype)
    return [(a.entry.name, replace(a.verdict, max_error=dict(a.verdict.max_error)), a.seconds) for a in done]


def _derive(path: str | None, names: Sequence[str], seed: int) -> list[tuple[str, str]]:
    own = load(path)
    found = ((name, derivation_of(own[name], seed)) for name in names)
    return [(name, derivation.table().html()) for name, derivation in found if derivation is not None]


def derive_in_processes(entries: Sequence[Claim], path: str | None, seed: int = 0) -> dict[str, str]:
    """The derivations of the entries that are within the language, as HTML tables by name."""
    names = [entry.name for entry in entries if entry.text]
    processes = _processes(len(names))
    if processes < 2:
        return dict(_derive(path, names, seed))
    with _pool(processes) as pool:
        parts = [pool.submit(_derive, path, names[i::processes], seed) for i in range(processes)]
        return dict(pair for part in parts for pair in part.result())


def assess_in_processes(
    entries: Sequence[Claim], path: str | None, seed: int = 0, *, data: Dataset | None = None, dtype: Any
) -> Iterator[Assessment]:
    """Judge entries of the catalogue at `path` (None for gdiff's own), as each is done, in no order.

    One process for each of a few cores; a handful of entries is judged in this one.
    """
    processes = _processes(len(entries))
    if processes < 2:
        yield from assess(entries, seed, data=data, dtype=dtype)
        return
    groups: dict[Any, list[str]] = {}
    for entry in entries:
        groups.setdefault(subject(entry), []).append(entry.name)
    by_name = {entry.name: entry for entry in entries}
    with _pool(processes) as pool:
        running = [pool.submit(_judge, path, names, seed, data, dtype) for names in groups.values()]
        try:
            for future in as_completed(running):
                for name, verdict, seconds in future.result():
                    yield Assessment(by_name[name], verdict, seconds)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
