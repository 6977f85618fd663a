"""What can be wrong with a picture: one exception each, all of them `ImageError`.

The message says what happened, what was expected and what to do, in words a client may read. It never carries
the text of a decoding library, a path or bytes of the picture.
"""


class ImageError(ValueError):
    """The bytes given cannot be used as a picture."""


class NotAnImage(ImageError):
    """The bytes begin like no picture format known here."""


class UnsupportedFormat(ImageError):
    """The bytes are of a known format, or a flavour of one, that is not read."""


class BrokenImage(ImageError):
    """The picture is truncated or corrupt."""


class ImageTooLarge(ImageError):
    """More bytes or pixels than the limits allow."""


class ImageTooSmall(ImageError):
    """A side is shorter than the limits allow."""
