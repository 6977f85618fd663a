"""What a picture shows: the crop of its middle, and the likeliest classes."""

import numpy as np
import pytest
import torch
from PIL import Image

from hrformer.engine.classification import ClassificationEngine
from hrformer.images.decode import Picture, decode
from tests.material import ASTRONAUT, class_entry, seeded


@pytest.fixture(scope="module")
def engine() -> ClassificationEngine:
    entry = class_entry()
    return ClassificationEngine(seeded(entry.config), entry, device="cpu")


def wave(width: int, height: int) -> np.ndarray:
    """A picture `(height, width, 3)` so smooth that every way of making it smaller gives the same."""
    rows, columns = np.mgrid[:height, :width]
    red = 127 + 100 * np.sin(rows / height * 5) * np.cos(columns / width * 4)
    return np.stack([red, 255 - red, columns / width * 255], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("side", [(300, 200), (200, 300), (900, 640), (60, 50)])
def test_the_crop_is_the_middle_of_the_picture_with_its_shorter_side_at_256(side: tuple[int, int]) -> None:
    width, height = side
    entry = class_entry(input_sizes=((224, 224),))
    engine = ClassificationEngine(seeded(entry.config), entry, device="cpu")
    pixels = wave(width, height)
    scale = 256 / min(side)
    resized = Image.fromarray(pixels).resize((round(width * scale), round(height * scale)))
    left, top = (resized.width - 224) / 2, (resized.height - 224) / 2
    expected = resized.transform((224, 224), Image.Transform.EXTENT, (left, top, left + 224, top + 224), 2)

    crop = engine.prepare(Picture(pixels, width, height)).permute(1, 2, 0).numpy()
    # Rounded twice by Pillow; its size is rounded to whole pixels; at the edge it cannot look beyond.
    np.testing.assert_allclose(crop.astype(int), np.asarray(expected).astype(int), atol=3)


def test_a_picture_decoded_at_a_fraction_gives_nearly_the_same_crop(engine: ClassificationEngine) -> None:
    data = ASTRONAUT.read_bytes()
    shrink = engine.shrink(512, 512)
    crops = [engine.prepare(decode(data, shrink=by)).int() for by in (1, shrink)]

    assert shrink == 4  # 448 px of the picture on 64
    assert (crops[0] - crops[1]).abs().float().mean() < 2


def test_the_likeliest_classes_come_first_and_all_scores_sum_to_1(engine: ClassificationEngine) -> None:
    found = engine.finish(torch.tensor([0.0, 2.0, 1.0]))

    assert [name for name, _ in found] == ["cat", "dog", "bird"]
    assert [score for _, score in found] == pytest.approx(np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum())


def test_fewer_classes_are_told_when_asked(engine: ClassificationEngine) -> None:
    assert [name for name, _ in engine.finish(torch.tensor([0.0, 2.0, 1.0]), top=1)] == ["cat"]


def test_classes_without_names_are_numbered() -> None:
    entry = class_entry(classes=())
    engine = ClassificationEngine(seeded(entry.config), entry, device="cpu")

    assert engine.classes == ("class_0", "class_1", "class_2")


def test_names_must_be_as_many_as_classes() -> None:
    entry = class_entry(classes=("cat", "dog"))
    with pytest.raises(ValueError, match="'small-pets' tells 3 classes, but 2 are named"):
        ClassificationEngine(seeded(entry.config), entry, device="cpu")


def test_uint8_and_float_crops_give_the_same_logits(engine: ClassificationEngine) -> None:
    engine.warm()
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)

    torch.testing.assert_close(engine(crops), engine(crops.float() / 255))
