"""Masks as palette PNG."""

from hrformer.images.encode import encode_png_palette
from service.answers import SegmentResult


def segment_png(result: SegmentResult) -> bytes:
    """The pixel's value is its class, the palette has the model's colours."""
    return encode_png_palette(result.class_map, result.served.palette)
