"""What every format's header says."""

from dataclasses import dataclass

from hrformer.images.errors import BrokenImage


@dataclass(frozen=True)
class Layout:
    """Size of the stored picture, and how it has to be turned to stand upright."""

    width: int
    """px, as stored"""
    height: int
    """px, as stored"""
    orientation: int = 1
    """EXIF orientation, 1 to 8"""


def broken_header(name: str, what: str) -> BrokenImage:
    """The error for a file that begins like `name` and then makes no sense."""
    return BrokenImage(
        f"the {name} header is corrupt or cut off: {what}; send the whole file, or save the picture anew"
    )


def broken_pixels(name: str) -> BrokenImage:
    """The error for a file whose header is fine and whose pixels are not."""
    return BrokenImage(
        f"the pixel data of the {name} file is truncated or corrupt; expected a whole picture; "
        "send the file again, or save the picture anew"
    )
