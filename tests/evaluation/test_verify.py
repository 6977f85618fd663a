from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hrformer.checkpoints.check import Check
from hrformer.evaluation.verify import verify_postprocess

PUBLISHED = Path(__file__).parent.parent / "geometry" / "published"
Stored = dict[str, npt.NDArray[np.generic]]


@pytest.fixture(scope="module")
def stored() -> Stored:
    with np.load(PUBLISHED / "postprocess.npz") as arrays:
        return dict(arrays)


def failing(directory: Path, arrays: Stored, file: str = "postprocess.npz") -> set[str]:
    """Names of the checks that do not pass when a file holds these arrays."""
    np.savez(directory / file, **arrays)  # type: ignore[arg-type]
    return {check.name for check in verify_postprocess(directory) if not check.passed}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("box.matrix_udp", 0.01),
        ("box.matrix_inverse", 0.01),
        ("box.points_out_udp", 0.5),
        ("crop.rot30", 1),
        ("decode.argmax", 1),
        ("decode.default.keypoints", 0.25),
        ("decode.udp_k11.scores", 0.01),
        ("mm1.decode.msra.keypoints_input", 0.25),
        ("flip.back_shifted", 0.01),
        ("oks.iou_matrix", 0.01),
        ("oks.nms_keep_0.5", 1),
        ("rescore.scores", 0.01),
        ("coco.stats", 0.001),
    ],
)
def test_a_changed_result_fails_its_own_check(
    tmp_path: Path, stored: Stored, name: str, change: float
) -> None:
    changed = {**stored, name: (stored[name] + np.asarray(change)).astype(stored[name].dtype)}

    assert {failed.split(",")[0] for failed in failing(tmp_path, changed)} == {name}


def test_a_changed_heatmap_fails_what_is_decoded_from_it(tmp_path: Path, stored: Stored) -> None:
    changed = {**stored, "decode.heatmaps": stored["decode.heatmaps"][..., ::-1]}

    assert {"decode.argmax", "decode.udp_k3.keypoints", "mm1.decode.msra.keypoints_image"} <= failing(
        tmp_path, changed
    )


def test_groups_that_are_absent_are_not_checked(tmp_path: Path, stored: Stored) -> None:
    np.savez(tmp_path / "postprocess.npz", **{k: v for k, v in stored.items() if k.startswith("flip.heat")})  # type: ignore[arg-type]

    assert verify_postprocess(tmp_path) == []


def test_a_directory_without_files_has_no_checks(tmp_path: Path) -> None:
    assert verify_postprocess(tmp_path) == []


def test_a_method_that_we_do_not_have_fails(tmp_path: Path, stored: Stored) -> None:
    assert failing(tmp_path, {**stored, "decode.novel_k5.scores": np.zeros(1)}) == {"decode.novel_k5.scores"}


def test_other_people_in_another_order_pass_as_well(tmp_path: Path, stored: Stored) -> None:
    people = {
        name: value[::-1] if name.startswith(("decode", "mm1.decode")) else value
        for name, value in stored.items()
    }

    assert failing(tmp_path, people) == set()


def test_an_array_of_another_shape_fails(tmp_path: Path, stored: Stored) -> None:
    assert failing(tmp_path, {**stored, "rescore.scores": stored["rescore.scores"][:-1]}) == {
        "rescore.scores"
    }


def test_an_error_that_is_no_number_fails() -> None:
    assert not Check("loss", float("nan"), 1.0).passed
