"""OKS against labels, and average precision by pycocotools."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.compare import Array, Arrays, compare, holds, matching, tensor
from hrformer.geometry.similarity import coco_oks

TRUTHS = tuple(
    f"coco.gt_{what}" for what in ("keypoints", "bbox", "area", "image_id", "iscrowd", "num_keypoints")
)
DETECTIONS = tuple(f"coco.dt_{what}" for what in ("keypoints", "score", "image_id"))
MOST_PEOPLE = 20  # detections of an image that COCO's keypoint evaluation looks at


def coco_checks(arrays: Arrays) -> Iterator[Check]:
    """`coco.*`: the OKS matrices of single images, and the ten figures of the evaluation."""
    if not holds(arrays, *TRUTHS, *DETECTIONS):
        return
    for name, match in matching(arrays, r"coco\.oks_image(\d+)"):
        yield from compare(arrays, name, _image_oks(arrays, int(match[1])), 1e-6)
    names = [name for name in ("coco.stats", "coco.stats_pycocotools") if name in arrays]
    if names:
        figures = _figures(arrays)
        for name in names:
            yield from compare(arrays, name, figures, 1e-6)


def _image_oks(arrays: Arrays, image: int) -> Array:
    """Detections of an image, best first, against its labels."""
    (found,) = np.nonzero(arrays["coco.dt_image_id"] == image)
    found = found[np.argsort(-arrays["coco.dt_score"][found], kind="stable")][:MOST_PEOPLE]
    (labelled,) = np.nonzero(arrays["coco.gt_image_id"] == image)
    truths = tensor(arrays, "coco.gt_keypoints")[labelled].reshape(len(labelled), -1, 3)
    keypoints = tensor(arrays, "coco.dt_keypoints")[found].reshape(len(found), -1, 3)
    areas, boxes = tensor(arrays, "coco.gt_area")[labelled], tensor(arrays, "coco.gt_bbox")[labelled]
    return np.asarray(coco_oks(keypoints, truths, areas, boxes))


def _figures(arrays: Arrays) -> Array:
    """AP, AP50, AP75, AP medium, AP large, then the same of AR."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress there
        truths = COCO()
        truths.dataset = _dataset(arrays)
        truths.createIndex()
        evaluation = COCOeval(truths, truths.loadRes(_results(arrays)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.asarray(evaluation.stats)


def _dataset(arrays: Arrays) -> dict[str, Any]:
    images = sorted({*arrays["coco.gt_image_id"].tolist(), *arrays["coco.dt_image_id"].tolist()})
    columns = [arrays[name].tolist() for name in TRUTHS]
    keys = [name.removeprefix("coco.gt_") for name in TRUTHS]
    annotations = [
        {"id": number, "category_id": 1, **dict(zip(keys, row, strict=True))}
        for number, row in enumerate(zip(*columns, strict=True), start=1)
    ]
    return {
        "info": {},
        "images": [{"id": image} for image in images],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": annotations,
    }


def _results(arrays: Arrays) -> list[dict[str, Any]]:
    columns = [arrays[name].tolist() for name in DETECTIONS]
    keys = [name.removeprefix("coco.dt_") for name in DETECTIONS]
    return [{"category_id": 1, **dict(zip(keys, row, strict=True))} for row in zip(*columns, strict=True)]
