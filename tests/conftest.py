"""Float64 everywhere, shapes of `gdiff.linalg` checked as it runs, and hypothesis without chance."""

from collections.abc import Iterator

import jax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
install_import_hook("gdiff.linalg", "beartype.beartype")  # before anything imports gdiff
settings.register_profile("gdiff", derandomize=True, max_examples=50, deadline=None)
settings.load_profile("gdiff")


@pytest.fixture
def strict_dtypes() -> Iterator[None]:
    """Inputs of one dtype meet no implicit promotion on their way."""
    with jax.numpy_dtype_promotion("strict"):
        yield
