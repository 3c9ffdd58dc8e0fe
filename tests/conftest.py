"""Float64 everywhere, shapes of `gdiff.linalg` checked as it runs, and hypothesis without chance."""

import os
from collections.abc import Iterator

os.environ.setdefault("PJRT_NPROC", "16")  # as `gdiff.cli` does, and for the same reason: no deadlock on two cores
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # others spin for 0.1 s after each call, on cores that workers need

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_enable_x64", True)
install_import_hook("gdiff.linalg", "beartype.beartype")  # before anything imports gdiff
settings.register_profile("gdiff", derandomize=True, max_examples=50, deadline=None)
settings.load_profile("gdiff")


@pytest.fixture
def strict_dtypes() -> Iterator[None]:
    """Inputs of one dtype meet no implicit promotion on their way."""
    with jax.numpy_dtype_promotion("strict"):
        yield
