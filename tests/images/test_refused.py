"""What is no picture, or none that is read."""

import zipfile
from io import BytesIO

import pytest

from hrformer.images.decode import FORMATS, Limits, decode
from hrformer.images.errors import ImageError, NotAnImage, UnsupportedFormat
from tests.images import samples
from tests.images.samples import encoded, photo


def archive() -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("photo.jpg", encoded(photo(), "JPEG"))
    return target.getvalue()


KNOWN = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "SVG after a prologue": b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a drawing -->\n<svg width="64"/>',
    "PDF": b"%PDF-1.7\n1 0 obj\n",
    "PDF after a line of rubbish": b"\r\n%PDF-1.4\n",
    "PSD": b"8BPS\0\1" + b"\0" * 40,
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "Windows executable": b"MZ\x90\0\3\0\0\0" + b"\0" * 60,
    "Linux executable": b"\x7fELF\2\1\1" + b"\0" * 20,
    "ZIP": archive(),
    "gzip": b"\x1f\x8b\x08\0" + b"\0" * 20,
    "video": b"\0\0\0\x18ftypmp42" + b"\0\0\0\0mp42isom",
    "JPEG 2000": encoded(photo(), "JPEG2000"),
    "icon": encoded(photo(32, 32), "ICO"),
    "PPM": encoded(photo(), "PPM"),
    "QOI": b"qoif" + b"\0" * 30,
    "AVIF, where the limits do not name it": encoded(photo(), "AVIF", speed=10),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40,
    "12-bit JPEG": encoded(photo(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
    "lossless JPEG": encoded(photo(), "JPEG").replace(b"\xff\xc0\0\x11", b"\xff\xc3\0\x11"),
    "Apple's PNG": b"\x89PNG\r\n\x1a\n" + samples.chunk(b"CgBI", b"\x50\0\x20\2") + b"\0" * 40,
    "JPEG inside a BMP": encoded(photo(), "BMP")[:30] + b"\4\0\0\0" + encoded(photo(), "BMP")[34:],
}
UNKNOWN = {
    "text": b"This is not the picture you are looking for.\n" * 20,
    "text that begins like a bitmap": b"BMW sells motor cars as well as bicycles.",
    "text that begins like a program": b"MZ is how some names begin.",
    "HTML": b"<!doctype html><html><body>404</body></html>",
    "nothing": b"",
    "one byte": b"\xff",
    "zeros": b"\0" * 500,
    "the start of a PNG's mark": b"\x89PNG",
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_format_that_is_not_read_is_named(name: str) -> None:
    with pytest.raises(UnsupportedFormat, match=r"not read"):
        decode(KNOWN[name])


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_no_picture_is_not_an_image(name: str) -> None:
    with pytest.raises(NotAnImage, match=r"expected|send"):
        decode(UNKNOWN[name])


def test_a_format_can_be_allowed() -> None:
    picture = decode(encoded(photo(), "AVIF", speed=10), Limits(formats=(*FORMATS, "AVIF")))

    assert (picture.width, picture.height) == (75, 58)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_format_can_be_forbidden(kind: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f"{kind} is not read here; expected one of JPEG"):
        decode(encoded(photo(), kind), Limits(formats=("JPEG",)))


def test_an_allowed_format_that_pillow_lacks_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        decode(KNOWN["HEIC"], Limits(formats=("HEIF",)))


def test_a_reduction_that_is_no_power_of_two_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="expected 1, 2, 4 or 8"):
        decode(encoded(photo(), "JPEG"), shrink=3)
