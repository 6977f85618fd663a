"""What this image or environment is made of, as CycloneDX 1.6 JSON on standard output (`make sbom`).

Python packages with their licences, the system's packages, and the weights with their SHA-256. It needs
nothing but Python, so that it runs inside the image: it lists what is there, not what a lock file asked for.
"""

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NAMED = re.compile(r"^License :: (?:OSI Approved :: )?(.+)$")


def licences(metadata: importlib.metadata.PackageMetadata) -> list[dict[str, Any]]:
    """The SPDX expression where the package gives one, else the names that it gives."""
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    classified = [NAMED.match(line) for line in metadata.get_all("Classifier") or []]
    names = [found[1] for found in classified if found] or metadata.get_all("License") or []
    return [{"license": {"name": name}} for name in names if name and "\n" not in name]


def python_packages() -> list[dict[str, Any]]:
    """Every distribution that this Python sees."""
    found = {}
    for distribution in importlib.metadata.distributions():
        metadata, version = distribution.metadata, distribution.version
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        url = f"pkg:pypi/{name}@{version.replace('+', '%2B')}"
        component = {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}
        found[url] = component | {"licenses": licences(metadata)}
    return list(found.values())


def system_packages() -> list[dict[str, Any]]:
    """What dpkg has installed; nothing on a system without it."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n"]
    try:
        shown = subprocess.run(query, capture_output=True, text=True, check=True)  # noqa: S603  # no input in it
    except (OSError, subprocess.CalledProcessError):
        return []
    return [_system_package(*line.split()) for line in shown.stdout.splitlines()]


def _system_package(name: str, version: str, architecture: str) -> dict[str, Any]:
    url = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={architecture}"
    return {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}


def weights(manifest: Path) -> list[dict[str, Any]]:
    """The models of the manifest."""
    models = tomllib.loads(manifest.read_text(encoding="utf-8"))["models"] if manifest.is_file() else {}
    return [
        {
            "type": "machine-learning-model",
            "name": name,
            "version": model["sha256"][:12],
            "bom-ref": f"model:{name}",
            "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
        }
        for name, model in models.items()
    ]


def bill_of_materials(manifest: Path) -> dict[str, Any]:
    """All of it."""
    interpreter = {"type": "platform", "name": "python", "version": platform.python_version()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "application", "name": "hrformer", "bom-ref": "hrformer"},
        },
        "components": [
            interpreter | {"bom-ref": "python"},
            *sorted(python_packages(), key=lambda one: str(one["name"])),
            *sorted(system_packages(), key=lambda one: str(one["name"])),
            *weights(manifest),
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill_of_materials(Path("weights/manifest.toml")), indent=1) + "\n")
