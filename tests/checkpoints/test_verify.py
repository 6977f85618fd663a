"""The reference cases: what passes, what fails, and what is no reference at all."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrformer.checkpoints.check import Check
from hrformer.checkpoints.compare import CHUNK, relative_error, statistics, tensor_error
from hrformer.checkpoints.errors import BadReference
from hrformer.checkpoints.fill import fill_input
from hrformer.checkpoints.reference import Expected, read_cases, read_units
from hrformer.checkpoints.trace import observed
from hrformer.checkpoints.verify import Report, verify_case, verify_unit
from hrformer.modeling.network import create_model
from tests.checkpoints.published import DIRECTORY, IMAGENET, POSE

Entry = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIRECTORY, tmp_path / "reference"))


def change(folder: Path, name: str, edit: Callable[[Entry], object], file: str = "cases.json") -> None:
    content = json.loads((folder / file).read_text())
    kind = file.removesuffix(".json")
    content[kind] = [entry for entry in content[kind] if entry["name"] == name]
    edit(content[kind][0])
    (folder / file).write_text(json.dumps(content))


def run(folder: Path) -> Report:
    (case,) = read_cases(folder)
    return verify_case(case)


def test_a_changed_value_fails_its_tensor_alone(folder: Path) -> None:
    change(folder, IMAGENET, lambda case: None)
    path = folder / "cases" / f"{IMAGENET}.npz"
    arrays = dict(np.load(path))
    arrays["head.incre.2"][5] += 1
    np.savez(path, **arrays)
    report = run(folder)
    assert [check.name for check in report.checks if not check.passed] == ["head.incre.2"]
    assert report.worst.name == "head.incre.2"


def test_statistics_of_the_whole_tensor_are_compared_too(folder: Path) -> None:
    def edit(case: Entry) -> None:
        next(t for t in case["tensors"] if t["name"] == "head.pooled")["absmax"] *= 1.01

    change(folder, IMAGENET, edit)
    assert [check.name for check in run(folder).checks if not check.passed] == ["head.pooled"]


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [("state_sha256", "0" * 64, "weights"), ("parameters", 8_035_821, "parameters")],
)
def test_other_weights_than_the_folder_says_fail(folder: Path, field: str, value: object, check: str) -> None:
    change(folder, IMAGENET, lambda case: case.update({field: value}))
    assert [c.name for c in run(folder).checks if not c.passed] == [check]


def test_a_tensor_that_we_do_not_have_fails(folder: Path) -> None:
    def edit(case: Entry) -> None:
        case["tensors"].append(case["tensors"][0] | {"name": "stage9"})

    change(folder, IMAGENET, edit)
    report = run(folder)
    assert [check.name for check in report.checks if not check.passed] == ["stage9"]
    assert math.isnan(report.worst.error)


def test_another_shape_fails(folder: Path) -> None:
    def edit(case: Entry) -> None:
        tensor = next(t for t in case["tensors"] if t["name"] == "stage4.3")
        tensor["shape"] = [1, 7, 7, 144]

    change(folder, IMAGENET, edit)
    assert [check.name for check in run(folder).checks if not check.passed] == ["stage4.3"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"variant": "huge"}, "there is no variant 'huge'"),
        ({"family": "vit"}, "there is no family 'vit'"),
        (
            {"options": {"num_classes": 1000, "mode": "train"}},
            "option 'mode' is 'train'; only 'eval' is known",
        ),
        ({"options": {"num_classes": 1000, "fuse_upsample": "cubic"}}, "option 'fuse_upsample' is 'cubic'"),
        ({"options": {"num_classes": "1000"}}, "option 'num_classes' is '1000', not of type int"),
        ({"options": {"num_classes": 999}}, "of the wrong shape: classifier.weight"),
        ({"options": {"num_classes": 1000, "window": 8}}, "of the wrong shape: stage2.0.branches"),
        ({"input": {"kind": "rule", "key": "x", "shape": [1, 4, 64, 64]}}, "cannot run on this input"),
    ],
)
def test_a_network_that_we_do_not_have_is_a_failing_report(folder: Path, edit: Entry, reason: str) -> None:
    change(folder, IMAGENET, lambda case: case.update(edit))
    report = run(folder)
    assert not report.passed
    assert reason in report.reason


def test_options_that_are_left_out_are_those_of_the_family(folder: Path) -> None:
    change(folder, IMAGENET, lambda case: case.update(options={"num_classes": 1000}))
    assert run(folder).passed


def test_the_bias_of_a_pose_network_can_be_asked_for(folder: Path) -> None:
    change(folder, POSE, lambda case: case["options"].update(relative_bias=True))
    failed = [check.name for check in run(folder).checks if not check.passed]
    assert "stage2.block0.attn_tokens" in failed
    assert "stage2.in.0" not in failed


def test_a_photo_is_normalised_as_documented(folder: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (1, 64, 32, 3), dtype=np.uint8)
    np.savez(folder / "cases" / "photo.npz", input_u8=photo, stem=np.zeros(1))
    stem = {"name": "stem", "shape": [1, 64, 16, 8], "stride": 64 * 16 * 8, "mean": 0, "std": 0, "absmax": 0}

    def edit(case: Entry) -> None:
        case.update(data="cases/photo.npz", tensors=[stem])
        case["input"] = {"kind": "photo", "array": "input_u8", "shape": [1, 3, 64, 32]}

    change(folder, IMAGENET, edit)
    seen: list[torch.Tensor] = []
    network = create_model("tiny", "pose").eval()
    with observed(network, lambda name, tensor: seen.append(tensor)):
        network(torch.zeros(1, 3, 64, 32))
    report = run(folder)
    assert report.reason == ""
    assert report.worst.error == math.inf  # of a tensor that is not zero, against zeros


def break_keys(folder: Path) -> None:
    next((folder / "keys").glob("hrformer-cls-*")).write_bytes(b"\x1f\x8b\x08 broken")


def break_npz(folder: Path) -> None:
    (folder / "cases" / f"{IMAGENET}.npz").write_bytes(b"PK\x03\x04 broken")


def pickle_npz(folder: Path) -> None:
    np.savez(folder / "cases" / f"{IMAGENET}.npz", stem=np.array([{"an": "object"}], dtype=object))


def shorten_npz(folder: Path) -> None:
    path = folder / "cases" / f"{IMAGENET}.npz"
    np.savez(path, **{name: array[:-1] for name, array in np.load(path).items()})


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "cases.json").unlink(), "cases.json cannot be read as JSON"),
        (lambda f: (f / "cases.json").write_text("{"), "cases.json cannot be read as JSON"),
        (lambda f: (f / "cases.json").write_text("[]"), 'is not {"format": 1, "cases"'),
        (lambda f: change(f, IMAGENET, lambda c: c.pop("variant")), "entry 0 has no field 'variant'"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(tolerance="x")), "expected a finite number"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(tolerance=math.nan)), "expected a finite number"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(name=7)), "expected str, not 7"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(data="cases/none.npz")), "no file cases/none.npz"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(data="../x.npz")), "leads out of the folder"),
        (lambda f: change(f, IMAGENET, lambda c: c.update(keys="/etc/passwd")), "leads out of the folder"),
        (
            lambda f: change(f, IMAGENET, lambda c: c["input"].update(kind="url")),
            "a rule or a photo, not 'url'",
        ),
        (lambda f: change(f, IMAGENET, lambda c: c["tensors"][0].update(stride=0)), "a stride is at least 1"),
        (lambda f: change(f, IMAGENET, lambda c: c["tensors"][0].update(shape=[-1])), "no negative side"),
        (break_keys, "is no list of keys and shapes"),
        (break_npz, "holds no array 'stem' that can be read"),
        (pickle_npz, "holds no array 'stem' that can be read"),
        (shorten_npz, "stem has .* values instead of"),
    ],
)
def test_a_damaged_folder_is_an_error_that_names_the_file(
    folder: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    change(folder, IMAGENET, lambda case: None)
    damage(folder)
    with pytest.raises(BadReference, match=sentence):
        run(folder)


def test_a_folder_without_units_has_none(folder: Path) -> None:
    (folder / "units.json").unlink()
    assert read_units(folder) == []


def test_a_unit_of_an_unknown_kind_is_a_failing_report(folder: Path) -> None:
    name = "pose-block-w7-d12-h3-9x15"
    change(folder, name, lambda unit: unit.update(keys=[["stem.weight", [1]]]), "units.json")
    report = verify_unit(read_units(folder)[0], folder / "units.npz")
    assert "is no transformer block, exchange module or fusion" in report.reason


def test_a_fusion_alone_is_a_unit(folder: Path) -> None:
    def edit(unit: Entry) -> None:
        unit["keys"] = [row for row in unit["keys"] if row[0].startswith("fuse_layers.")]
        del unit["options"]["heads"], unit["options"]["blocks_per_branch"]

    change(folder, "pose-exchange-odd-3", edit, "units.json")
    report = verify_unit(read_units(folder)[0], folder / "units.npz")
    assert report.reason == ""
    assert all(0.1 < check.error < 10 for check in report.checks)  # the stored outputs had blocks before


def test_reports_put_the_worst_failure_first() -> None:
    checks = (
        Check("a", 0.5, 1.0),
        Check("b", 3e-4, 1e-4),
        Check("c", math.nan, 1e-4),
        Check("d", 2e-4, 1e-4),
    )
    assert Report("case", checks).worst.name == "c"
    assert Report("case", checks[:2]).worst.name == "b"
    assert Report("case", checks[:1]).worst.name == "a"


def test_a_report_without_checks_has_not_passed() -> None:
    assert not Report("case", (), "no such network").passed


def test_relative_error_is_a_ratio_of_norms() -> None:
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 3.0])) == pytest.approx(1 / math.sqrt(18))
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == math.inf


def test_statistics_do_not_depend_on_the_chunks() -> None:
    values = torch.from_numpy(fill_input("statistics", (CHUNK + 1000,)))
    mean, std, absmax = statistics(values)
    exact = values.double().numpy()
    assert (mean, std) == (pytest.approx(exact.mean(), abs=1e-12), pytest.approx(exact.std(), rel=1e-12))
    assert absmax == np.abs(exact).max()


def test_a_tensor_with_a_nan_has_no_error_that_passes() -> None:
    expected = Expected("x", (2,), 1, 0.5, 0.5, 1.0)
    error = tensor_error(torch.tensor([math.nan, 1.0]), expected, np.array([0.0, 1.0]))
    assert not Check("x", error, 1e9).passed


def test_every_documented_tensor_of_a_segmentation_network_is_seen() -> None:
    seen: set[str] = set()
    network = create_model("tiny", "segmentation", outputs=3).eval()
    with torch.inference_mode(), observed(network, lambda name, tensor: seen.add(name)):
        network(torch.zeros(1, 3, 64, 64))
    (case,) = (c for c in read_cases(DIRECTORY) if c.family == "hrformer-seg")
    assert {tensor.name for tensor in case.tensors} <= seen


def test_nothing_is_observed_after_the_run() -> None:
    network = create_model("tiny", "pose").eval()
    with observed(network, lambda name, tensor: None):
        pass
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
