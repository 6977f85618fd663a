"""Arrays to PNG and JPEG, read back by Pillow."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hrformer.geometry.palettes import CAMVID, PARSING
from hrformer.images.decode import decode
from hrformer.images.encode import encode_jpeg, encode_png, encode_png_palette
from tests.images.samples import photo

SIDES = st.integers(1, 40)


def read(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@settings(max_examples=80, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES), elements=st.integers(0, 10)))
def test_the_pixels_of_a_palette_png_are_the_class_indices(class_map: np.ndarray) -> None:
    image = read(encode_png_palette(class_map, CAMVID))

    assert (image.format, image.mode) == ("PNG", "P")
    assert (np.asarray(image) == class_map).all()


def test_the_colours_of_a_palette_png_are_those_of_the_palette() -> None:
    class_map = np.arange(10, dtype=np.uint8)[None, :]

    shown = np.asarray(read(encode_png_palette(class_map, PARSING)).convert("RGB"))

    assert shown[0].tolist() == [list(colour) for _, colour in PARSING]


@settings(max_examples=80, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(SIDES, SIDES, st.just(3))))
def test_an_rgb_png_comes_back_as_it_went(rgb: np.ndarray) -> None:
    assert (np.asarray(read(encode_png(rgb))) == rgb).all()


def test_a_picture_of_several_strips_comes_back_as_it_went() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (1200, 1500, 3), dtype=np.uint8)

    assert (np.asarray(read(encode_png(rgb))) == rgb).all()
    assert (decode(encode_png(rgb)).pixels == rgb).all()


def test_a_view_that_is_not_contiguous_can_be_written() -> None:
    mirrored = np.asarray(photo())[:, ::-1]

    assert (np.asarray(read(encode_png(mirrored))) == mirrored).all()
    assert read(encode_jpeg(mirrored)).size == (75, 58)


def test_a_photograph_takes_no_more_bytes_than_pillow_needs_at_its_fastest() -> None:
    target = BytesIO()
    photo(600, 400).save(target, "PNG", compress_level=1)

    assert len(encode_png(np.asarray(photo(600, 400)))) < 1.1 * len(target.getvalue())


def test_a_jpeg_looks_like_the_picture_and_better_at_higher_quality() -> None:
    rgb = np.asarray(photo(160, 120)).astype(int)

    errors = [np.abs(np.asarray(read(encode_jpeg(rgb.astype(np.uint8), q))) - rgb).mean() for q in (30, 90)]

    assert errors[1] < 4 < errors[0] < 12


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\)"):
        encode_png(array)
    with pytest.raises(ValueError, match=r"expected uint8 \(height, width, 3\)"):
        encode_jpeg(array)


def test_a_class_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="holds index 10, the palette 10 colours"):
        encode_png_palette(np.full((4, 4), 10, np.uint8), PARSING)


def test_a_class_map_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="int64"):
        encode_png_palette(np.zeros((4, 4), np.int64), PARSING)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_jpeg_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 100"):
        encode_jpeg(np.zeros((4, 4, 3), np.uint8), quality)
