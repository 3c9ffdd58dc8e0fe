"""Kernels in C++ for CPUs, as JAX primitives that act item by item on leading batch axes.

`kernels.h` says what they compute, `inverse.h`, `moments.h` and `pairs.h` how; `kernels.cc` is compiled once for each
instruction set and `handlers.cc` is what XLA calls. `hatch_build.py` compiles them when gdiff is installed. Each has a
twin in JAX that computes the same: on GPUs and TPUs, on more devices than one, in what `jax.export` writes, and where
nothing was compiled, the twin is what runs.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

LIBRARY = Path(__file__).with_name("kernels.so")


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, told of SciPy's LAPACK and of the number of cores; None where there are none."""
    if not LIBRARY.exists():
        return None
    from scipy.linalg import cython_lapack  # on first use: `import gdiff` loads no SciPy

    loaded = ctypes.CDLL(str(LIBRARY))
    routines = [cython_lapack.__pyx_capi__[name] for name in ("dpotrf", "dpotri", "spotrf", "spotri")]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    loaded.gdiff_begin.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * len(routines)]
    loaded.gdiff_begin(cores, *map(_address, routines))
    return loaded


def _address(capsule: Any) -> int:
    name, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name.argtypes, name.restype = [ctypes.py_object], ctypes.c_char_p
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    return pointer(capsule, name(capsule))


class Kernel:
    """A kernel of the library by its name there, its twin in JAX, and the shapes of its results.

    Takes arrays of float32 or float64 whose batch axes are the same, then `shared` arrays (NumPy's) that all items
    have in common; returns a tuple. Its derivatives are those of the twin.
    """

    def __init__(self, name: str, twin: Callable, results: Callable[..., Sequence[tuple]], shared: int = 0) -> None:
        self.twin, self._results, self._shared = twin, results, shared
        self._target = f"gdiff_{name}"
        self._primitive = Primitive(self._target)
        self._primitive.multiple_results = True
        self._primitive.def_impl(jax.jit(self._primitive.bind))
        self._primitive.def_abstract_eval(self._abstract)
        batching.primitive_batchers[self._primitive] = self._batch
        ad.primitive_jvps[self._primitive] = self._differentiate
        self._lower_twin = mlir.lower_fun(twin, multiple_results=True)
        mlir.register_lowering(self._primitive, self._lower_twin)
        mlir.register_lowering(self._primitive, self._lower, platform="cpu")

    def __call__(self, *arrays: Any) -> tuple[Array, ...]:
        """The results; the twin's for arrays without entries and on a mesh, over which XLA then divides the work."""
        if any(np.size(a) == 0 or not jax.typeof(a).sharding.mesh.empty for a in arrays):
            return tuple(self.twin(*arrays))
        return tuple(self._primitive.bind(*arrays))

    def _abstract(self, *avals: Any) -> list[Any]:
        return [avals[0].update(shape=shape, weak_type=False) for shape in self._results(*(a.shape for a in avals))]

    def _batch(self, arrays: Sequence[Any], axes: Sequence[int | None]) -> tuple[tuple[Array, ...], list[int]]:
        size = next(a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None)
        own = len(arrays) - self._shared
        leading = [batching.bdim_at_front(a, axis, size) for a, axis in zip(arrays[:own], axes[:own], strict=True)]
        results = self(*leading, *arrays[own:])
        return results, [0] * len(results)

    def _differentiate(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[tuple, tuple]:
        own = len(primals) - self._shared
        moved = tuple(ad.instantiate_zeros(t) for t in tangents[:own])
        _, results = jax.jvp(lambda *arrays: tuple(self.twin(*arrays, *primals[own:])), tuple(primals[:own]), moved)
        return self(*primals), results

    def _lower(self, ctx: mlir.LoweringRuleContext, *operands: Any) -> Any:
        module = ctx.module_context
        alone = getattr(module.axis_context, "num_devices", 1) == 1
        if library() is None or not alone or module.lowering_parameters.for_export:
            return self._lower_twin(ctx, *operands)
        _register(self._target)
        return jax.ffi.ffi_lowering(self._target)(ctx, *operands)


@cache
def _register(target: str) -> None:
    jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library(), target)), platform="cpu")
