"""HRFormer-T, -S and -B for each task, as functions that return configurations."""

from collections.abc import Callable
from dataclasses import replace

from hrformer.modeling.config import (
    BackboneConfig,
    ClassificationHeadConfig,
    NetworkConfig,
    PeopleHeadConfig,
    PoseHeadConfig,
    SegmentationHeadConfig,
)


def tiny() -> BackboneConfig:
    """HRFormer-T."""
    return BackboneConfig(channels=(18, 36, 72, 144), heads=(1, 2, 4, 8), modules=(1, 3, 2))


def small() -> BackboneConfig:
    """HRFormer-S."""
    return BackboneConfig(channels=(32, 64, 128, 256), heads=(1, 2, 4, 8), modules=(1, 4, 2))


def base() -> BackboneConfig:
    """HRFormer-B."""
    return BackboneConfig(channels=(78, 156, 312, 624), heads=(2, 4, 8, 16), modules=(1, 4, 2))


BACKBONES: dict[str, Callable[[], BackboneConfig]] = {"tiny": tiny, "small": small, "base": base}


def pose(backbone: BackboneConfig, joints: int = 17) -> NetworkConfig:
    """Bilinear exchange, the highest resolution alone; the bias is added, as in mmpose."""
    return NetworkConfig(replace(backbone, upsample="bilinear", outputs="highest"), PoseHeadConfig(joints))


def segmentation(backbone: BackboneConfig, classes: int = 19) -> NetworkConfig:
    """Nearest exchange and all four resolutions, as the authors' segmentation network."""
    return NetworkConfig(
        replace(backbone, upsample="nearest", outputs="all"), SegmentationHeadConfig(classes=classes)
    )


def classification(backbone: BackboneConfig, classes: int = 1000) -> NetworkConfig:
    """Nearest exchange and all four resolutions, as the authors' classification network."""
    return NetworkConfig(
        replace(backbone, upsample="nearest", outputs="all"), ClassificationHeadConfig(classes=classes)
    )


def people(backbone: BackboneConfig, channels: int = 64) -> NetworkConfig:
    """The backbone of the pose network, so that either can start from the other."""
    return NetworkConfig(
        replace(backbone, upsample="bilinear", outputs="highest"), PeopleHeadConfig(channels)
    )


TASKS: dict[str, Callable[[BackboneConfig, int], NetworkConfig]] = {
    "pose": pose,
    "segmentation": segmentation,
    "classification": classification,
    "people": people,
}

# Joints, classes, or channels of the head for people.
DEFAULT_OUTPUTS = {"pose": 17, "segmentation": 19, "classification": 1000, "people": 64}


def variant(name: str, task: str, outputs: int | None = None) -> NetworkConfig:
    """The configuration of "tiny", "small" or "base" for a task.

    outputs: joints or classes; for people, channels of the head.

    raises: ValueError if the variant or the task is unknown.
    """
    if name not in BACKBONES:
        raise ValueError(f"there is no variant {name!r}; choose one of {', '.join(BACKBONES)}")
    if task not in TASKS:
        raise ValueError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}")
    return TASKS[task](BACKBONES[name](), DEFAULT_OUTPUTS[task] if outputs is None else outputs)


VARIANTS = {f"hrformer-{name}-{task}": (name, task) for name in BACKBONES for task in TASKS}
