"""How good a classifier is."""

from pathlib import Path

import numpy as np
import pytest

from hrformer.data.image_folder import ImageFolder
from hrformer.engine.classification import ClassScore
from hrformer.evaluation.classification import figures_of_classes, names_for

LETTERS = ("a", "b", "c", "d", "e", "f")


def ranked(*names: str) -> list[ClassScore]:
    return [ClassScore(name, 0.5**place) for place, name in enumerate(names)]


def folder(*classes: str) -> ImageFolder:
    return ImageFolder(classes, tuple((Path(f"{name}.jpg"), index) for index, name in enumerate(classes)))


def test_the_likeliest_class_and_the_five_likeliest_count() -> None:
    answers = [ranked("a", "b", "c", "d", "e"), ranked("b", "a", "c", "d", "e"), ranked(*LETTERS[:5])]
    figures = {one.name: one.value for one in figures_of_classes(answers, ["a", "a", "f"], known=6)}

    assert figures == {"top_1": pytest.approx(1 / 3), "top_5": pytest.approx(2 / 3)}


@pytest.mark.parametrize(("known", "names"), [(5, ["top_1"]), (6, ["top_1", "top_5"])])
def test_that_the_class_is_among_all_of_them_is_no_figure(known: int, names: list[str]) -> None:
    figures = figures_of_classes([ranked(*LETTERS[:5])] * 2, ["a", "b"], known)

    assert [figure.name for figure in figures] == names


def test_the_interval_is_that_of_a_share() -> None:
    right = [number % 4 != 0 for number in range(200)]
    answers = [ranked("a" if is_right else "b") for is_right in right]
    (figure,) = figures_of_classes(answers, ["a"] * 200, known=2)
    error = 1.96 * np.sqrt(0.75 * 0.25 / 200)

    assert (figure.low, figure.high) == pytest.approx((0.75 - error, 0.75 + error), abs=0.15 * error)


@pytest.mark.parametrize(
    ("known", "classes", "names"),
    [
        (("cat", "dog", "cow"), ("dog", "cat"), ("dog", "cat")),
        (("class_0", "class_1"), ("n01", "n02"), ("class_0", "class_1")),
    ],
)
def test_classes_of_a_set_are_known_by_name_or_by_number(
    known: tuple[str, ...], classes: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert names_for("model", known, folder(*classes)) == names


@pytest.mark.parametrize("known", [("cat", "dog"), ("class_0", "class_1")])
def test_a_class_that_a_model_does_not_know_is_told(known: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"'model' tells 2 classes, .*; \d of the set's 3 are others: "):
        names_for("model", known, folder("cat", "cow", "dog"))
