"""The geometry against arrays of the published code: a part of them here, and all where they are."""

from pathlib import Path

import pytest

from hrformer.checkpoints.check import Check
from hrformer.evaluation.verify import verify_postprocess

PUBLISHED = Path(__file__).parent / "published"


@pytest.mark.parametrize("check", verify_postprocess(PUBLISHED), ids=lambda check: check.name)
def test_our_array_is_that_of_the_published_code(check: Check) -> None:
    assert check.passed, f"off by {check.error}, at most {check.tolerance}"


def test_every_stored_result_is_that_of_the_published_code(reference: Path) -> None:
    checks = verify_postprocess(reference)

    assert len(checks) > 70
    assert [check.name for check in checks if not check.passed] == []
