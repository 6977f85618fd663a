"""Embedded colour profiles: they count for inks, and for nothing else."""

import numpy as np
import pytest
from PIL import Image

from hrformer.images.decode import decode
from tests.images import samples
from tests.images.samples import encoded, photo


def lab_to_rgb(lightness: float, a: float, b: float) -> np.ndarray:
    """sRGB of an L*a*b* colour under D50, by the formulas of CIE 15 and IEC 61966-2-1."""
    f = np.array([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200])
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) * [0.9642, 1.0, 0.8249]
    from_d50 = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(np.array(from_d50) @ xyz, 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_an_embedded_profile_decides_how_cmyk_looks(kind: str) -> None:
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    profile = samples.cmyk_profile(cyan=(60, 60, -30))

    pixels = decode(encoded(cyan, kind, icc_profile=profile)).pixels

    assert np.abs(pixels[16, 16] - lab_to_rgb(60, 60, -30)).max() <= 2  # a table of 8 bits


def test_a_profile_that_is_not_for_cmyk_is_passed_over() -> None:
    cyan = Image.new("CMYK", (32, 32), (255, 0, 0, 0))
    srgb = samples.ImageCms.ImageCmsProfile(samples.ImageCms.createProfile("sRGB")).tobytes()

    for profile in (srgb, samples.cmyk_profile((60, 60, -30))[:200], b"nonsense" * 40):
        assert (decode(encoded(cyan, "TIFF", icc_profile=profile)).pixels == [0, 255, 255]).all()


def test_a_profile_of_an_rgb_picture_is_ignored() -> None:
    wide_gamut = samples.ImageCms.ImageCmsProfile(samples.ImageCms.createProfile("XYZ")).tobytes()

    assert (decode(encoded(photo(), "PNG", icc_profile=wide_gamut)).pixels == np.asarray(photo())).all()
