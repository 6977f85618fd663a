import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from torch import Tensor

from hrformer.geometry import masks as geometry_masks
from hrformer.geometry.masks import class_areas, class_map, figure_first, run_lengths
from tests.strategies import generator, logits, masks, quick, sizes


@quick
@given(logits(), sizes(1, 80))
def test_a_class_map_is_the_argmax_of_resized_logits(given_logits: Tensor, size: tuple[int, int]) -> None:
    resized = F.interpolate(given_logits[None], size=size, mode="bilinear", align_corners=False)[0]
    chosen = resized.gather(0, class_map(given_logits, *size)[None].long())[0]

    torch.testing.assert_close(
        chosen, resized.amax(dim=0), atol=1e-4, rtol=0
    )  # but for near ties, the same class


@quick
@given(given_logits=logits(), size=sizes(1, 80), values=st.integers(1, 2000))
def test_pixels_taken_a_few_at_a_time_give_the_same(
    given_logits: Tensor, size: tuple[int, int], values: int
) -> None:
    whole = class_map(given_logits, *size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry_masks, "_VALUES_AT_ONCE", values)
        few = class_map(given_logits, *size)

    assert torch.equal(few, whole)


def test_a_window_is_the_part_of_the_picture_that_it_covers() -> None:
    values = torch.randn(6, 16, 24, generator=generator(0))
    whole = class_map(values, 160, 240)

    assert torch.equal(class_map(values, 100, 150, window=(2.0, 5.0, 10.0, 15.0)), whole[20:120, 50:200])


def test_half_precision_logits_are_accepted() -> None:
    values = torch.randn(3, 4, 4, generator=generator(0)).half()

    assert torch.equal(class_map(values, 9, 9), class_map(values.float(), 9, 9))


@quick
@given(masks())
def test_run_lengths_are_those_of_pycocotools(mask: npt.NDArray[np.bool_]) -> None:
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))

    assert run_lengths(torch.from_numpy(mask)) == {
        "size": expected["size"],
        "counts": expected["counts"].decode(),
    }


# pycocotools 2.0.11 does not know the copy keyword that NumPy 2 asks for.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (1500, 1200)])
def test_pycocotools_reads_long_runs_back(size: tuple[int, int]) -> None:
    mask = np.zeros(size, dtype=bool)
    mask[size[0] // 2 :, size[1] // 3 :] = True
    encoded = run_lengths(torch.from_numpy(mask))

    np.testing.assert_array_equal(coco_mask.decode(encoded).astype(bool), mask)


@quick
@given(logits(), sizes(1, 50))
def test_areas_are_pixel_counts(given_logits: Tensor, size: tuple[int, int]) -> None:
    classes = class_map(given_logits, *size)

    assert class_areas(classes, 5) == [int((classes.numpy() == index).sum()) for index in range(5)]


def test_a_figure_wins_by_all_its_parts_together() -> None:
    probabilities = torch.tensor([[0.4, 0.3, 0.3], [0.6, 0.3, 0.1], [0.4, 0.2, 0.4]]).T  # pixels in columns
    decided = figure_first(probabilities.log()[:, None], background=0).argmax(dim=0)

    assert decided.tolist() == [[1, 0, 2]]


def test_a_figure_wins_from_the_given_probability_on() -> None:
    probabilities = torch.tensor([[0.72, 0.18, 0.1], [0.68, 0.1, 0.22]]).T
    decided = figure_first(probabilities.log()[:, None], background=0, probability=0.3).argmax(dim=0)

    assert decided.tolist() == [[0, 2]]


def test_which_part_of_a_figure_it_is_stays_as_it_was() -> None:
    logits = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    decided = figure_first(logits, background=3)

    assert decided[3].lt(logits[3]).all()
    torch.testing.assert_close(decided[[0, 1, 2, 4]], logits[[0, 1, 2, 4]])


def test_of_two_classes_figure_first_changes_nothing() -> None:
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(figure_first(logits, background=1), logits)
