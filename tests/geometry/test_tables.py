import pytest
from pycocotools.cocoeval import Params

from hrformer.geometry import palettes
from hrformer.geometry.palettes import Palette
from hrformer.geometry.skeletons import FLIP_PAIRS, JOINTS, LIMBS, OKS_SIGMAS


def test_sigmas_are_those_of_pycocotools() -> None:
    assert list(OKS_SIGMAS) == pytest.approx(Params(iouType="keypoints").kpt_oks_sigmas.tolist())


def test_pairs_are_the_left_and_right_of_one_name() -> None:
    names = [(JOINTS[left], JOINTS[right]) for left, right in FLIP_PAIRS]

    assert names == [(name, name.replace("left", "right")) for name in JOINTS if name.startswith("left")]


def test_a_mirror_leaves_the_set_of_limbs_as_it_is() -> None:
    swap = {a: b for left, right in FLIP_PAIRS for a, b in ((left, right), (right, left))}
    limbs = {frozenset(limb) for limb in LIMBS}

    assert {frozenset(swap.get(joint, joint) for joint in limb) for limb in limbs} == limbs


@pytest.mark.parametrize(
    ("palette", "classes"), [(palettes.PARSING, 10), (palettes.PERSON, 2), (palettes.CAMVID, 11)]
)
def test_a_palette_has_a_name_and_a_colour_of_its_own_for_each_class(palette: Palette, classes: int) -> None:
    names, colours = zip(*palette, strict=True)

    assert len(set(names)) == len(set(colours)) == classes
