"""`hrformer scribble`: coarse masks on the command line."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hrformer.cli.main import main
from hrformer.data.mask_folder import read_mask, read_mask_folder
from tests.material import write_pose_set

SIZE = (96, 80)  # of the pictures, whose people fill 60 x 80 px


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_pose_set(tmp_path / "people")


def labels(folder: Path) -> list[np.ndarray]:
    """The masks as training reads them."""
    read = read_mask_folder(folder, "train")
    return [read_mask(one.mask, len(read.classes), read.ignore, size=SIZE) for one in read.samples]


def test_the_folder_is_one_to_train_masks_on(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scribble", str(people), "--output", str(tmp_path / "coarse")]) == 0
    assert "4 pictures with people, 0 with hardly any" in capsys.readouterr().out
    masks = labels(tmp_path / "coarse")
    assert len(masks) == 4
    assert all({0, 1, 255} == set(np.unique(mask).tolist()) for mask in masks)
    shutil.rmtree(tmp_path / "coarse" / "masks")
    with pytest.raises(Exception, match="no mask"):
        labels(tmp_path / "coarse")


def test_a_model_labels_more_of_it(people: Path, tmp_path: Path) -> None:
    arguments = ["scribble", str(people), "--threads", "1", "--output"]
    assert main([*arguments, str(tmp_path / "plain")]) == 0
    assert main([*arguments, str(tmp_path / "filled"), "--model", "hrformer-tiny-parsing"]) == 0
    for plain, filled in zip(labels(tmp_path / "plain"), labels(tmp_path / "filled"), strict=True):
        assert (filled[plain != 255] == plain[plain != 255]).all()
        assert (filled == 255).sum() < (plain == 255).sum()


def test_pictures_can_be_left_out(people: Path, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("train_1\ntrain_2\n")
    flags = ["--without", str(tmp_path / "known.txt"), "--output", str(tmp_path / "coarse")]
    assert main(["scribble", str(people), *flags]) == 0
    assert (tmp_path / "coarse" / "train.txt").read_text() == "train_0\ntrain_3\n"


def test_a_model_for_something_else_is_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", "hrformer-tiny-pose", "--output", str(tmp_path / "coarse")]
    assert main(["scribble", str(people), *flags]) == 2
    assert "hrformer-tiny-pose is for pose; choose a model for masks" in capsys.readouterr().err
