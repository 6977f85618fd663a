"""What `kubectl kustomize` makes of our folders, as far as they go: resources, components, images, patches.

kustomize is in no package index, so the tests read the manifests by this; where kubectl is there, the two are
compared. Anything that this does not know is an error, so that no folder uses more than is tested.
"""

import copy
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
KNOWN = {"apiVersion", "kind", "resources", "components", "images", "patches"}


def built(folder: Path) -> list[Resource]:
    """The resources of a folder with a kustomization.yaml, components and patches applied."""
    plan = read_plan(folder)
    resources: list[Resource] = []
    for name in plan.get("resources", []):
        path = folder / name
        resources += built(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for name in plan.get("components", []):
        resources = patched(resources, folder / name, read_plan(folder / name))
    return with_images(patched(resources, folder, plan), plan.get("images", []))


def read_plan(folder: Path) -> dict[str, Any]:
    """The kustomization.yaml. raises: ValueError for what this does not know."""
    plan: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := plan.keys() - KNOWN:
        raise ValueError(f"{folder.name}: {', '.join(sorted(unknown))} is not known here")
    return plan


def patched(resources: list[Resource], folder: Path, plan: dict[str, Any]) -> list[Resource]:
    """With the patches of a plan. raises: ValueError for a patch that meets no resource."""
    resources = copy.deepcopy(resources)
    for patch in plan.get("patches", []):
        met = [
            one
            for one in resources
            if (one["kind"], one["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"])
        ]
        if not met:
            raise ValueError(f"{folder.name}: there is no {patch['target']}")
        for step in yaml.safe_load((folder / patch["path"]).read_text()):
            apply(met[0], step)
    return resources


def apply(resource: Resource, step: dict[str, Any]) -> None:
    """One step of a JSON patch (RFC 6902), `add` or `replace`. raises: KeyError, IndexError, ValueError."""
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    place: Any = resource
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    if step["op"] == "add" and last == "-":
        place.append(step["value"])
    elif step["op"] == "add" or (step["op"] == "replace" and last in place):
        place[last] = step["value"]
    else:
        raise ValueError(f"{step['op']} {step['path']} cannot be done")


def with_images(resources: list[Resource], images: list[dict[str, str]]) -> list[Resource]:
    """With the tags of the images that are named."""
    tags = {image["name"]: image["newTag"] for image in images}
    for resource in resources:
        for container in containers(resource):
            name = container["image"].partition(":")[0]
            container["image"] = f"{name}:{tags[name]}" if name in tags else container["image"]
    return resources


def containers(resource: Resource) -> list[dict[str, Any]]:
    """Those of a Deployment; none of anything else."""
    return (
        list(resource["spec"]["template"]["spec"]["containers"]) if resource["kind"] == "Deployment" else []
    )
