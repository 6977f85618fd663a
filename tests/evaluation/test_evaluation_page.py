"""`docs/evaluation.md`: its commands are run, and it names every flag and figure."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrformer.checkpoints.manifest import MANIFEST, write_entry
from hrformer.cli.evaluate import parser
from hrformer.cli.figures_table import NAMES
from hrformer.cli.main import main
from hrformer.data.coco import read_persons
from hrformer.geometry.palettes import PARSING
from hrformer.modeling.config import NetworkConfig, SegmentationHeadConfig
from tests.conftest import REPOSITORY
from tests.evaluation.serving import service_process
from tests.material import (
    class_entry,
    mask_entry,
    people_entry,
    pose_entry,
    saved,
    shallow,
    write_image_folder,
    write_mask_set,
    write_pose_set,
)

PAGE = (REPOSITORY / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()
]
IMPLIED = {
    "--help",
    "--split",
    "--json",
    "--data",
    "--device",
    "--precision",
}  # told in the text, or by themselves


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's models, small ones, and its sets."""
    directory = tmp_path_factory.mktemp("page")
    weights = directory / "weights"
    weights.mkdir()
    parsing = NetworkConfig(shallow(), SegmentationHeadConfig(len(PARSING), channels=16, key_channels=8))
    for entry in (
        pose_entry("hrformer-tiny-pose"),
        mask_entry("hrformer-tiny-parsing", config=parsing, labels="parsing"),
        people_entry("hrformer-tiny-people"),
    ):
        write_entry(saved(entry, weights), weights / MANIFEST, default=True)
    (directory / "runs" / "pets").mkdir(parents=True)
    saved(class_entry("model"), directory / "runs" / "pets")
    write_pose_set(directory / "people")
    write_mask_set(directory / "clothes", classes=[name for name, _ in PARSING])
    write_image_folder(directory / "pets")
    persons = read_persons(directory / "people", "val")
    found = [{"image_id": one.image_id, "category_id": 1, "bbox": one.box, "score": 0.9} for one in persons]
    (directory / "found.json").write_text(json.dumps(found))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setenv("HRFORMER_WEIGHTS", str(weights))
        yield directory


@pytest.fixture(scope="module")
def address(directory: Path) -> Iterator[str]:
    with service_process(directory / "weights") as address:
        yield address


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--url" not in command])
def test_the_commands_work(directory: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(command)

    assert (program, main([*arguments, "--device", "cpu"])) == ("hrformer", 0)
    assert capsys.readouterr().err == ""


def test_the_command_for_a_service_works(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = [command for command in COMMANDS if "--url" in command]

    assert main(shlex.split(command.replace("http://localhost:8000", address))[1:]) == 0
    assert capsys.readouterr().out.startswith(
        f"hrformer-tiny-pose behind {address} on people, val: 4 persons"
    )


def test_every_flag_is_told() -> None:
    flags = {flag for action in parser()._actions for flag in action.option_strings if flag.startswith("--")}

    assert {flag for flag in flags - IMPLIED if flag not in PAGE} == set()


def test_every_figure_is_in_the_table() -> None:
    table = PAGE.partition("## The figures")[2].partition("\n\n**")[0]

    assert {name for name in NAMES.values() if f"`{name}`" not in table} == set()
