"""Small networks, and labelled sets on disk, that tests of several packages share."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hrformer.checkpoints.manifest import Entry
from hrformer.checkpoints.save import save_entry
from hrformer.modeling.config import (
    BackboneConfig,
    ClassificationHeadConfig,
    NetworkConfig,
    SegmentationHeadConfig,
)
from hrformer.modeling.network import Network, build
from hrformer.modeling.variants import people, pose, tiny

PICTURES = Path(__file__).parent / "pictures"
ASTRONAUT = PICTURES / "astronaut.jpg"  # 512 x 512
PERSON_CLASSES = ("background", "person")


def shallow() -> BackboneConfig:
    """HRFormer-T with one module a stage and one block a module: a fifth of the time."""
    return replace(tiny(), modules=(1, 1, 1), blocks=1)


def shallow_pose() -> NetworkConfig:
    return pose(shallow())


def shallow_person() -> NetworkConfig:
    """Two classes, a light head."""
    head = SegmentationHeadConfig(classes=2, channels=16, key_channels=8)
    return NetworkConfig(replace(shallow(), upsample="bilinear"), head)


def shallow_people() -> NetworkConfig:
    return people(shallow(), channels=16)


def seeded(config: NetworkConfig, seed: int = 0) -> Network:
    """A network whose outputs differ clearly from place to place, though it has learned nothing."""
    torch.manual_seed(seed)
    network = build(config)
    names = ("heatmaps", "classify", "centres")
    final = next(getattr(network.head, name) for name in names if hasattr(network.head, name))
    # Of centres, a larger spread would make some scores exactly 1.
    torch.nn.init.normal_(final.weight, std=0.5 if final is getattr(network.head, "centres", None) else 1.0)
    return network.eval()


def pose_entry(name: str = "small-pose", size: tuple[int, int] = (64, 64), **changes: Any) -> Entry:
    entry = Entry(
        name=name,
        task="pose",
        variant="custom",
        file=Path(),
        sha256="",
        input_sizes=(size,),
        precision="float32",
        config=shallow_pose(),
        labels="coco-17",
        decode={"refine": "udp", "kernel": 11, "udp": True},
    )
    return replace(entry, **changes)


def mask_entry(name: str = "small-person", **changes: Any) -> Entry:
    entry = Entry(
        name=name,
        task="segmentation",
        variant="custom",
        file=Path(),
        sha256="",
        input_sizes=((64, 48), (48, 64)),
        precision="float32",
        config=shallow_person(),
        labels="person",
    )
    return replace(entry, **changes)


def class_entry(name: str = "small-pets", **changes: Any) -> Entry:
    entry = Entry(
        name=name,
        task="classification",
        variant="custom",
        file=Path(),
        sha256="",
        input_sizes=((64, 64),),
        precision="float32",
        config=NetworkConfig(shallow(), ClassificationHeadConfig(3)),
        labels="pets",
        classes=("bird", "cat", "dog"),
    )
    return replace(entry, **changes)


def people_entry(name: str = "small-people", **changes: Any) -> Entry:
    entry = Entry(
        name=name,
        task="people",
        variant="custom",
        file=Path(),
        sha256="",
        input_sizes=((64, 96), (96, 64)),
        precision="float32",
        config=shallow_people(),
        labels="person",
    )
    return replace(entry, **changes)


def saved(entry: Entry, directory: Path) -> Entry:
    """The entry with a seeded network in a file of the directory."""
    return save_entry(seeded(entry.config), replace(entry, file=directory / f"{entry.name}.safetensors"))


def write_pose_set(directory: Path, splits: Sequence[str] = ("train", "val"), people: int = 4) -> Path:
    """Pictures of 80 x 96 px with one person each, whose joints are dots, all in one place of the box."""
    (directory / "images").mkdir(parents=True)
    for split in splits:
        records: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
        for index in range(people):
            name = f"images/{split}_{index}.png"
            joints = dotted_picture(directory / name, seed=index)
            records["images"].append({"id": index, "file_name": name, "width": 80, "height": 96})
            records["annotations"].append(person(index, joints))
        (directory / f"{split}.json").write_text(json.dumps(records))
    return directory


def person(index: int, joints: Sequence[float], **changes: Any) -> dict[str, Any]:
    """An annotation as COCO writes it."""
    return {
        "id": 100 + index,
        "image_id": index,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [10, 8, 60, 80],
        "area": 2400.0,
        "keypoints": list(joints),
        "num_keypoints": 17,
        "label": "human" if index % 2 else "teacher+head",
        **changes,
    }


def dotted_picture(file: Path, seed: int) -> list[float]:
    """A picture with a dot in a colour of its own at each of 17 joints; the joints as COCO writes them."""
    random = np.random.default_rng(seed)
    pixels = np.full((96, 80, 3), 90, np.uint8)
    places = np.stack([random.integers(14, 66, 17), random.integers(12, 84, 17)], axis=1)
    for joint, (x, y) in enumerate(places):
        pixels[y - 2 : y + 3, x - 2 : x + 3] = (15 * joint, 255 - 15 * joint, 120)
    Image.fromarray(pixels).save(file)
    return [float(value) for x, y in places for value in (x, y, 2)]


def write_people_set(directory: Path, splits: Sequence[str] = ("train", "val"), pictures: int = 4) -> Path:
    """Pictures of 96 x 80 px with as many bright people as their number says, and a crowd in the last one."""
    (directory / "images").mkdir(parents=True)
    for split in splits:
        records: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
        for index in range(pictures):
            name, pixels = f"images/{split}_{index}.png", np.full((80, 96, 3), 40, np.uint8)
            for place in range(index):
                x, y, width, height = box = [4 + 30 * place, 10, 26, 60 - 5 * place]
                pixels[y : y + height, x : x + width] = 220
                crowd = int(index == pictures - 1 and place == index - 1)
                record = {"id": 10 * index + place, "image_id": index, "bbox": box, "iscrowd": crowd}
                records["annotations"].append({**record, "category_id": 1, "area": width * height})
            Image.fromarray(pixels).save(directory / name)
            records["images"].append({"id": index, "file_name": name, "width": 96, "height": 80})
        (directory / f"{split}.json").write_text(json.dumps(records))
    return directory


def write_mask_set(
    directory: Path,
    splits: Sequence[str] = ("train", "val"),
    pictures: int = 3,
    classes: Sequence[str] = PERSON_CLASSES,
) -> Path:
    """Pictures of 60 x 80 px with a bright person before a dark background; the last column has no label."""
    for folder in ("images", "masks"):
        (directory / folder).mkdir(parents=True)
    named = [{"index": index, "name": name} for index, name in enumerate(classes)]
    description = {"ignore_index": 255, "background_index": 0, "classes": named}
    (directory / "classes.json").write_text(json.dumps(description))
    for split in splits:
        names = [f"{split}_{index}" for index in range(pictures)]
        (directory / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for index, name in enumerate(names):
            mask = np.zeros((80, 60), np.uint8)
            mask[20 + index : 70, 15 : 45 - index] = 1
            Image.fromarray(np.where(mask, 220, 40).astype(np.uint8)).convert("RGB").save(
                directory / "images" / f"{name}.png"
            )
            mask[:, -1] = 255
            Image.fromarray(mask).save(directory / "masks" / f"{name}.png")
    return directory


def write_image_folder(
    directory: Path,
    splits: Sequence[str] = ("train", "val"),
    pictures: int = 2,
    classes: Sequence[str] = ("bird", "cat", "dog"),
) -> Path:
    """Pictures of 90 x 70 px, so many of each class, with stripes of the class's own direction and colour."""
    rows, columns = np.mgrid[:70, :90]
    for split in splits:
        for index, name in enumerate(classes):
            folder = directory / split / name
            folder.mkdir(parents=True)
            for number in range(pictures):
                angle = np.pi * index / len(classes)
                phase = np.cos(angle) * rows + np.sin(angle) * columns
                pixels = np.full((70, 90, 3), 40 * number, np.uint8)
                pixels[..., index % 3] = (127 + 120 * np.sin(phase / 4)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return directory
