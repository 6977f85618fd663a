"""`hrformer verify`: the table, the selection and the exit codes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hrformer.cli.main import main

PUBLISHED = Path(__file__).parent.parent / "modeling" / "published"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PUBLISHED, tmp_path / "reference"))


def spoil(folder: Path, name: str) -> None:
    arrays = dict(np.load(folder / "units.npz"))
    arrays[name] = arrays[name] * 1.01
    np.savez(folder / "units.npz", **arrays)


def test_a_passing_case_prints_its_line_and_exits_with_0(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--reference", str(folder), "--only", "pose-block-tiny*"]) == 0
    head, row, end = capsys.readouterr().out.splitlines()
    assert head.split() == ["case", "error", "tolerance", "worst", "at"]
    name, error, tolerance, verdict = row.split()
    assert (name, tolerance, verdict) == ("pose-block-tiny-map-2x1", "1e-04", "passed")
    assert float(error) < 1e-6
    assert end == "1 of 1 passed"


def test_a_failing_case_exits_with_1_and_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder, "pose-exchange-odd-3/out.1")
    assert main(["verify", "--reference", str(folder), "--only", "pose-*3*"]) == 1
    out = capsys.readouterr().out
    assert "FAILED  pose-exchange-odd-3/out.1" in out
    assert out.endswith("FAILED: pose-exchange-odd-3\n")


def test_a_pattern_without_wildcard_is_a_part_of_the_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--reference", str(folder), "--only", "tiny-map"]) == 0
    assert capsys.readouterr().out.endswith("3 of 3 passed\n")


def test_json_holds_every_tensor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder, "pose-exchange-odd-3/out.2")
    assert main(["verify", "--reference", str(folder), "--only", "pose-exchange-odd-3", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    (report,) = answer["reports"]
    assert not answer["passed"]
    assert [check["passed"] for check in report["checks"]] == [True, True, False]


def test_a_case_that_cannot_be_run_is_null_in_json_and_has_a_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((folder / "cases.json").read_text())
    content["cases"] = content["cases"][:1]
    content["cases"][0]["variant"] = "huge"
    (folder / "cases.json").write_text(json.dumps(content))
    assert main(["verify", "--reference", str(folder), "--only", "pose-small*", "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert (report["checks"], report["passed"]) == ([], False)
    assert "there is no variant 'huge'" in report["reason"]


def test_arrays_of_the_post_processing_are_checked_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(PUBLISHED.parents[1] / "geometry" / "published" / "postprocess.npz", folder)
    assert main(["verify", "--reference", str(folder), "--only", "postprocess"]) == 0
    assert "postprocess: " in capsys.readouterr().out


def test_a_damaged_array_file_exits_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "postprocess.npz").write_bytes(b"broken")
    assert main(["verify", "--reference", str(folder), "--only", "postprocess"]) == 2
    assert capsys.readouterr().err.startswith("hrformer verify: ")


def test_no_reference_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--reference", str(tmp_path)]) == 2
    assert "cases.json cannot be read" in capsys.readouterr().err


def test_a_pattern_that_matches_nothing_is_wrong_use(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--reference", str(folder), "--only", "vit-*"]) == 2
    assert "no case of" in capsys.readouterr().err
