"""Sets of masks that know different classes."""

from pathlib import Path

import pytest

from hrformer.data.coarse import bring_together, coarsen
from hrformer.data.errors import BadDataset
from hrformer.data.mask_folder import MaskFolder

CLOTHES = ("background", "skin", "hair")


def folder(*classes: str, background: int | None = 0) -> MaskFolder:
    return MaskFolder(classes, background, 255, ())


def test_a_set_alone_keeps_its_labels() -> None:
    (source,), groups = bring_together(folder(*CLOTHES), [])

    assert source.labels == (0, 1, 2)
    assert groups == ()


def test_person_stands_for_every_class_but_the_background() -> None:
    people = folder("background", "person")
    sources, groups = bring_together(folder(*CLOTHES), [(Path("people"), people)])

    assert sources[1].labels == (0, 3)
    assert groups == ((1, 2),)


def test_the_background_may_have_any_index() -> None:
    people = folder("person", "background", background=1)
    sources, groups = bring_together(folder("skin", "background", background=1), [(Path("people"), people)])

    assert sources[1].labels == (2, 1)
    assert groups == ((0,),)


def test_classes_are_matched_by_name() -> None:
    sources, groups = bring_together(folder(*CLOTHES), [(Path("heads"), folder("hair", "background"))])

    assert sources[1].labels == (2, 0)
    assert groups == ()


@pytest.mark.parametrize("first", [folder(*CLOTHES), folder("sky", "road", background=None)])
def test_a_class_that_means_nothing_to_the_model_is_refused(first: MaskFolder) -> None:
    with pytest.raises(BadDataset, match=r"zoo has the classes background, giraffe"):
        bring_together(first, [(Path("zoo"), folder("background", "giraffe"))])


def test_a_finer_model_is_measured_on_people_as_one() -> None:
    assert coarsen(CLOTHES, folder("background", "person")) == (0, 1, 1)
    assert coarsen(CLOTHES, folder("person", "background", background=1)) == (1, 0, 0)


def test_a_model_is_measured_on_its_own_classes() -> None:
    assert coarsen(CLOTHES, folder(*CLOTHES)) == (0, 1, 2)


@pytest.mark.parametrize(
    "asked", [folder("background", "giraffe"), folder("sky", "person"), folder("a", "person", "b")]
)
def test_no_model_is_measured_on_other_classes(asked: MaskFolder) -> None:
    assert coarsen(CLOTHES, asked) is None
