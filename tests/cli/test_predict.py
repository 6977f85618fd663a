"""`hrformer predict`."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hrformer
from hrformer.checkpoints.manifest import write_entry
from hrformer.cli.main import main
from hrformer.geometry.skeletons import JOINTS
from tests.material import ASTRONAUT, PICTURES, mask_entry, pose_entry, saved

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest with a default model for each task."""
    directory = tmp_path_factory.mktemp("weights")
    for entry in (pose_entry(), mask_entry(labels="person"), pose_entry("other-pose")):
        write_entry(
            saved(entry, directory), directory / "manifest.toml", default=not entry.name.startswith("o")
        )
    return directory


@pytest.fixture(autouse=True)
def in_an_empty_folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def answers(out: Out) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.readouterr().out.splitlines()]


def test_a_drawn_picture_lands_in_the_current_folder(tmp_path: Path, capsys: Out) -> None:
    assert predict(ASTRONAUT) == 0

    with Image.open(tmp_path / "astronaut-pose.jpg") as drawn, Image.open(ASTRONAUT) as picture:
        assert drawn.size == picture.size
        difference = np.abs(np.asarray(drawn).astype(int) - np.asarray(picture))
    assert difference.max() > 100  # the skeleton
    assert np.median(difference) < 10  # the picture
    assert capsys.readouterr().out.endswith("→ astronaut-pose.jpg\n")


def test_a_mask_is_drawn_by_the_default_model_of_its_task(tmp_path: Path, capsys: Out) -> None:
    assert predict(ASTRONAUT, "--task", "segmentation") == 0

    assert (tmp_path / "astronaut-mask.jpg").is_file()
    assert "background" in capsys.readouterr().out


def test_json_has_the_shape_of_the_service_s_answer(capsys: Out) -> None:
    assert predict(ASTRONAUT, "--json") == 0

    (answer,) = answers(capsys)
    (person,) = answer["people"]
    assert answer["model"] == "small-pose"
    assert len(answer["model_version"]) == 12
    assert (answer["image"], answer["boxes"]) == ({"width": 512, "height": 512}, "whole")
    assert person["box"] == [0, 0, 512, 512]
    assert [keypoint["name"] for keypoint in person["keypoints"]] == list(JOINTS)
    assert set(person["keypoints"][0]) == {"name", "x", "y", "score", "visible"}


def test_json_says_what_the_library_says(weights: Path, capsys: Out) -> None:
    boxes = [[100.5, 20, 200, 300], [0, 0, 512, 512]]
    predict(ASTRONAUT, "--json", "--boxes", json.dumps(boxes), "--flip-test", "--keypoint-threshold", "0.5")
    (answer,) = answers(capsys)
    people = hrformer.load("small-pose", device="cpu").pose(ASTRONAUT, boxes, flip_test=True)

    assert [person["box"] for person in answer["people"]] == boxes
    for found, expected in zip(answer["people"], people, strict=True):
        told = [[k["x"], k["y"], k["score"]] for k in found["keypoints"]]
        np.testing.assert_allclose(told, expected.keypoints, atol=0.006)
        assert [k["visible"] for k in found["keypoints"]] == [s >= 0.5 for s in expected.keypoints[:, 2]]


def test_json_of_a_mask_gives_areas_and_run_lengths(weights: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--json", "--model", "small-person")
    (answer,) = answers(capsys)
    mask = hrformer.load("small-person", device="cpu").segment(ASTRONAUT)

    assert {one["name"]: one["area"] for one in answer["classes"]} == {
        name: int((mask == index).sum())
        for index, name in ((0, "background"), (1, "person"))
        if (mask == index).any()
    }
    assert answer["classes"][0]["run_lengths"]["size"] == [512, 512]


def test_with_json_nothing_is_drawn_unless_asked(tmp_path: Path) -> None:
    predict(ASTRONAUT, "--json")
    assert list(tmp_path.iterdir()) == []

    predict(ASTRONAUT, "--json", "--output", "drawn.png")
    assert [file.name for file in tmp_path.iterdir()] == ["drawn.png"]


@pytest.mark.parametrize(
    ("name", "kind"), [("out.png", "PNG"), ("out.jpg", "JPEG"), ("new/out.JPEG", "JPEG")]
)
def test_the_format_goes_by_the_name(tmp_path: Path, name: str, kind: str) -> None:
    assert predict(ASTRONAUT, "--output", name) == 0

    with Image.open(tmp_path / name) as drawn:
        assert drawn.format == kind


def test_several_pictures_and_folders_go_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.JPG").write_bytes(ASTRONAUT.read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    assert predict(folder, PICTURES / "camera.png", "--output", "drawn") == 0

    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["a-pose.jpg", "camera-pose.jpg"]


def test_pictures_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    predict("one", "two", "--output", "drawn")

    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["a-pose-2.jpg", "a-pose.jpg"]


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    for name in ("a.jpg", "a-pose.jpg"):
        (tmp_path / name).write_bytes(ASTRONAUT.read_bytes())
    predict("a.jpg", "a-pose.jpg")

    assert (tmp_path / "a-pose.jpg").read_bytes() == ASTRONAUT.read_bytes()
    assert {"a-pose-2.jpg", "a-pose-pose.jpg"} < {file.name for file in tmp_path.iterdir()}


def test_a_bad_picture_does_not_cost_the_others(tmp_path: Path, capsys: Out) -> None:
    (tmp_path / "text.jpg").write_text("this is not a picture")
    (tmp_path / "broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:20_000])
    code = predict("text.jpg", "gone.jpg", ASTRONAUT, "broken.jpg", "--json")
    out, err = capsys.readouterr()

    assert code == 1
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(ASTRONAUT)]
    assert [line.split(": ")[1] for line in err.splitlines()] == ["text.jpg", "gone.jpg", "broken.jpg"]
    assert "No such file" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: IMAGE"),
        ([ASTRONAUT, "--boxes", "[1, 2, 3, 4]"], r"is no list of boxes; expected [[x, y, width, height], …]"),
        ([ASTRONAUT, "--boxes", "[[1, 2, 3]]"], "is no list of boxes"),
        ([ASTRONAUT, "--boxes", "[[1, 2, 3, NaN]]"], "is no list of boxes"),
        ([ASTRONAUT, "--boxes", "{}x"], "is no list of boxes"),
        ([ASTRONAUT, "--boxes", "[[600, 2, 3, 4]]"], "box 0 lies outside the image"),
        (
            [ASTRONAUT, ASTRONAUT, "--boxes", "[[1, 2, 3, 4]]"],
            "--boxes are those of one picture; there are 2",
        ),
        (
            [ASTRONAUT, "--boxes", "[[1, 2, 3, 4]]", "--task", "segmentation"],
            "--boxes and --flip-test are for pose",
        ),
        (
            [ASTRONAUT, "--flip-test", "--model", "small-person"],
            "are for pose; model 'small-person' is for seg",
        ),
        (
            [ASTRONAUT, "--task", "pose", "--model", "small-person"],
            "'small-person' is for segmentation; expected",
        ),
        ([ASTRONAUT, "--model", "smal-pose"], "there is no model 'smal-pose': did you mean small-pose"),
        ([ASTRONAUT, "--model", "gone.safetensors"], "gone.safetensors cannot be read: No such file"),
        ([ASTRONAUT, "--device", "abacus"], "there is no device 'abacus'"),
        ([ASTRONAUT, "--precision", "float8"], "there is no precision 'float8'"),
        ([ASTRONAUT, "--threads", "0"], "threads is 0; expected 1 or more"),
        ([ASTRONAUT, "--output", "drawn.webp"], "cannot write drawn.webp; give a name that ends in .jpg"),
        (
            [ASTRONAUT, ASTRONAUT, "--output", "drawn.png"],
            "2 pictures do not fit into drawn.png; give a folder",
        ),
        ([ASTRONAUT, "--output", ASTRONAUT], "is the picture itself; give another file"),
        (["."], ". holds no picture; looked for .jpg"),
    ],
)
def test_wrong_use_is_told_before_anything_is_written(
    arguments: list[object], message: str, tmp_path: Path, capsys: Out
) -> None:
    before = ASTRONAUT.read_bytes()
    try:
        code = main(["predict", *map(str, arguments)])
    except SystemExit as left:  # argparse's way
        code = left.code

    assert code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert ASTRONAUT.read_bytes() == before


def test_boxes_of_nobody_give_nobody(capsys: Out) -> None:
    assert predict(ASTRONAUT, "--json", "--boxes", "[]") == 0
    assert answers(capsys)[0]["people"] == []


def test_whole_is_the_default_of_boxes(capsys: Out) -> None:
    predict(ASTRONAUT, "--json")
    predict(ASTRONAUT, "--json", "--boxes", "whole")
    one, other = answers(capsys)

    assert one == other


def test_a_model_without_named_classes_numbers_them(tmp_path: Path, capsys: Out) -> None:
    entry = saved(mask_entry("numbered", labels="2-classes"), tmp_path)
    assert predict(ASTRONAUT, "--model", entry.file, "--json") == 0

    (answer,) = answers(capsys)
    assert {one["name"] for one in answer["classes"]} <= {"class_0", "class_1"}


def test_a_turned_photograph_is_answered_upright(tmp_path: Path, capsys: Out) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    with Image.open(PICTURES / "grace_hopper.jpg") as picture:
        picture.save(file, "JPEG", exif=exif)
    (tmp_path / "turned.jpg").write_bytes(file.getvalue())
    predict("turned.jpg", "--json", "--output", "drawn.png")

    assert answers(capsys)[0]["image"] == {"width": 600, "height": 512}
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == (600, 512)


@pytest.mark.parametrize("command", ["predict", "evaluate", "train"])
def test_help_needs_no_torch(command: str) -> None:
    program = (
        "import sys; from hrformer.cli.main import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit as left: sys.exit(left.code or 9 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: hrformer {command}" in done.stdout
