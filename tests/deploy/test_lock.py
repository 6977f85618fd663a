"""The lock pins everything that an installation takes, and nothing that depends on the machine."""

import importlib.metadata
import re
import runpy
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CUDA_LIBRARY = re.compile(r"nvidia-(?!ml-py)|cuda-|triton")


def locked(file: str = "constraints.txt") -> dict[str, str]:
    """Name to version, as a lock has them."""
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def declared() -> list[Requirement]:
    """What pyproject.toml asks for, extras included; `peers` and `ray` have locks of their own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        line
        for name, lines in project["optional-dependencies"].items()
        if name not in ("peers", "ray")
        for line in lines
    ]
    requirements = [Requirement(line) for line in [*project["dependencies"], *extras]]
    return [requirement for requirement in requirements if requirement.name != "hrformer"]


def needed_by(requirement: Requirement) -> list[Requirement]:
    """What an installed package asks for on this machine with the extras of the requirement."""
    lines = importlib.metadata.requires(requirement.name) or []
    found = [Requirement(line) for line in lines]
    extras = [{"extra": extra} for extra in (*requirement.extras, "")]
    return [one for one in found if one.marker is None or any(one.marker.evaluate(extra) for extra in extras)]


def everything_needed() -> set[str]:
    """Names of all packages that the declared ones bring, down to the last; pip itself comes with Python."""
    waiting, seen = declared(), set[str]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in seen and not CUDA_LIBRARY.match(name):
            seen.add(name)
            waiting += needed_by(requirement)
    return seen - {"pip"}


def test_every_package_that_is_needed_is_pinned() -> None:
    assert everything_needed() - locked().keys() == set()


def test_nothing_is_pinned_that_nobody_needs() -> None:
    assert locked().keys() - everything_needed() - {"setuptools"} == set()


def test_every_pin_satisfies_what_the_project_declares() -> None:
    pins = locked()
    assert [str(one) for one in declared() if pins[canonicalize_name(one.name)] not in one.specifier] == []


def test_the_lock_of_ray_adds_to_the_other_and_has_the_version_of_the_extra() -> None:
    added = locked("constraints-ray.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["ray"] == [f"ray[serve]=={added['ray']}"]
    assert added.keys() & locked().keys() == set()


def test_the_environment_holds_the_pinned_versions() -> None:
    installed = {name: importlib.metadata.version(name).split("+")[0] for name in locked()}
    assert installed == locked()


def test_no_pin_names_a_build_or_a_cuda_library() -> None:
    assert [name for name, version in locked().items() if "+" in version or CUDA_LIBRARY.match(name)] == []


def test_known_holes_are_below_the_floors() -> None:
    floors = {one.name: one.specifier for one in declared()}
    too_old = {"torch": "2.5.1", "pillow": "12.2", "python-multipart": "0.0.26"}
    assert [name for name, version in too_old.items() if version in floors[name]] == []


def test_make_lock_writes_torch_by_version_and_leaves_its_cuda_libraries_to_it() -> None:
    resolved = {
        "torch": "2.13.0+cpu",
        "nvidia-cublas": "13.1",
        "triton": "3.7",
        "nvidia-ml-py": "13.6",
        "pip": "26",
    }
    report = [{"metadata": {"name": name, "version": version}} for name, version in resolved.items()]
    assert runpy.run_path(str(ROOT / ".ci/lock.py"))["pins"](report) == [
        "nvidia-ml-py==13.6",
        "torch==2.13.0",
    ]
