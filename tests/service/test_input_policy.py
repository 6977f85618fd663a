"""Every row of the contract's input policy, as a status and a size."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.images.samples import encoded, grey, lab, photo, png, see_through, with_orientation, ycck
from tests.service.conftest import Running
from tests.service.pictures import huge

WIDTH, HEIGHT = 75, 58
DEEP = np.linspace(0, 65535, WIDTH * HEIGHT * 3).astype(np.uint16).reshape(HEIGHT, WIDTH, 3)
INKS = np.full((HEIGHT, WIDTH, 4), 60, np.uint8)
CMYK = Image.frombytes("CMYK", (WIDTH, HEIGHT), INKS.tobytes())
PAGES = [photo(), grey().convert("RGB")]

TAKEN = {
    "JPEG": encoded(photo(), "JPEG"),
    "progressive JPEG": encoded(photo(), "JPEG", progressive=True),
    "PNG": encoded(photo(), "PNG"),
    "WebP": encoded(photo(), "WEBP"),
    "BMP": encoded(photo(), "BMP"),
    "GIF": encoded(photo(), "GIF"),
    "TIFF": encoded(photo(), "TIFF"),
    "grey": encoded(grey(), "PNG"),
    "palette": encoded(photo().quantize(16), "PNG"),
    "1-bit": encoded(grey().convert("1"), "PNG"),
    "16-bit grey": png(DEEP[:, :, :1].astype(">u2"), 0, 16),
    "16-bit colour": png(DEEP.astype(">u2"), 2, 16),
    "CMYK": encoded(CMYK, "JPEG"),
    "YCCK": ycck(INKS),
    "LA": encoded(see_through().convert("LA"), "PNG"),
    "LAB": encoded(lab(), "TIFF"),
    "transparency": encoded(see_through(), "PNG"),
    "animation": encoded(PAGES[0], "GIF", save_all=True, append_images=PAGES[1:]),
    "several pages": encoded(PAGES[0], "TIFF", save_all=True, append_images=PAGES[1:]),
    "trailing bytes": encoded(photo(), "JPEG") + b"and more" * 100,
}


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", TAKEN["JPEG"])
    return file.getvalue()


REFUSED = {
    "truncated JPEG": (TAKEN["JPEG"][: len(TAKEN["JPEG"]) // 2], 422, "broken-image"),
    "truncated PNG": (TAKEN["PNG"][: len(TAKEN["PNG"]) // 2], 422, "broken-image"),
    "corrupt PNG": (TAKEN["PNG"][:200] + bytes(50) + TAKEN["PNG"][250:], 422, "broken-image"),
    "13000 pixels a side in 20 KB": (huge(), 413, "image-too-large"),
    "1x1": (encoded(photo(1, 1), "PNG"), 422, "image-too-small"),
    "10000x3": (encoded(photo(10_000, 3), "PNG"), 422, "image-too-small"),
    "nothing": (b"", 400, "empty-body"),
    "text called .jpg": (b"I am a photograph, believe me", 415, "not-an-image"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported-format"),
    "PDF": (b"%PDF-1.7\n", 415, "unsupported-format"),
    "PSD": (b"8BPS\x00\x01" + bytes(100), 415, "unsupported-format"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "unsupported-format"),
    "executable": (b"\x7fELF\x02\x01\x01" + bytes(100), 415, "unsupported-format"),
    "zip": (zipped(), 415, "unsupported-format"),
}


@pytest.mark.parametrize("path", ["/pose", "/segment?format=json"])
@pytest.mark.parametrize("name", TAKEN)
async def test_a_picture_of_the_policy_is_answered(service: Running, name: str, path: str) -> None:
    answer = await service.client.post(path, content=TAKEN[name])
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == {"width": WIDTH, "height": HEIGHT}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
async def test_sizes_are_of_the_upright_picture(service: Running, kind: str, orientation: int) -> None:
    content = encoded(photo(), kind, exif=with_orientation(orientation))
    image = (await service.client.post("/pose", content=content)).json()["image"]
    assert (image["width"], image["height"]) == ((WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))


@pytest.mark.parametrize("path", ["/pose", "/segment"])
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_picture_of_the_policy_is_refused(service: Running, name: str, path: str) -> None:
    content, status, slug = REFUSED[name]
    answer = await service.client.post(path, content=content)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


async def test_the_service_goes_on_after_all_of_it(service: Running) -> None:
    assert (await service.client.get("/livez")).status_code == 200
    assert (await service.client.post("/pose", content=TAKEN["JPEG"])).status_code == 200
