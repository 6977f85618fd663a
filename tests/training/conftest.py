from pathlib import Path

import pytest

from hrformer.training.pose import PoseTask
from tests.material import write_mask_set, write_pose_set
from tests.training.small_runs import pose_task


@pytest.fixture(scope="session")
def pose_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pose_set(tmp_path_factory.mktemp("sets") / "pose", people=8)


@pytest.fixture(scope="session")
def mask_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mask_set(tmp_path_factory.mktemp("sets") / "masks")


@pytest.fixture(scope="session")
def poses(pose_set: Path) -> PoseTask:
    return pose_task(pose_set)
