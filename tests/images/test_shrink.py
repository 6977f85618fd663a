"""JPEG decoded at a half, a quarter or an eighth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hrformer.images.decode import Picture, decode
from tests.images import samples
from tests.images.samples import encoded, photo

ORIENTATIONS = range(1, 9)


def ramp(width: int, height: int, axis: int) -> Image.Image:
    """Grey that grows by two a pixel, downwards or to the right."""
    return Image.fromarray(2 * np.indices((height, width), np.uint8)[axis])


def block_means(plane: np.ndarray, side: int) -> np.ndarray:
    """Means of the whole blocks of `side` by `side`."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane[: rows * side, : columns * side].reshape(rows, side, columns, side).mean(axis=(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(16, 127), st.integers(16, 127)),
    axis=st.sampled_from([0, 1]),
    orientation=st.sampled_from(ORIENTATIONS),
    shrink=st.sampled_from([2, 4, 8]),
)
def test_pixels_lie_where_shrink_says(
    sides: tuple[int, int], axis: int, orientation: int, shrink: int
) -> None:
    data = encoded(ramp(*sides, axis), "JPEG", quality=100, exif=samples.with_orientation(orientation))
    whole, small = decode(data).pixels[:, :, 0], decode(data, shrink=shrink)

    expected = block_means(whole, small.shrink)
    error = small.pixels[: expected.shape[0], : expected.shape[1], 0] - expected

    # A pixel of the full picture to either side would be an error of two.
    assert abs(error.mean()) < 0.6


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_full_size_is_kept_beside_the_pixels(orientation: int) -> None:
    data = encoded(photo(160, 96), "JPEG", exif=samples.with_orientation(orientation))

    picture = decode(data, shrink=8)

    assert (picture.width, picture.height) == ((160, 96) if orientation < 5 else (96, 160))
    assert picture.pixels.shape == (picture.height // 8, picture.width // 8, 3)
    assert picture.shrink == 8


def test_a_mirrored_side_that_is_no_multiple_is_reduced_less() -> None:
    def shrink_of(orientation: int) -> int:
        exif = samples.with_orientation(orientation)
        return decode(encoded(photo(164, 97), "JPEG", exif=exif), shrink=8).shrink

    # The width of 164 is a multiple of 4, the height of 97 of nothing; which of them is mirrored decides.
    assert [shrink_of(orientation) for orientation in ORIENTATIONS] == [8, 4, 1, 1, 8, 1, 1, 4]


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_shrunk_photograph_looks_like_the_averaged_one(shrink: int) -> None:
    data = encoded(photo(256, 192), "JPEG", quality=95, subsampling=0)

    pixels = decode(data, shrink=shrink).pixels

    averaged = Image.fromarray(decode(data).pixels).reduce(shrink)
    assert np.abs(pixels.astype(int) - np.asarray(averaged)).mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_come_at_full_size(kind: str) -> None:
    picture = decode(encoded(photo(64, 48), kind), shrink=8)

    assert (picture.shrink, picture.pixels.shape) == (1, (48, 64, 3))


def test_inks_can_be_shrunk() -> None:
    picture = decode(encoded(photo(64, 48).convert("CMYK"), "JPEG"), shrink=4)

    assert picture.pixels.shape == (12, 16, 3)


def test_pixels_of_another_size_count_as_full() -> None:
    assert Picture(np.zeros((48, 64, 3), np.uint8), 64, 48).shrink == 1
