"""Compiles gdiff/native when gdiff is installed: C++ for CPUs, by the compiler that the package `ziglang` brings.

Kernels are compiled once for each instruction set that `handlers.cc` chooses from; what is built runs on any processor
of the architecture. GDIFF_PURE=1 leaves them out: then JAX computes what they would.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path(__file__).parent / "gdiff" / "native"
LIBRARY = SOURCES / "kernels.so"
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-nostdlib++"),
    *("-Wall", "-Wextra", "-Werror"),
)
# By the architecture, what the kernels are compiled for: the compiler's name of it, a vector's width, their table.
TARGETS = {
    "x86_64": (("x86_64", 16, "kernels_base"), ("x86_64_v3", 32, "kernels_v3"), ("x86_64_v4", 64, "kernels_v4")),
    "aarch64": (("generic", 16, "kernels_base"),),
}


class CompileKernels(BuildHookInterface):
    """Puts the library beside its sources, and into the wheel, which then is of this platform and of any Python 3."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the plug-in's interface
        """Compile, before the files of a wheel or of an editable installation are collected."""
        if self.target_name != "wheel":
            return
        LIBRARY.unlink(missing_ok=True)
        if os.environ.get("GDIFF_PURE"):
            return
        platform = sysconfig.get_platform()
        machine = platform.rpartition("-")[2].replace("amd64", "x86_64").replace("arm64", "aarch64")
        if machine not in TARGETS:
            self.app.display_warning(f"gdiff has no kernels for {machine}: JAX will compute what they would.")
            return
        build(TARGETS[machine])
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"
        build_data["artifacts"].append("gdiff/native/kernels.so")


def build(targets: tuple[tuple[str, int, str], ...]) -> None:
    """Compile the kernels for each of the targets, side by side, and link them with what XLA calls."""
    import jaxlib

    include = Path(jaxlib.__file__).parent / "include"  # XLA's C interface
    with tempfile.TemporaryDirectory() as folder:
        baseline = f"-mcpu={targets[0][0]}"
        parts = [("handlers.cc", [baseline])] + [
            ("kernels.cc", [f"-mcpu={cpu}", f"-DGDIFF_WIDTH={width}", f"-DGDIFF_TABLE={table}"])
            for cpu, width, table in targets
        ]
        objects = [str(Path(folder) / f"{i}.o") for i in range(len(parts))]
        running = [
            compiler("c++", *FLAGS, *flags, f"-I{include}", "-c", str(SOURCES / source), "-o", target)
            for (source, flags), target in zip(parts, objects, strict=True)
        ]
        finish(*running)
        finish(compiler("cc", "-shared", "-s", *objects, "-o", str(LIBRARY)))


def compiler(*arguments: str) -> subprocess.Popen:
    """The compiler at work."""
    return subprocess.Popen([sys.executable, "-m", "ziglang", *arguments], stderr=subprocess.PIPE, text=True)


def finish(*running: subprocess.Popen) -> None:
    """Wait for compilers; RuntimeError with what one of them said if it failed."""
    for process in running:
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(
                f"gdiff's kernels did not compile; GDIFF_PURE=1 installs gdiff without them.\n{errors.strip()}"
            )
