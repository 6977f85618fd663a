"""Pictures of what a network says while it learns."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrformer.modeling.network import build
from hrformer.training.event_files import EventFiles
from hrformer.training.pose import PoseTask
from hrformer.training.progress import Report
from hrformer.training.sheets import KEPT, Sheets, replace_file
from tests.material import shallow_pose
from tests.training.small_runs import files_of_at_most, pose_recipe, run_through


def test_the_end_of_an_epoch_and_of_the_run_have_their_sheets(poses: PoseTask, tmp_path: Path) -> None:
    run_through(poses, pose_recipe(), tmp_path)  # three epochs of two steps
    names = {file.name for file in (tmp_path / "samples").iterdir()}

    assert {"epoch-0001.jpg", "epoch-0003.jpg"} <= names
    with (
        Image.open(tmp_path / "samples" / "epoch-0003.jpg") as sheet,
        Image.open(tmp_path / "samples.jpg") as best,
    ):
        assert np.array_equal(np.array(sheet), np.array(best))


def test_the_oldest_sheets_go(poses: PoseTask, tmp_path: Path) -> None:
    sheets = Sheets(tmp_path)
    sheets.folder.mkdir()
    for epoch in range(KEPT + 1):
        (sheets.folder / f"epoch-{epoch:04}.jpg").touch()
    sheets.make(poses, build(shallow_pose()), Report(quiet=True), epoch=KEPT + 1, step=1)

    assert min(file.name for file in sheets.folder.iterdir()) == "epoch-0002.jpg"
    assert len(list(sheets.folder.iterdir())) == KEPT


@pytest.mark.parametrize(("took_s", "due"), [(0.0, True), (1e6, False)])
def test_sheets_are_made_as_far_as_they_take_little_time(tmp_path: Path, took_s: float, due: bool) -> None:
    sheets = Sheets(tmp_path)
    sheets.took_s = took_s

    assert sheets.are_due() is due


def test_a_picture_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    file = tmp_path / "samples.jpg"
    replace_file(file, b"good")
    with (
        files_of_at_most(1000),
        pytest.raises(OSError, match=r"samples\.jpg cannot be written: File too large"),
    ):
        replace_file(file, bytes(5000))

    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("samples.jpg", b"good")]


def test_event_files_hold_curves_and_sheets(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Report([EventFiles(tmp_path)]) as report:
        report.step(0.1, 1.0, {"step": 10, "loss": 0.25})
        report.figures({"step": 20, "mean_oks": 0.5})
        report.show(20, np.zeros((8, 8, 3), np.uint8))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()

    assert [(e.step, e.value) for e in events.Scalars("training/loss")] == [(10, 0.25)]
    assert [(e.step, e.value) for e in events.Scalars("validation/mean_oks")] == [(20, 0.5)]
    assert [e.step for e in events.Images("samples")] == [20]
