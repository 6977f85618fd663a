"""Heatmaps to keypoints, and mirrored passes."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.boxes import PIXEL_STD
from hrformer.evaluation.parity.compare import Array, Arrays, compare, holds, matching, tensor, unknown
from hrformer.geometry.keypoints import (
    Refine,
    Rules,
    decode_heatmaps,
    flip_back,
    flip_joints,
    heatmap_to_crop,
    merge_flipped,
    mirrored_order,
)

STRIDE = 4  # input pixels per heatmap pixel of every network of this family
REFINEMENTS: dict[str, tuple[Refine, Rules]] = {
    "decode.none": ("none", "hrformer"),
    "decode.default": ("shift", "hrformer"),
    "decode.unbiased_dark": ("dark", "hrformer"),
    "decode.megvii": ("megvii", "hrformer"),
    "decode.udp": ("udp", "hrformer"),
    "mm1.decode.msra": ("shift", "mmpose"),
    "mm1.decode.msra_dark": ("dark", "mmpose"),
    "mm1.decode.udp": ("udp", "mmpose"),
}
SCORE, KEPT_PX, REFINED_PX = 1e-6, 1e-3, 0.01  # heatmap pixels; a Newton step in float32 loses a few digits
DECODED = r"((?:mm1\.)?decode)(_map)?\.(\w+?)(?:_k(\d+))?\.(keypoints(?:_input|_image)?|scores)"


def decode_checks(arrays: Arrays) -> Iterator[Check]:
    """`decode.*`, `decode_map.*`, `mm1.decode.*`: keypoints by their difference in heatmap pixels."""
    if not holds(arrays, "decode.heatmaps"):
        return
    heatmaps = tensor(arrays, "decode.heatmaps")
    peaks = decode_heatmaps(heatmaps, "none")
    yield from compare(arrays, "decode.argmax", peaks[..., :2], 0)
    yield from compare(arrays, "decode.maxvals", peaks[..., 2:], 0)
    for name, match in matching(arrays, DECODED):
        origin, in_map, method, kernel, what = match.groups()
        if f"{origin}.{method}" not in REFINEMENTS:
            yield unknown(name)
            continue
        refine, rules = REFINEMENTS[f"{origin}.{method}"]
        keypoints = decode_heatmaps(heatmaps, refine, int(kernel or 11), rules=rules)
        if what == "scores":
            yield from compare(arrays, name, keypoints[..., 2].reshape(arrays[name].shape), SCORE)
        else:
            space = "map" if in_map else what
            yield from _keypoint_check(arrays, name, keypoints[..., :2], space, refine)


def flip_checks(arrays: Arrays) -> Iterator[Check]:
    """`flip.*`."""
    if not holds(arrays, "flip.pairs"):
        return
    pairs = [(int(left), int(right)) for left, right in arrays["flip.pairs"]]
    if holds(arrays, "flip.heatmaps", "flip.heatmaps_of_flipped"):
        maps, flipped = tensor(arrays, "flip.heatmaps"), tensor(arrays, "flip.heatmaps_of_flipped")
        for shift, suffix in ((False, ""), (True, "_shifted")):
            yield from compare(arrays, f"flip.back{suffix}", flip_back(flipped, pairs, shift=shift), 1e-6)
            merged = merge_flipped(maps, flipped, pairs, shift)
            yield from compare(arrays, f"flip.merged{suffix}", merged, 1e-6)
    if holds(arrays, "flip.joints", "flip.joints_visible", "flip.joints_width"):
        joints, visible = tensor(arrays, "flip.joints"), tensor(arrays, "flip.joints_visible")
        seen = visible[mirrored_order(len(joints), pairs)]
        mirrored = flip_joints(joints, int(arrays["flip.joints_width"]), pairs) * seen
        yield from compare(arrays, "flip.joints_out", mirrored, 1e-6)
        yield from compare(arrays, "flip.joints_visible_out", seen, 0)


def _keypoint_check(
    arrays: Arrays, name: str, keypoints: Tensor, space: str, refine: Refine
) -> Iterator[Check]:
    """space: "map" for heatmap pixels, "keypoints_input" for the network's, else image pixels."""
    udp = refine == "udp"
    size = arrays["decode.heatmaps"].shape[2:]
    tolerance = KEPT_PX if refine in {"none", "shift"} else REFINED_PX
    rows = _usable(arrays) if udp else None
    if space == "map":
        ours, unit = keypoints, torch.ones(1)
    elif space == "keypoints_input":
        ours, unit = _in_input(keypoints, size, udp), torch.tensor(STRIDE)
    elif holds(arrays, "decode.center", "decode.scale"):
        extent = tensor(arrays, "decode.scale")[:, None] * PIXEL_STD
        unit = extent / (torch.tensor([size[1], size[0]]) - int(udp))
        ours = keypoints * unit + tensor(arrays, "decode.center")[:, None] - extent / 2
    else:
        return
    yield from compare(arrays, name, ours, tolerance, rows=rows, per=unit)


def _in_input(keypoints: Tensor, size: tuple[int, ...], udp: bool) -> Tensor:
    heatmap_size, crop_size = (size[0], size[1]), (size[0] * STRIDE, size[1] * STRIDE)
    ours = heatmap_to_crop(keypoints, heatmap_size, crop_size, udp=udp)
    if not udp:
        return ours
    # mmpose multiplies by the input's size though its crop has size - 1 pixel steps; in the image it agrees.
    inputs = torch.tensor([crop_size[1], crop_size[0]])
    return ours * inputs / (inputs - 1)


def _usable(arrays: Arrays) -> Array:
    """The maps whose UDP keypoint is not arbitrary in the published code."""
    if "decode.usable_udp" in arrays:
        return arrays["decode.usable_udp"]
    return np.asarray(arrays["decode.heatmaps"].max(axis=(2, 3)) > 0)
