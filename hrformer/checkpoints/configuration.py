"""Network configurations as plain values, for manifests and the metadata of weight files, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from hrformer.checkpoints.errors import BadManifest
from hrformer.modeling.config import (
    BackboneConfig,
    ClassificationHeadConfig,
    HeadConfig,
    NetworkConfig,
    PeopleHeadConfig,
    PoseHeadConfig,
    SegmentationHeadConfig,
)
from hrformer.modeling.variants import BACKBONES

Values = Mapping[str, Any]
Config = TypeVar("Config")

HEADS: dict[str, type[HeadConfig]] = {
    "pose": PoseHeadConfig,
    "segmentation": SegmentationHeadConfig,
    "classification": ClassificationHeadConfig,
    "people": PeopleHeadConfig,
}


def task_of(config: NetworkConfig) -> str:
    """The task that the network's head is for."""
    return next(task for task, head in HEADS.items() if isinstance(config.head, head))


def variant_of(backbone: BackboneConfig) -> str:
    """The variant that has these channels: "tiny", "small" or "base", or "custom" if none has."""
    matching = (name for name, make in BACKBONES.items() if make().channels == backbone.channels)
    return next(matching, "custom")


def config_to_values(config: NetworkConfig) -> dict[str, Any]:
    """`{"task", "backbone", "head"}` of strings, numbers and lists."""
    return {"task": task_of(config), "backbone": asdict(config.backbone), "head": asdict(config.head)}


def config_from_values(task: str, backbone: Values, head: Values) -> NetworkConfig:
    """The inverse of `config_to_values`; a field that is not there takes its default.

    raises: BadManifest if the task or a field is unknown, or a field without default is missing.
    """
    if task not in HEADS:
        raise BadManifest(f"there is no task {task!r}; known are {', '.join(HEADS)}")
    return NetworkConfig(
        from_values(BackboneConfig, backbone, "backbone"), from_values(HEADS[task], head, "head")
    )


def from_values(cls: type[Config], values: Values, where: str) -> Config:
    """A dataclass from a table of its fields; lists become tuples. raises: BadManifest, naming the field."""
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise BadManifest(f"{where} has an unknown field {name!r}; known are {', '.join(sorted(known))}")
    try:
        return cls(**{name: as_tuples(value) for name, value in values.items()})
    except TypeError as error:
        raise BadManifest(f"{where} is incomplete: {error}") from error


def as_tuples(value: Any) -> Any:
    """Lists as tuples, at any depth."""
    return tuple(as_tuples(item) for item in value) if isinstance(value, list | tuple) else value
