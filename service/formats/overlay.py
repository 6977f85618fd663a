"""The picture with the result drawn over it, as PNG."""

from hrformer.images.draw import draw_boxes, draw_mask, draw_people
from hrformer.images.encode import encode_png
from service.answers import PeopleResult, PoseResult, SegmentResult


def pose_overlay(result: PoseResult) -> bytes:
    """Boxes and skeletons over the picture."""
    assert result.pixels is not None
    return encode_png(draw_people(result.pixels, result.people, result.options.keypoint_threshold))


def people_overlay(result: PeopleResult) -> bytes:
    """Boxes and their scores over the picture."""
    assert result.pixels is not None
    return encode_png(draw_boxes(result.pixels, result.people))


def segment_overlay(result: SegmentResult) -> bytes:
    """Classes tinted over the picture."""
    assert result.pixels is not None
    return encode_png(draw_mask(result.pixels, result.class_map, result.served.palette))
