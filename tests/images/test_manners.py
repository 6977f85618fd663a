"""Decoding leaves the process as it was."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from hrformer.images.decode import decode
from hrformer.images.errors import ImageError
from tests.images.samples import PICTURES, encoded, photo, see_through

FILES = [
    encoded(photo(), "JPEG"),
    encoded(see_through(), "PNG"),
    encoded(photo(), "WEBP"),
    encoded(photo().quantize(8), "GIF"),
    encoded(photo(), "TIFF", compression="tiff_lzw"),
    encoded(photo().convert("CMYK"), "JPEG"),
]


def outcome(data: bytes) -> bytes:
    try:
        return decode(data).pixels.tobytes()
    except ImageError as error:
        return str(error).encode()


def test_threads_do_not_disturb_each_other() -> None:
    work = [*FILES, *(data[: len(data) // 2] for data in FILES)] * 8

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(outcome, work))

    assert together == [outcome(data) for data in work]


def test_importing_neither_loads_torch_nor_touches_pillow() -> None:
    program = (
        "import sys; from PIL import Image, ImageFile; before = Image.MAX_IMAGE_PIXELS;"
        "import hrformer.images.decode, hrformer.images.draw, hrformer.images.encode;"
        "print('torch' in sys.modules, Image.MAX_IMAGE_PIXELS == before, ImageFile.LOAD_TRUNCATED_IMAGES)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True", "False"]


def test_the_picture_may_be_written_to() -> None:
    for data in FILES:
        pixels = decode(data).pixels
        pixels[0, 0] = (1, 2, 3)
        assert (pixels[0, 0] == [1, 2, 3]).all()


def test_pillow_reads_as_before_after_our_decoding() -> None:
    for data in FILES:
        decode(data)

    assert np.asarray(Image.open(PICTURES / "camera.png")).shape == (256, 256)
