"""Annotations as "CVAT for images 1.1"."""

from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from hrformer.engine.results import Box, Person
from hrformer.geometry.skeletons import JOINTS
from service.answers import PeopleResult, PoseResult, SegmentResult

_MADE = {"source": "auto", "occluded": "0", "z_order": "0"}


def pose_cvat(result: PoseResult) -> bytes:
    """A box and a skeleton for each person; joints that are not visible are marked as outside."""
    root, image = _document(result)
    for person in result.people:
        _add_person(image, person, result.options.keypoint_threshold)
    return _text(root)


def people_cvat(result: PeopleResult) -> bytes:
    """A box for each person."""
    root, image = _document(result)
    for person in result.people:
        _add_box(image, person.box)
    return _text(root)


def segment_cvat(result: SegmentResult) -> bytes:
    """A mask for each class that has pixels, the background left out."""
    root, image = _document(result)
    for index, (name, _) in enumerate(result.served.palette):
        mask = result.class_map == index
        if name != "background" and mask.any():
            ET.SubElement(image, "mask", {"label": name, **_MADE, **_mask_attributes(mask)})
    return _text(root)


def _document(result: PoseResult | PeopleResult | SegmentResult) -> tuple[ET.Element, ET.Element]:
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    size = {"width": str(result.width), "height": str(result.height)}
    return root, ET.SubElement(root, "image", {"id": "0", "name": "image", **size})


def _text(root: ET.Element) -> bytes:
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _add_person(image: ET.Element, person: Person, threshold: float) -> None:
    _add_box(image, person.box)
    skeleton = ET.SubElement(image, "skeleton", {"label": "person", "source": "auto", "z_order": "0"})
    for name, (px, py, score) in zip(JOINTS, person.keypoints.tolist(), strict=True):
        seen = {"outside": "0" if score >= threshold else "1", "occluded": "0", "source": "auto"}
        ET.SubElement(skeleton, "points", {"label": name, **seen, "points": f"{px:.2f},{py:.2f}"})


def _add_box(image: ET.Element, box: Box) -> None:
    x, y, width, height = box
    corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
    edges = {name: f"{value:.2f}" for name, value in corners.items()}
    ET.SubElement(image, "box", {"label": "person", **_MADE, **edges})


def _mask_attributes(mask: npt.NDArray[np.bool_]) -> dict[str, str]:
    """The mask's bounding box, and run lengths by rows within it, of zeros first."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pixels = mask[top:bottom, left:right].ravel()
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    runs = np.diff(changes, prepend=0, append=pixels.size)
    return {
        "rle": ", ".join(map(str, runs.tolist())),
        "left": str(left),
        "top": str(top),
        "width": str(right - left),
        "height": str(bottom - top),
    }
