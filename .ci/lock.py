"""Writes constraints.txt: the newest versions that fit pyproject.toml, with everything they need.

Arguments such as `torch==2.13.0` hold packages back. Nothing is installed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
HEADER = """\
# Every version that `make install` and the image take, transitive ones too; written by `make lock`.
# torch stands by version alone: the CPU and the CUDA builds both fit, and each pins its own CUDA libraries.
"""
CUDA_LIBRARY = re.compile(r"^(nvidia-(?!ml-py)|cuda-|triton$)")


def resolve(held_back: list[str]) -> list[dict[str, Any]]:
    """What pip would install into an empty environment, as its report's list."""
    project = f"{CONSTRAINTS.parent}[dev]"
    options = ["--dry-run", "--quiet", "--ignore-installed", "--report", "-"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *options,
        "setuptools",
        *held_back,
        "--editable",
        project,
    ]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return list(json.loads(answer.stdout)["install"])


def pins(report: list[dict[str, Any]]) -> list[str]:
    """`name==version` of each package but ours, pip and the CUDA libraries, which torch pins itself."""
    named = {}
    for package in report:
        name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
        if name not in ("hrformer", "pip") and not CUDA_LIBRARY.match(name):
            named[name] = package["metadata"]["version"].split("+")[0]
    return [f"{name}=={named[name]}" for name in sorted(named)]


if __name__ == "__main__":
    lines = pins(resolve(sys.argv[1:]))
    CONSTRAINTS.write_text(HEADER + "".join(f"{line}\n" for line in lines))
