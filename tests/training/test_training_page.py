"""`docs/training.md`: its commands are run, its tables are those of the program."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from hrformer.cli.main import main
from hrformer.geometry.palettes import PARSING
from hrformer.training.augmentation.variation import (
    ClassAugmentation,
    MaskAugmentation,
    PeopleAugmentation,
    PoseAugmentation,
)
from hrformer.training.recipe import ClassRecipe, MaskRecipe, PeopleRecipe, PoseRecipe
from hrformer.training.recipes import RECIPES
from tests.conftest import REPOSITORY
from tests.material import ASTRONAUT, write_image_folder, write_mask_set, write_pose_set

PAGE = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()
]
QUICK = [
    "network.backbone.modules=(1, 1, 1)",
    "network.backbone.blocks=1",
    "batch_size=2",
    "input_size=(64, 48)",
    "canvas_px=96",
]


def shortened(command: str) -> list[str]:
    """The arguments of a command for one process.

    A run of minutes becomes one of a step, or of one more where it resumes.
    """
    alone = re.sub(r"^torchrun .* -m ", "", command)
    program, *arguments = shlex.split(re.sub(r" --minutes \d+", "", alone))
    assert program == "hrformer"
    if arguments[0] != "train":
        return [*arguments, "--device", "cpu"] if arguments[0] in ("predict", "evaluate") else arguments
    steps = 2 if "--resume" in arguments else 1
    return [*arguments, "--device", "cpu", *QUICK, f"steps={steps}"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The folder where the page's commands were run one after the other, and their exit codes."""
    directory = tmp_path_factory.mktemp("page")
    write_pose_set(directory / "people")
    write_mask_set(directory / "clothes", classes=[name for name, _ in PARSING])
    write_image_folder(directory / "pets")
    (directory / "photo.jpg").write_bytes(ASTRONAUT.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setenv("HRFORMER_WEIGHTS", str(directory / "weights"))
        return directory, {command: main(shortened(command)) for command in COMMANDS}


def test_the_commands_work_one_after_the_other(followed: tuple[Path, dict[str, int]]) -> None:
    directory, codes = followed

    assert codes == dict.fromkeys(COMMANDS, 0)
    assert (directory / "skeleton.jpg").is_file()


def test_what_a_run_writes_is_in_its_table(followed: tuple[Path, dict[str, int]]) -> None:
    written = {file.name for file in (followed[0] / "runs" / "tiny-pose").iterdir()}
    told = re.findall(
        r"^\| `(\w+(?:\.\w+)?)(?:/[\w.-]+)?` \| ", PAGE.partition("## What a run writes")[2], re.MULTILINE
    )

    assert written == set(told)


def test_every_recipe_is_in_its_table() -> None:
    assert re.findall(r"^\| `((?:tiny|small)-[a-z-]+)` \|", PAGE, re.MULTILINE) == list(RECIPES)


def test_every_field_is_in_its_table() -> None:
    own = {
        field.name
        for recipe in (PoseRecipe, MaskRecipe, PeopleRecipe, ClassRecipe)
        for field in fields(recipe)
    } - {"augmentation"}
    inner = {
        f"augmentation.{field.name}"
        for kind in (PoseAugmentation, MaskAugmentation, PeopleAugmentation, ClassAugmentation)
        for field in fields(kind)
    }
    heads = "".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))

    assert own | inner <= set(re.findall(r"`([a-z_.]+)`", heads))
