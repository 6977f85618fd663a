"""COCO's figures, and what they would be of other draws of the pictures."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrformer.evaluation.coco import STATS, evaluation_of, keypoint_figures, keypoint_stats, redrawn
from tests.strategies import quick

Record = dict[str, Any]


def scene(random: np.random.Generator, pictures: int) -> tuple[list[Record], list[Record]]:
    """People of two sizes in pictures, some of them to be ignored, and what was found of them or not."""
    truths: list[Record] = []
    found: list[Record] = []
    for image in range(pictures):
        for _ in range(random.integers(0, 4)):
            size = float(random.choice([60, 150]))
            corner = random.uniform(0, 300, 2)
            points = corner + random.uniform(0, size, (17, 2))
            labels = np.concatenate([points, random.integers(0, 3, (17, 1))], axis=1)
            shown = int((labels[:, 2] > 0).sum())
            truths.append(
                {
                    "id": len(truths) + 1,
                    "image_id": image,
                    "bbox": [*corner.tolist(), size, size],
                    "area": size * size / 2,
                    "keypoints": labels.reshape(-1).tolist(),
                    "num_keypoints": shown,
                    "iscrowd": int(random.random() < 0.1),
                }
            )
            for _ in range(random.integers(0, 3)):
                guess = points + random.normal(0, size / 20, (17, 2))
                flat = np.concatenate([guess, np.ones((17, 1))], axis=1).reshape(-1).tolist()
                found.append({"image_id": image, "keypoints": flat, "score": float(random.random())})
    return truths, found


def repeated(records: list[Record], times: list[int], stride: int) -> list[Record]:
    """The records of each picture so often, in pictures of their own."""
    return [
        {**record, "image_id": copy * stride + record["image_id"], "id": copy * 10_000 + record.get("id", 0)}
        for copy in range(max(times))
        for record in records
        if copy < times[record["image_id"]]
    ]


def no_value_as_minus_1(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), -1, values)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_all_pictures_once_give_the_figures_of_pycocotools(seed: int, pictures: int) -> None:
    truths, found = scene(np.random.default_rng(seed), pictures)
    evaluation = evaluation_of("keypoints", range(pictures), truths, found)
    figures = keypoint_stats(redrawn(evaluation)(np.ones(pictures)))

    np.testing.assert_allclose(no_value_as_minus_1(figures), evaluation.stats, atol=1e-12)


@quick
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=2, max_size=8).filter(any))
def test_a_picture_drawn_twice_counts_as_two_alike(seed: int, times: list[int]) -> None:
    pictures = len(times)
    truths, found = scene(np.random.default_rng(seed), pictures)
    figures = keypoint_stats(
        redrawn(evaluation_of("keypoints", range(pictures), truths, found))(np.array(times, dtype=float))
    )
    images = [c * pictures + i for c in range(max(times)) for i in range(pictures) if c < times[i]]
    copies = repeated(truths, times, pictures), repeated(found, times, pictures)

    expected = evaluation_of("keypoints", images, *copies).stats
    np.testing.assert_allclose(no_value_as_minus_1(figures), expected, atol=1e-12)


def test_the_value_lies_in_its_interval() -> None:
    truths, found = scene(np.random.default_rng(0), 60)
    figures = keypoint_figures(evaluation_of("keypoints", range(60), truths, found))

    assert [figure.name for figure in figures] == list(STATS)
    assert all(figure.low < figure.value < figure.high for figure in figures if figure.value > 0), figures
    assert {figure.group for figure in figures} == {"coco"}


def test_nothing_found_is_no_recall() -> None:
    truths, _ = scene(np.random.default_rng(1), 20)
    evaluation = evaluation_of("keypoints", range(20), truths, [])

    assert evaluation.stats.tolist() == pytest.approx([0] * 10)
    assert keypoint_stats(redrawn(evaluation)(np.ones(20))).tolist() == pytest.approx([0] * 10)


def test_what_is_found_in_a_picture_of_nobody_lowers_the_precision() -> None:
    truths, _ = scene(np.random.default_rng(2), 10)
    right = [{"image_id": t["image_id"], "keypoints": t["keypoints"], "score": 0.5} for t in truths]
    wrong = [{"image_id": 10, "keypoints": right[0]["keypoints"], "score": 0.9}]
    alone = evaluation_of("keypoints", range(11), truths, right).stats
    with_wrong = evaluation_of("keypoints", range(11), truths, right + wrong).stats

    assert alone[0] == pytest.approx(1)
    assert with_wrong[0] < 1
    assert with_wrong[5] == pytest.approx(1)  # recall


def test_nothing_is_printed_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    keypoint_figures(evaluation_of("keypoints", range(3), *scene(np.random.default_rng(3), 3)))

    assert capsys.readouterr() == ("", "")
