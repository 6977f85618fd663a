"""Pictures already open in Pillow, in each of its modes."""

import numpy as np
import pytest
from PIL import Image

from hrformer.images.colour import rgb_pixels
from tests.images import samples
from tests.images.samples import grey, photo, see_through

RGB = np.asarray(photo())
WHITE = Image.new("RGBA", photo().size, "white")


def over_white(image: Image.Image) -> np.ndarray:
    """By Pillow's own compositing, which rounds in another place."""
    return np.asarray(Image.alpha_composite(WHITE, image.convert("RGBA")).convert("RGB"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV", "CMYK"])
def test_an_opaque_picture_looks_as_pillow_shows_it(mode: str) -> None:
    image = photo().convert(mode)

    assert (rgb_pixels(image) == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_a_transparent_picture_lies_over_white(mode: str) -> None:
    straight = {"RGBa": "RGBA", "La": "LA"}.get(mode, mode)
    image = see_through().convert(straight)

    assert np.abs(rgb_pixels(image.convert(mode)) - over_white(image).astype(int)).max() <= 2


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 256, 16))])
def test_the_clear_colours_of_a_palette_lie_over_white(transparency: int | bytes) -> None:
    image = photo().quantize(16)
    image.info["transparency"] = transparency

    assert np.abs(rgb_pixels(image) - over_white(image).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_of_16_bits_the_high_byte_is_kept(mode: str) -> None:
    values = np.asarray(grey()).astype(np.uint16) * 256 + 255
    image = Image.frombytes(mode, grey().size, values.astype(">u2" if mode == "I;16B" else "<u2").tobytes())

    assert (rgb_pixels(image) == np.asarray(grey())[:, :, None]).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_without_a_range_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="expected 8 or 16 bits"):
        rgb_pixels(grey().convert(mode))


def test_the_profile_an_image_carries_is_used() -> None:
    cyan = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    cyan.info["icc_profile"] = samples.cmyk_profile((60, 60, -30))

    assert (rgb_pixels(cyan) != [0, 255, 255]).any()


def test_strips_meet_without_a_seam() -> None:
    tall = Image.linear_gradient("L").resize((1500, 2100)).convert("RGB")

    assert (rgb_pixels(tall) == np.asarray(tall)).all()
