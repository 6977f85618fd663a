"""Everyone in the picture, from its pixels to boxes in its pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.people import PeopleCoding, PeopleEngine
from hrformer.engine.results import Box, Detection
from hrformer.geometry.detections import boxes_at_places, encode_boxes, mirrored_boxes
from hrformer.images.decode import Picture
from tests.material import people_entry, seeded, shallow_people
from tests.strategies import quick

AS_IT_IS = PixelFormat(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class BrightRectangle(nn.Module):
    """Finds the one bright rectangle of each picture, its edges where the brightness is half."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (images.shape[2], images.shape[3])
        edges = torch.stack([torch.tensor(_edges(image[0])) for image in images])[:, None]
        wanted = torch.ones(len(images), 1, dtype=torch.bool)
        targets = encode_boxes(edges, wanted, ~wanted, size)
        offsets = edges[:, 0, :, None, None] - boxes_at_places(torch.zeros_like(targets.boxes))
        return torch.logit(targets.heatmaps, eps=0.01), offsets * torch.tensor([-1.0, -1, 1, 1])[
            :, None, None
        ]


def _edges(grey: Tensor) -> list[float]:
    """Left, top, right and bottom, by how much light each side's rows and columns have."""
    sides = []
    for profile in (grey.amax(dim=0), grey.amax(dim=1)):
        inside = (profile > 0.5).nonzero().flatten()
        first, last = int(inside[0]), int(inside[-1])
        before = float(profile[first - 1]) if first else 0.0
        after = float(profile[last + 1]) if last + 1 < len(profile) else 0.0
        sides.append(
            (
                first - (float(profile[first]) - 0.5) / max(float(profile[first]) - before, 1e-6),
                last + (float(profile[last]) - 0.5) / max(float(profile[last]) - after, 1e-6),
            )
        )
    return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]


@pytest.fixture(scope="module")
def engine() -> PeopleEngine:
    return PeopleEngine(seeded(shallow_people()), people_entry(), device="cpu")


def rectangle_engine() -> PeopleEngine:
    entry = people_entry(pixels=AS_IT_IS)
    return PeopleEngine(BrightRectangle(), entry, device="cpu")  # type: ignore[arg-type]


def found_in(engine: PeopleEngine, pixels: np.ndarray, shrink: int = 1) -> list[Detection]:
    picture = Picture(pixels, width=pixels.shape[1] * shrink, height=pixels.shape[0] * shrink)
    canvas = engine.prepare(picture)
    return engine.finish(engine.run(canvas.pixels[None])[0], canvas)


@quick
@given(st.integers(60, 300), st.integers(60, 300), st.floats(0.1, 0.4), st.floats(0.5, 0.9))
def test_a_box_comes_back_to_its_place(width: int, height: int, low: float, high: float) -> None:
    left, top, right, bottom = (round(v) for v in (low * width, low * height, high * width, high * height))
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    engine = rectangle_engine()
    found = found_in(engine, pixels)
    size = engine.size_for(width, height)
    pixel = max(1.0, height / size[0], width / size[1])  # of the canvas, in px of the picture

    assert len(found) == 1
    np.testing.assert_allclose(found[0].box, (left, top, right - left, bottom - top), atol=1.1 * pixel)


def test_a_box_of_a_picture_decoded_small_is_in_full_pixels() -> None:
    pixels = np.zeros((48, 80, 3), np.uint8)
    pixels[10:40, 20:60] = 255
    (found,) = found_in(rectangle_engine(), pixels, shrink=4)

    np.testing.assert_allclose(found.box, (80, 40, 160, 120), atol=4)


def test_boxes_are_cut_at_the_edges_of_the_picture(engine: PeopleEngine) -> None:
    canvas = engine.prepare(Picture(np.zeros((48, 80, 3), np.uint8), width=80, height=48))
    rows = torch.tensor([[-50.0, -50, 500, 500, 0.9], [-60, -60, -20, -20, 0.8]])
    (found,) = engine.finish(rows, canvas)

    assert found.box == Box(0, 0, 80, 48)
    assert found.score == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 2),
        ({"box_threshold": 0.2}, 3),
        ({"box_threshold": 0.0}, 3),
        ({"box_threshold": 0.95}, 0),
        ({"max_people": 1}, 1),
    ],
)
def test_only_who_is_sure_enough_is_found(
    engine: PeopleEngine, options: dict[str, float], count: int
) -> None:
    canvas = engine.prepare(Picture(np.zeros((48, 80, 3), np.uint8), width=80, height=48))
    scores = [0.9, 0.4, 0.25, 0.0]
    rows = torch.tensor([[20.0, 20, 30, 30, score] for score in scores])
    found = engine.finish(rows, canvas, **options)  # type: ignore[arg-type]

    assert [round(person.score, 2) for person in found] == scores[:count]


def test_what_is_found_does_not_depend_on_the_pictures_beside_it(engine: PeopleEngine) -> None:
    canvases = torch.randint(0, 256, (4, 3, 64, 96), generator=torch.Generator().manual_seed(0)).byte()
    together = engine.run(canvases)

    assert together.shape == (4, 100, 5)
    for row, canvas in zip(together, canvases, strict=True):
        torch.testing.assert_close(engine.run(canvas[None])[0], row, rtol=1e-3, atol=1e-3)


def test_with_the_mirrored_look_a_mirrored_picture_has_the_mirrored_people() -> None:
    entry = people_entry(decode={"flip_test": True})
    engine = PeopleEngine(seeded(shallow_people()), entry, device="cpu")
    canvases = torch.randint(0, 256, (3, 3, 64, 96), generator=torch.Generator().manual_seed(0)).byte()
    plain, mirrored = engine.run(canvases), engine.run(canvases.flip(-1))
    back = torch.cat([mirrored_boxes(mirrored[..., :4], 96), mirrored[..., 4:]], dim=2)

    assert plain.shape == (3, 100, 5)
    sure = plain[..., 4] > 0
    torch.testing.assert_close(back[..., 4], plain[..., 4], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(back[sure][:5], plain[sure][:5], rtol=1e-3, atol=1e-1)


def test_the_mirrored_look_changes_no_box_of_what_is_alike_both_ways() -> None:
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[20:80, 40:70] = 255
    plain = rectangle_engine()
    twice = PeopleEngine(BrightRectangle(), people_entry(pixels=AS_IT_IS, decode={"flip_test": True}))  # type: ignore[arg-type]

    (once,), (both,) = found_in(plain, pixels), found_in(twice, pixels)
    np.testing.assert_allclose(both.box, once.box, atol=0.1)
    assert both.score == pytest.approx(once.score)


def test_the_decode_table_is_followed() -> None:
    entry = people_entry(decode={"overlap": 0.4, "threshold": 0.2, "flip_test": True})

    assert PeopleEngine(seeded(shallow_people()), entry, device="cpu").coding == PeopleCoding(0.4, 0.2, True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5; expected a number from 0 to 1"),
        ({"overlap": "most"}, "overlap is 'most'; expected a number from 0 to 1"),
        ({"flip_test": 1}, "flip_test is 1; expected true or false"),
    ],
)
def test_a_decode_option_out_of_range_is_told(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"decode option {message}"):
        PeopleCoding.from_values(values)


def test_a_box_is_told_to_a_hundredth_of_a_pixel(engine: PeopleEngine) -> None:
    canvas = engine.prepare(Picture(np.zeros((48, 80, 3), np.uint8), width=80, height=48))
    (found,) = engine.finish(torch.tensor([[20.111111, 20.222222, 30.333333, 30.444444, 0.9]]), canvas)

    assert found.box == tuple(round(value, 2) for value in found.box)


def test_a_box_of_less_than_a_hundredth_of_a_pixel_is_left_out(engine: PeopleEngine) -> None:
    canvas = engine.prepare(Picture(np.zeros((48, 80, 3), np.uint8), width=80, height=48))

    assert engine.finish(torch.tensor([[20.0, 20.0, 20.0001, 30.0, 0.9]]), canvas) == []


def test_an_unknown_decode_option_is_told() -> None:
    with pytest.raises(
        ValueError, match="unknown decode option 'kernel'; known are flip_test, overlap, threshold"
    ):
        PeopleCoding.from_values({"kernel": 3})


def test_warming_up_runs_every_size(engine: PeopleEngine) -> None:
    engine.warm()
