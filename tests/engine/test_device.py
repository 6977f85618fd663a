"""Where and how precisely a network runs."""

from contextlib import nullcontext

import pytest
import torch

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.device import Runner, choose_device, choose_precision
from hrformer.engine.pose import PoseEngine
from hrformer.engine.predictor import Predictor
from tests.material import ASTRONAUT, pose_entry, seeded, shallow_pose

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["warp drive", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no device '{name}'"):
        choose_device(name)


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("auto", "cpu", torch.float32),
        ("auto", "cuda", torch.bfloat16),
        ("float32", "cuda", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
        ("float16", "cuda", torch.float16),
    ],
)
def test_the_precision_goes_by_name_and_device(name: str, device: str, expected: torch.dtype) -> None:
    assert choose_precision(name, torch.device(device)) == expected


@pytest.mark.parametrize(("name", "message"), [("int4", "no precision 'int4'"), ("float16", "needs a GPU")])
def test_a_precision_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_precision(name, CPU)


@pytest.mark.parametrize(("order", "expected"), [("rgb", [2.0, 1.0, -1.0]), ("bgr", [-1.0, 1.0, 2.0])])
def test_pixels_are_normalised_in_the_network_s_order(order: str, expected: list[float]) -> None:
    pixels = PixelFormat(order, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 0.5))
    if order == "bgr":
        pixels = PixelFormat(order, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.25))
    runner = Runner(seeded(shallow_pose()), pixels, device="cpu")
    picture = torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)

    assert runner.normalise(picture)[0, :, 0, 0].tolist() == expected
    assert runner.normalise((picture * 255).to(torch.uint8))[0, :, 0, 0].tolist() == expected


def test_float32_needs_no_autocast() -> None:
    runner = Runner(seeded(shallow_pose()), PixelFormat(), device="cpu", precision="float32")

    assert isinstance(runner.autocast(), nullcontext)
    assert runner.precision == "float32"


def test_bfloat16_answers_nearly_the_same() -> None:
    network = seeded(shallow_pose())
    exact, rough = (
        Predictor(PoseEngine(network, pose_entry(), device="cpu", precision=precision))
        for precision in ("float32", "bfloat16")
    )
    crops = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)

    assert rough.pose(ASTRONAUT)[0].keypoints.dtype == "float32"
    difference = (exact.engine(crops) - rough.engine(crops)).norm() / exact.engine(crops).norm()
    assert 0 < difference < 0.05
