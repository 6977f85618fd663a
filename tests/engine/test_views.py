"""Masks from several views of a picture."""

from typing import Any

import numpy as np
import pytest
import torch

from hrformer.engine.predictor import Predictor
from hrformer.engine.segmentation import SegmentationEngine, scaled
from hrformer.engine.views import Views, class_maps
from hrformer.images.decode import Picture, decode
from tests.engine.stand_ins import colour_predictor, red_left_of
from tests.material import ASTRONAUT, mask_entry, seeded, shallow_person


@pytest.fixture(scope="module")
def photo() -> Picture:
    return decode(ASTRONAUT.read_bytes(), shrink=4)


@pytest.fixture(scope="module")
def engine(photo: Picture) -> SegmentationEngine:
    """A network that calls half of the photograph a person, here and there."""
    network = seeded(shallow_person())
    engine = SegmentationEngine(network, mask_entry(), device="cpu")
    logits = engine.run(engine.prepare(photo).pixels[None])[0]
    with torch.no_grad():
        network.head.classify.bias[1] -= (logits[1] - logits[0]).median()
    return SegmentationEngine(network, mask_entry(), device="cpu")


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("scales", [(1.0,), (0.75, 1.0, 1.25), (2.0, 0.5), (1.3,)])
@pytest.mark.parametrize(("width", "height"), [(64, 96), (150, 100), (97, 33)])
def test_what_lies_in_a_place_is_found_there_in_every_view(
    width: int, height: int, scales: tuple[float, ...], flip_test: bool
) -> None:
    edge_px = 0.4 * width
    picture = red_left_of(edge_px, width, height)
    mask = colour_predictor().segment(picture, flip_test=flip_test, scales=scales)

    assert mask.shape == (height, width)
    # A pixel of the smallest canvas shows up to five of the picture, one of its logits up to twenty.
    assert (mask != 0).argmax(axis=1) == pytest.approx(edge_px, abs=0.02 * width + 1)


def test_a_view_alone_is_the_usual_answer(engine: SegmentationEngine, photo: Picture) -> None:
    canvas = engine.prepare(photo)
    (mask,) = class_maps(engine, [photo])

    assert torch.equal(mask, engine.finish(engine.run(canvas.pixels[None])[0], canvas))
    assert 0.3 < mask.float().mean() < 0.7


def test_a_picture_and_its_mirror_image_have_mirrored_masks_by_the_flip_test(
    engine: SegmentationEngine, photo: Picture
) -> None:
    """The canvases are mirror images too, and the mean of two does not depend on their order."""
    picture = photo.pixels[:, :96]
    pair = [picture, np.ascontiguousarray(picture[:, ::-1])]
    mask, mirrored = Predictor(engine).segment(list(pair), flip_test=True)
    plain, other = Predictor(engine).segment(list(pair))

    # Not to the pixel: the points that a canvas shows are rounded in float32, so are its bytes.
    assert (mask != mirrored[:, ::-1]).mean() < 0.01
    assert (plain != other[:, ::-1]).mean() > 0.05


def test_the_order_of_the_scales_does_not_matter(engine: SegmentationEngine, photo: Picture) -> None:
    masks = [
        Predictor(engine).segment(photo.pixels, scales=scales) for scales in [(0.5, 1, 1.5), (1.5, 0.5, 1)]
    ]

    assert (masks[0] != masks[1]).mean() < 0.001  # where two classes are as likely


def test_pictures_of_several_sizes_are_answered_in_their_order(
    engine: SegmentationEngine, photo: Picture
) -> None:
    pictures = [photo.pixels[: 70 + 30 * (i % 2), 5 * i : 5 * i + 80].copy() for i in range(5)]
    together = Predictor(engine).segment(list(pictures), flip_test=True, scales=(1, 1.5))
    alone = [Predictor(engine).segment(one, flip_test=True, scales=(1, 1.5)) for one in pictures]

    assert [(one != other).mean() < 0.001 for one, other in zip(together, alone, strict=True)] == [True] * 5


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((64, 48), 1.0, (64, 48)),
        ((256, 192), 0.75, (192, 160)),  # 144 lies in the middle: up
        ((256, 192), 1.25, (320, 256)),
        ((64, 48), 0.25, (32, 32)),
    ],
)
def test_other_scales_are_multiples_of_32(
    size: tuple[int, int], scale: float, expected: tuple[int, int]
) -> None:
    assert scaled(size, scale) == expected


def test_a_picture_is_decoded_finely_enough_for_its_scale() -> None:
    engine = colour_predictor().engine
    assert isinstance(engine, SegmentationEngine)

    assert [engine.shrink(512, 768, scale) for scale in (0.5, 1, 2, 4)] == [8, 8, 4, 2]


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "scales are none; expected numbers from 0.25 to 4"),
        ((1.0, 0.0), "scales are 1, 0; expected"),
        ((float("nan"),), "scales are nan; expected"),
        ((5.0,), "scales are 5; expected"),
    ],
)
def test_a_scale_out_of_range_is_refused(scales: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Views(scales=scales)


@pytest.mark.parametrize("changes", [{"scales": (0.5, 1.0)}, {"scales": (1.0, 1.5)}, {"flip_test": True}])
def test_a_further_view_changes_the_answer(
    engine: SegmentationEngine, photo: Picture, changes: dict[str, Any]
) -> None:
    plain, more = (Predictor(engine).segment(photo.pixels, **options) for options in ({}, changes))

    assert 0.01 < (plain != more).mean() < 0.6
