"""Our networks against the published ones, and every well-known mistake against the same numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrformer.checkpoints.reference import read_cases, read_units
from hrformer.checkpoints.verify import verify_case, verify_unit
from hrformer.modeling import attention, fusion, segmentation_head
from hrformer.modeling.feed_forward import FeedForward
from hrformer.modeling.windows import WindowGrid, relative_position_index, window_grid

PUBLISHED = Path(__file__).parent / "published"
CASES = {case.name: case for case in read_cases(PUBLISHED)}
UNITS = {unit.name: unit for unit in read_units(PUBLISHED)}

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_of_a_network_agrees_with_the_published_one(name: str) -> None:
    report = verify_case(CASES[name])
    assert report.passed, report.worst


@pytest.mark.parametrize("name", UNITS)
def test_a_part_agrees_with_the_published_one(name: str) -> None:
    report = verify_unit(UNITS[name], PUBLISHED / "units.npz")
    assert report.passed, report.worst


@pytest.mark.slow
def test_every_case_of_the_reference_folder_agrees(reference: Path) -> None:
    reports = [verify_case(case) for case in read_cases(reference)]
    reports += [verify_unit(unit, reference / "units.npz") for unit in read_units(reference)]
    assert [report.name for report in reports if not report.passed] == []


@pytest.mark.parametrize(
    ("unit", "option", "value"),
    [
        ("pose-block-w7-d12-h3-9x15", "relative_bias", True),
        ("mm-block-w7-d12-h3-9x15", "relative_bias", False),
        ("seg-block-w7-d12-h3-9x15", "relative_bias", False),
        ("pose-block-w7-d12-h3-9x15", "pad_mask", True),
        ("pose-exchange-odd-3", "fuse_upsample", "nearest_then_resize_ac_true"),
        ("pose-exchange-even-4", "fuse_upsample", "nearest_then_resize_ac_true"),
        ("seg-exchange-odd-3", "fuse_upsample", "bilinear_ac_false"),
        ("seg-exchange-even-4", "fuse_upsample", "bilinear_ac_false"),
    ],
)
def test_the_switch_of_another_family_shows(unit: str, option: str, value: object) -> None:
    switched = replace(UNITS[unit], options=UNITS[unit].options | {option: value})
    assert not verify_unit(switched, PUBLISHED / "units.npz").passed


def smaller_half_last(height: int, width: int, window_size: int) -> WindowGrid:
    grid = window_grid(height, width, window_size)
    missing = grid.rows * window_size - height, grid.columns * window_size - width
    return grid._replace(top=missing[0] - missing[0] // 2, left=missing[1] - missing[1] // 2)


def no_padding_before(height: int, width: int, window_size: int) -> WindowGrid:
    return window_grid(height, width, window_size)._replace(top=0, left=0)


def no_last_activation(self: FeedForward, x: Tensor) -> Tensor:
    x = x.permute(0, 3, 1, 2)
    x = F.gelu(self.expand_norm(self.expand(x)))
    x = F.gelu(self.depthwise_norm(self.depthwise(x)))
    return self.reduce_norm(self.reduce(x)).permute(0, 2, 3, 1)


def straight_to_size(mode: str, align_corners: bool | None) -> Callable[..., Tensor]:
    def enlarge(x: Tensor, factor: int, size: tuple[int, int], upsample: str) -> Tensor:
        return F.interpolate(x, size=size, mode=mode, align_corners=align_corners)

    return enlarge


def with_eps(module: str, eps: float) -> Patch:
    real: Any = getattr(nn, module)
    return lambda patch: patch.setattr(nn, module, lambda size, **_: real(size, eps=eps))


def setting(target: object, name: str, value: object) -> Patch:
    return lambda patch: patch.setattr(target, name, value)


gelu = F.gelu
MISTAKES: dict[str, tuple[str, Patch]] = {
    "layer norm eps 1e-5": ("pose-block-small-amplitude", with_eps("LayerNorm", 1e-5)),
    "batch norm eps 1e-3": ("pose-block-w7-d12-h3-9x15", with_eps("BatchNorm2d", 1e-3)),
    "tanh GELU": (
        "pose-block-w7-d12-h3-9x15",
        setting(F, "gelu", lambda x: gelu(x, approximate="tanh")),
    ),
    "no GELU at the end": ("mm-block-w7-d12-h3-9x15", setting(FeedForward, "forward", no_last_activation)),
    "padding below and right only": (
        "pose-block-w7-d12-h3-9x15",
        setting(attention, "window_grid", no_padding_before),
    ),
    "larger half of the padding first": (
        "pose-block-w7-d12-h3-9x15",
        setting(attention, "window_grid", smaller_half_last),
    ),
    "position index transposed": (
        "seg-block-w7-d12-h3-9x15",
        setting(attention, "relative_position_index", lambda w: relative_position_index(w).T),
    ),
    "one bilinear resize in pose": (
        "pose-exchange-odd-3",
        setting(fusion, "enlarge", straight_to_size("bilinear", False)),
    ),
    "nearest straight to the size": (
        "seg-exchange-odd-3",
        setting(fusion, "enlarge", straight_to_size("nearest", None)),
    ),
    "aligned bilinear without the nearest step": (
        "seg-exchange-odd-3",
        setting(fusion, "enlarge", straight_to_size("bilinear", True)),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_well_known_mistake_shows(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unit, make = MISTAKES[mistake]
    make(monkeypatch)
    assert not verify_unit(UNITS[unit], PUBLISHED / "units.npz").passed


def test_a_layer_norm_eps_of_1e_5_shows_in_no_larger_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with_eps("LayerNorm", 1e-5)(monkeypatch)
    assert verify_unit(UNITS["pose-block-w7-d12-h3-9x15"], PUBLISHED / "units.npz").passed


def resize_without_aligned_corners(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def test_concatenation_without_aligned_corners_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation_head, "resize", resize_without_aligned_corners)
    report = verify_case(CASES["seg-small-odd-130x97-c19-b2"])
    failed = [check.name for check in report.checks if not check.passed]
    assert failed[0] == "head.concat"


def test_the_order_of_context_and_pixels_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    cat = torch.cat
    monkeypatch.setattr(
        torch, "cat", lambda parts, dim=0: cat(parts[::-1] if len(parts) == 2 else parts, dim)
    )
    report = verify_case(CASES["seg-small-odd-130x97-c19-b2"])
    failed = [check.name for check in report.checks if not check.passed]
    assert failed[0] == "head.ocr"
