import numpy as np
import torch
from hypothesis import given
from pycocotools import mask as coco_mask
from torch import Tensor

from hrformer.geometry.boxes import centre_scale, clip_boxes, iou, xywh_to_xyxy, xyxy_to_xywh
from tests.strategies import boxes, quick, sizes


@quick
@given(boxes())
def test_boxes_come_back_from_corners(given_boxes: Tensor) -> None:
    torch.testing.assert_close(xyxy_to_xywh(xywh_to_xyxy(given_boxes)), given_boxes)


@quick
@given(boxes())
def test_clipped_boxes_lie_in_the_image(given_boxes: Tensor) -> None:
    left, top, right, bottom = xywh_to_xyxy(torch.tensor(clip_boxes(given_boxes.tolist(), 640, 480))).unbind(
        -1
    )

    assert ((left >= 0) & (top >= 0) & (right <= 640 + 1e-4) & (bottom <= 480 + 1e-4)).all()


def test_a_box_outside_keeps_no_area() -> None:
    [(_, _, wide, high)] = clip_boxes([(700.0, 10.0, 60.0, 60.0)], 640, 480)

    assert wide * high == 0


@quick
@given(boxes(3), boxes(4))
def test_overlap_is_that_of_pycocotools(found: Tensor, labelled: Tensor) -> None:
    expected = coco_mask.iou(found.numpy(), labelled.numpy(), [0] * len(labelled))

    np.testing.assert_allclose(iou(xywh_to_xyxy(found), xywh_to_xyxy(labelled)), expected, atol=1e-9)


def test_empty_boxes_do_not_overlap() -> None:
    empty = torch.zeros(1, 4)

    assert iou(empty, empty).item() == 0


@quick
@given(boxes(), sizes(32, 512))
def test_the_extent_holds_the_padded_box_at_the_crops_aspect_ratio(
    given_boxes: Tensor, size: tuple[int, int]
) -> None:
    _, extent = centre_scale(given_boxes, size, padding=1.5)

    torch.testing.assert_close(extent[:, 0] * size[0], extent[:, 1] * size[1])
    assert (extent >= given_boxes[:, 2:] * 1.5 - 1e-9).all()


def test_the_narrower_side_grows() -> None:
    centre, extent = centre_scale(torch.tensor([[10.0, 20, 30, 80]]), (256, 192), padding=1.25)

    torch.testing.assert_close((centre, extent), (torch.tensor([[25.0, 60]]), torch.tensor([[75.0, 100]])))
