"""`docs/reliability.md`: every test that it names is there, and every long test is named."""

import re

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(test_\w+)`( \(soak\))?", PAGE)


def names_in(pattern: str) -> set[str]:
    files = (REPOSITORY / "tests" / "service").glob(pattern)
    return {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text())}


def test_every_promise_names_a_test_that_is_there() -> None:
    assert {name for name, _ in NAMED} - names_in("test_*.py") == set()


def test_every_long_test_is_named_as_such() -> None:
    assert {name for name, soak in NAMED if soak} == names_in("test_soak.py")


def test_no_test_stands_for_two_promises() -> None:
    names = [name for name, _ in NAMED]
    assert sorted(names) == sorted(set(names))
