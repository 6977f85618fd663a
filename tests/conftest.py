"""What every test may ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).parent.parent

# The same cases on every run, so that a red run is the change's own fault; `HYPOTHESIS_PROFILE=default` makes
# hypothesis look for new ones.
settings.register_profile("settled", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "settled"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that the service runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Directory of the authors' arrays: HRFORMER_REFERENCE, else beside the repository."""
    directory = Path(os.environ.get("HRFORMER_REFERENCE", REPOSITORY.parent / "shared" / "reference"))
    if not (directory / "cases.json").is_file():
        pytest.skip(f"no reference arrays: {directory} has no cases.json; set HRFORMER_REFERENCE")
    return directory


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests share the machine with whatever else runs there, and sums come out the same everywhere."""
    import torch

    torch.set_num_threads(1)
