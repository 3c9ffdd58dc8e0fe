"""What the README shows is what the commands print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```console\n\$ (.+?)\n(.*?)```", README.read_text(), re.DOTALL)


def output_of(command):
    """What `gdiff ...` prints, run in this process's Python."""
    words = shlex.split(command)
    assert words[0] == "gdiff"
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, env=environment, cwd=README.parent, check=False
    )
    return done.stdout + done.stderr


def _stable(text):
    """Rounding differs from machine to machine: the last line's errors are left out."""
    return re.sub(r"largest relative error: .*;", "largest relative error: ...;", text)


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[c for c, _ in BLOCKS])
def test_the_output_shown_is_the_output_printed(command, shown):
    assert _stable(output_of(command)) == _stable(shown)


def test_the_readme_shows_checks_and_marks_its_two_lines():
    assert len(BLOCKS) >= 2
    for mark in ("main", "tests"):
        assert re.search(rf"<!-- {mark} -->\n```sh\npython3 -m venv .*\n```", README.read_text())
