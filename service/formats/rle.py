"""COCO run lengths of each class."""

import numpy as np
import orjson
import torch

from hrformer.geometry.masks import run_lengths
from service.answers import ClassAnswer, SegmentResult


def segment_rle(result: SegmentResult) -> bytes:
    """A JSON list: for each class that has pixels its index, name, size and counts."""
    return orjson.dumps(
        [
            {"index": one["index"], "name": one["name"], **one["run_lengths"]}
            for one in present_classes(result)
        ]
    )


def present_classes(result: SegmentResult) -> list[ClassAnswer]:
    """Area in pixels and run lengths of each class that has pixels."""
    areas = np.bincount(result.class_map.ravel(), minlength=len(result.served.palette))
    class_map = torch.from_numpy(result.class_map)
    return [
        {
            "index": index,
            "name": name,
            "area": int(areas[index]),
            "run_lengths": run_lengths(class_map == index),  # type: ignore[typeddict-item]
        }
        for index, (name, _) in enumerate(result.served.palette)
        if areas[index]
    ]
