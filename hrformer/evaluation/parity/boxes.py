"""Boxes to crops: centres, extents, matrices, points, warped pictures."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.compare import Arrays, compare, holds, matching, size_of, tensor
from hrformer.geometry.boxes import centre_scale
from hrformer.geometry.crop import crop_matrices, invert, to_image, transform, warp

PIXEL_STD = 200  # the stored scales are extents in image pixels divided by it
# The stored matrices were solved from points in float32: part of a pixel is theirs, more outside the crop.
BOX_PX, MATRIX_PX, POINT_PX = 0.01, 0.005, 0.05
GREY_LEVELS = 0.5  # mean; the published crops are interpolated with weights in steps of 1/32


def box_checks(arrays: Arrays) -> Iterator[Check]:
    """`box.*` and `mm1.box.*`."""
    if not holds(arrays, "box.image_size"):
        return
    size = size_of(arrays, "box.image_size")
    if holds(arrays, "box.xywh"):
        centre, extent = centre_scale(tensor(arrays, "box.xywh"), size)
        yield from compare(arrays, "box.center", centre, BOX_PX)
        yield from compare(arrays, "box.scale", extent / PIXEL_STD, BOX_PX / PIXEL_STD)
        yield from compare(arrays, "mm1.box.center", centre, BOX_PX)
        yield from compare(arrays, "mm1.box.scale", extent, BOX_PX)
    if holds(arrays, "box.center", "box.scale", "box.rotation"):
        centre, extent = (
            tensor(arrays, "box.center").double(),
            tensor(arrays, "box.scale").double() * PIXEL_STD,
        )
        for udp in (False, True):
            matrices = crop_matrices(centre, extent, tensor(arrays, "box.rotation"), size, udp=udp)
            yield from _matrix_checks(arrays, matrices, size, "_udp" if udp else "")
            yield from _point_checks(arrays, matrices, "_udp" if udp else "")


def crop_checks(arrays: Arrays) -> Iterator[Check]:
    """`crop.*`: the error is the mean difference in grey levels."""
    if not holds(arrays, "crop.image", "crop.center", "crop.scale"):
        return
    image = tensor(arrays, "crop.image").permute(2, 0, 1)[None].float()
    centre = tensor(arrays, "crop.center").reshape(1, 2)
    extent = tensor(arrays, "crop.scale").reshape(1, 2) * PIXEL_STD
    for name, match in matching(arrays, r"crop\.(?:plain|udp|rot(\d+))"):
        expected = arrays[name]
        size = (expected.shape[0], expected.shape[1])
        rotation = torch.tensor([float(match[1] or 0)])
        crop = warp(image, crop_matrices(centre, extent, rotation, size, udp=name == "crop.udp"), size)
        difference = crop[0].permute(1, 2, 0).round().numpy() - expected.astype(np.float32)
        yield Check(name, float(np.abs(difference).mean()), GREY_LEVELS)


def _matrix_checks(arrays: Arrays, matrices: Tensor, size: tuple[int, int], suffix: str) -> Iterator[Check]:
    """The stored matrices, by how far they take the crop's corners from where ours do, in pixels."""
    height, width = size
    corners = matrices.new_tensor([[0, 0], [width, 0], [0, height], [width, height]])
    corners = corners.expand(len(matrices), -1, -1)
    in_image = to_image(corners, matrices)
    for name in (f"box.matrix{suffix}", f"mm1.box.matrix{suffix}"):
        if name in arrays:
            moved = transform(in_image, tensor(arrays, name).double())
            yield Check(name, float((moved - corners).abs().max()), MATRIX_PX)
    name = f"box.matrix{suffix}_inverse"
    if name in arrays:
        moved = transform(corners, tensor(arrays, name).double())
        yield Check(name, float((moved - transform(corners, invert(matrices))).abs().max()), MATRIX_PX)


def _point_checks(arrays: Arrays, matrices: Tensor, suffix: str) -> Iterator[Check]:
    name = f"box.points_out{suffix}"
    if not holds(arrays, "box.points", name):
        return
    points = tensor(arrays, "box.points").double().expand(len(matrices), -1, -1)
    yield from compare(arrays, name, transform(points, matrices), POINT_PX)
    back = to_image(tensor(arrays, name).double(), matrices)
    yield Check(f"{name}, and back", float((back - points).abs().max()), POINT_PX)
