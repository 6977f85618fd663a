"""A picture letterboxed into a canvas, and its class map at the picture's own size."""

import io

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from hrformer.engine.letterbox import MAX_CANVASES
from hrformer.engine.predictor import Predictor
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.images.decode import Picture, decode
from hrformer.modeling.variants import segmentation
from tests.engine.stand_ins import colour_predictor, random_picture, red_left_of
from tests.material import ASTRONAUT, mask_entry, seeded, shallow, shallow_person
from tests.strategies import quick

RED, BLUE = 0, 2


@pytest.fixture(scope="module")
def engine() -> SegmentationEngine:
    return SegmentationEngine(seeded(shallow_person()), mask_entry(), device="cpu")


def edges(class_map: np.ndarray) -> np.ndarray:
    """Where red turns to blue in each row, px."""
    assert set(np.unique(class_map)) <= {RED, BLUE}
    assert (np.diff(class_map.astype(int), axis=1) >= 0).all()
    return (class_map == RED).sum(axis=1) - 0.5


@quick
@given(st.integers(40, 500), st.integers(40, 500), st.floats(0.3, 0.7))
def test_an_edge_comes_back_to_its_place(width: int, height: int, share: float) -> None:
    edge_px, predictor = share * width, colour_predictor()
    size = predictor.engine.size_for(width, height)
    pixel = max(height / size[0], width / size[1])  # of the canvas, in pixels of the picture
    assume(width / pixel >= 16)  # narrower, the picture is a column or two of the network's map
    class_map = predictor.segment(red_left_of(edge_px, width, height))

    assert class_map.shape == (height, width)
    # Colours come in steps of 1/255 over at least half the width: one step is up to width / 255 px. A picture
    # larger than its canvas is seen no sharper than the canvas's pixels are.
    np.testing.assert_allclose(edges(class_map), edge_px, atol=0.5 * max(1.0, pixel) + width / 127)


@pytest.mark.parametrize(("width", "height"), [(200, 120), (120, 200), (300, 300), (17, 33), (90, 16)])
def test_a_mask_stands_upright(width: int, height: int) -> None:
    sideways = red_left_of(height / 2, height, width).transpose(1, 0, 2)
    class_map = colour_predictor().segment(np.ascontiguousarray(sideways))

    assert class_map.shape == (height, width)
    np.testing.assert_allclose(edges(class_map.T), height / 2, atol=1.5 + height / 127)


@pytest.mark.parametrize("side_px", [1600, 1500, 1507])
def test_an_edge_comes_back_from_a_picture_decoded_small(side_px: int) -> None:
    file = io.BytesIO()
    Image.fromarray(red_left_of(0.4 * side_px, side_px, side_px)).save(file, "JPEG", quality=95)
    engine = colour_predictor().engine
    shrink = engine.shrink(side_px, side_px)
    class_map = Predictor(engine).segment(file.getvalue())

    assert shrink == 8
    assert class_map.shape == (side_px, side_px)
    np.testing.assert_allclose(edges(class_map)[8:-8], 0.4 * side_px, atol=1.5 + side_px / 127)


def test_a_picture_decoded_small_gives_the_canvas_of_the_whole_one(engine: SegmentationEngine) -> None:
    data = ASTRONAUT.read_bytes()
    small = engine.prepare(decode(data, shrink=engine.shrink(512, 512)))
    whole = engine.prepare(decode(data))

    assert engine.shrink(512, 512) == 8
    torch.testing.assert_close(small.matrix, whole.matrix, rtol=1e-4, atol=1e-2)
    assert (small.pixels.float() - whole.pixels.float()).abs().mean() < 2.5  # grey levels


def test_a_picture_stands_in_the_middle_of_its_canvas(engine: SegmentationEngine) -> None:
    canvas = engine.prepare(Picture(np.full((50, 200, 3), 255, np.uint8), width=200, height=50))
    bright = canvas.pixels[0] > 127

    assert bright.shape == (48, 64)
    rows = bright[:, 32].nonzero().flatten()
    assert (rows[0] + rows[-1]) / 2 == 23.5
    assert len(rows) == 16  # 64 * 50 / 200
    assert bright[24].all()


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (300, 400, (96, 64)),
        (400, 300, (64, 96)),
        (64, 96, (96, 64)),
        (100, 100, (64, 96)),
        (9, 100, (96, 64)),
    ],
)
def test_a_picture_is_run_at_the_size_that_shows_it_the_largest(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    engine = colour_predictor(((64, 96), (96, 64))).engine
    assert isinstance(engine, SegmentationEngine)

    assert engine.size_for(width, height) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(64, 96, 1), (127, 100, 1), (128, 192, 2), (300, 300, 4), (9000, 20, 8)]
)
def test_a_picture_is_decoded_no_smaller_than_its_canvas_needs(
    width: int, height: int, expected: int
) -> None:
    assert colour_predictor().engine.shrink(width, height) == expected


def test_a_mask_does_not_depend_on_the_pictures_beside_it(engine: SegmentationEngine) -> None:
    count = MAX_CANVASES + 3  # more than one run, in two sizes
    pictures = [
        random_picture(60 + 5 * i, 90, seed=i) if i % 3 else random_picture(120, 50 + i, i)
        for i in range(count)
    ]
    alone = [Predictor(engine).segment(picture) for picture in pictures]
    together = Predictor(engine).segment(list(pictures))

    for one, other in zip(alone, together, strict=True):
        assert (one != other).mean() < 0.001  # where two classes are as likely


def test_logits_are_of_a_quarter_of_the_canvas(engine: SegmentationEngine) -> None:
    canvases = torch.from_numpy(random_picture(48, 64)).permute(2, 0, 1)[None]

    assert engine(canvases).shape == (1, 2, 16, 12)
    torch.testing.assert_close(engine(canvases.float() / 255), engine(canvases))


def test_warming_up_runs_every_size(engine: SegmentationEngine) -> None:
    engine.warm()


def test_a_background_that_is_not_there_cannot_be_put_last() -> None:
    entry = mask_entry(labels="camvid", config=segmentation(shallow(), 11), decode={"figure_from": 0.5})

    with pytest.raises(ValueError, match="has no class 'background'"):
        SegmentationEngine(seeded(entry.config), entry, device="cpu")


@pytest.mark.parametrize("decode", [{"figure_last": True}, {"figure_from": True}, {"figure_from": 1.0}])
def test_an_unknown_way_to_read_logits_is_refused(decode: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="decode option"):
        SegmentationEngine(seeded(shallow_person()), mask_entry(decode=decode), device="cpu")


def test_a_canvas_is_read_figure_first_where_the_manifest_says_so() -> None:
    classes = segmentation(shallow(), 10)
    apart = SegmentationEngine(seeded(classes), mask_entry(labels="parsing", config=classes), device="cpu")
    entry = mask_entry(labels="parsing", config=classes, decode={"figure_from": 0.5})
    together = SegmentationEngine(seeded(classes), entry, device="cpu")
    canvas = apart.prepare(Picture(random_picture(48, 64), 48, 64))
    logits = torch.full((10, 16, 12), 1.0)
    logits[0] = 2.0  # the likeliest class, and less likely than the nine others together

    assert apart.finish(logits, canvas).unique().tolist() == [0]
    assert together.finish(logits, canvas).unique().tolist() == [1]
