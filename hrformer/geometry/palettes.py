"""Names and colours of the segmentation classes, in the order of their indices."""

from collections.abc import Sequence

Colour = tuple[int, int, int]  # red, green, blue
Palette = tuple[tuple[str, Colour], ...]

PARSING: Palette = (
    ("background", (0, 0, 0)),
    ("skin", (255, 178, 128)),
    ("hair", (140, 80, 30)),
    ("upper", (230, 25, 75)),
    ("outerwear", (245, 130, 48)),
    ("dress", (240, 50, 230)),
    ("lower", (0, 90, 200)),
    ("shoes", (60, 180, 75)),
    ("bag", (255, 225, 25)),
    ("accessories", (70, 240, 240)),
)

PERSON: Palette = (("background", (0, 0, 0)), ("person", (220, 60, 60)))

CAMVID: Palette = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign_symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)

PALETTES: dict[str, Palette] = {"parsing": PARSING, "person": PERSON, "camvid": CAMVID}


def labels_of(classes: Sequence[str]) -> str | None:
    """Name of the palette that has these classes in this order; None if there is none."""
    matching = (
        name for name, palette in PALETTES.items() if [label for label, _ in palette] == list(classes)
    )
    return next(matching, None)


def palette_of(labels: str, classes: int) -> Palette:
    """The palette of this name, or a numbered one where there is none."""
    return PALETTES.get(labels) or numbered_palette(classes)


def named_palette(names: Sequence[str], colours: Sequence[Colour] = ()) -> Palette:
    """Names with their colours, PASCAL VOC's where none are given."""
    given = colours or [_voc_colour(index) for index in range(len(names))]
    return tuple(zip(names, given, strict=True))


def numbered_palette(classes: int) -> Palette:
    """Names and colours where only the number of classes is known; the colours are PASCAL VOC's."""
    return named_palette([f"class_{index}" for index in range(classes)])


def _voc_colour(index: int) -> Colour:
    """Every third bit of the index, lowest first, from the highest bit of a channel downwards."""
    red, green, blue = (
        sum((index >> 3 * bit + channel & 1) << 7 - bit for bit in range(8)) for channel in range(3)
    )
    return red, green, blue
