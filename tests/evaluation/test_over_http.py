"""Figures over HTTP: those of a real service in a process of its own, and those of this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hrformer.checkpoints.manifest import MANIFEST, write_entry
from hrformer.cli.main import main
from tests.evaluation.serving import service_process
from tests.material import ASTRONAUT, PERSON_CLASSES, mask_entry, people_entry, person, pose_entry, saved

SIZES = ((512, 512), (1500, 1100))  # the second is decoded at a fraction
# Within the picture, or over its edges: these are clipped to other last bits in float32 than in float64.
BOXES = (
    (20.3, 10.7, 200.1, 50.9),
    (-11.7, 17.6, 205.1, 208.2),
    (-34.6, -10.2, 186.9, 411.9),
    (279.6, -53.1, 222.6, 350.3),
    (101.7, 15.1, 5000.3, 700.7),
)

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights/ with three models; photographs of the same person with made-up labels: poses/ and masks/."""
    directory = tmp_path_factory.mktemp("over-http")
    weights = directory / "weights"
    weights.mkdir()
    for entry in (pose_entry("poser", size=(128, 96)), mask_entry("parser"), people_entry("finder")):
        write_entry(saved(entry, weights), weights / MANIFEST, default=True)
    write_sets(directory)
    return directory


def write_sets(directory: Path) -> None:
    for folder in ("poses", "masks/images", "masks/masks"):
        (directory / folder).mkdir(parents=True)
    names = [{"index": index, "name": name} for index, name in enumerate(PERSON_CLASSES)]
    (directory / "masks/classes.json").write_text(json.dumps({"background_index": 0, "classes": names}))
    (directory / "masks/val.txt").write_text("".join(f"{index}\n" for index in range(len(SIZES))))
    records: dict[str, list[Any]] = {"images": [], "annotations": []}
    found = []
    for index, size in enumerate(SIZES):
        with Image.open(ASTRONAUT) as image:
            photo = image.resize(size)
        for file in (directory / f"poses/{index}.jpg", directory / f"masks/images/{index}.jpg"):
            photo.save(file, quality=85)
        photo.convert("L").point(lambda value: int(value > 127)).save(directory / f"masks/masks/{index}.png")
        records["images"].append({"id": index, "file_name": f"{index}.jpg"})
        for box in BOXES:
            number = len(records["annotations"])
            joints = [v for k in range(17) for v in (box[0] + 7.3 * k, box[1] + 4.1 * k, 1 + k % 2)]
            changes = {"image_id": index, "bbox": list(box), "area": 9000.5}
            records["annotations"].append(person(number, joints, **changes))
            found.append({"image_id": index, "bbox": list(box), "score": 0.3 + 0.05 * number})
    (directory / "poses/val.json").write_text(json.dumps(records))
    (directory / "found.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def url(directory: Path) -> Iterator[str]:
    with service_process(directory / "weights") as address:
        yield address


def figures(out: Out, *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", *arguments, "--json"]) == 0
    values: dict[str, Any] = json.loads(out.readouterr().out)
    return {name: value for name, value in values.items() if name != "url"}


@pytest.mark.parametrize(
    ("model", "data", "flags"),
    [
        ("poser", "poses", ()),
        ("poser", "poses", ("--flip-test",)),
        ("poser", "poses", ("--detections", "found.json")),
        ("poser", "poses", ("--finder", "finder")),
        ("poser", "poses", ("--finder", "auto", "--box-threshold", "0.001", "--flip-test")),
        ("finder", "poses", ()),
        ("finder", "poses", ("--box-threshold", "0.2")),
        ("parser", "masks", ()),
    ],
)
def test_a_services_figures_are_those_of_this_process_to_the_last_digit(
    directory: Path,
    url: str,
    model: str,
    data: str,
    flags: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Out,
) -> None:
    monkeypatch.chdir(directory)
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(directory / "weights"))
    arguments = (model, "--data", data, *flags)
    here = figures(capsys, *arguments, "--device", "cpu", "--threads", "1")
    there = figures(capsys, *arguments, "--url", url)

    assert there == here
    assert len(here["intervals"]) >= 1
