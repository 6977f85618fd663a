"""`hrformer predict`."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hrformer
from hrformer.checkpoints.manifest import MANIFEST, write_entry
from hrformer.cli.main import main
from hrformer.geometry.skeletons import JOINTS
from tests.material import ASTRONAUT, PICTURES, class_entry, mask_entry, people_entry, pose_entry, saved

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


@pytest.fixture
def with_a_finder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest with two models that find people, too; the first is the default. Another folder's."""
    directory = tmp_path.with_name(tmp_path.name + "-weights")
    shutil.copytree(weights, directory)
    finder, other = (
        people_entry(decode={"threshold": 0.8}),
        people_entry("other-people", input_sizes=((64, 64),)),
    )
    write_entry(saved(finder, directory), directory / MANIFEST, default=True)
    write_entry(saved(other, directory), directory / MANIFEST)
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(directory))
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
            "--boxes is for pose; model 'small-person' is for segmentation",
        ),
        (
            [ASTRONAUT, "--flip-test", "--model", "small-person"],
            "--flip-test is for pose; model 'small-person' is for segmentation",
        ),
        (
            [ASTRONAUT, "--max-people", "3", "--model", "small-person"],
            "--max-people is for pose and people; model 'small-person' is for segmentation",
        ),
        ([ASTRONAUT, "--max-people", "0"], "max_people is 0; expected 1 to 100"),
        ([ASTRONAUT, "--box-threshold", "30"], "box_threshold is 30; expected 0 to 1"),
        ([ASTRONAUT, "--box-threshold", "few"], "'few' is no float"),
        ([ASTRONAUT, "--task", "people"], "names no default model for people"),
        (
            [ASTRONAUT, "--finder", "small-person"],
            "finder 'small-person' is for segmentation; expected a model for people",
        ),
        ([ASTRONAUT, "--finder", "nobody"], "there is no model 'nobody'"),
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


def test_without_a_model_that_finds_people_the_whole_picture_is_one(capsys: Out) -> None:
    predict(ASTRONAUT, "--json")
    predict(ASTRONAUT, "--json", "--boxes", "whole")
    one, other = answers(capsys)

    assert one == other
    assert [person["box"] for person in one["people"]] == [[0, 0, 512, 512]]


def test_everyone_is_found_and_drawn(with_a_finder: Path, tmp_path: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--json", "--output", "drawn.png")
    (answer,) = answers(capsys)
    people = hrformer.load("small-pose", device="cpu").pose(ASTRONAUT)

    assert answer["boxes"] == "found"
    assert len(people) > 1
    assert [(tuple(one["box"]), one["score"], one["box_score"]) for one in answer["people"]] == [
        (person.box, round(person.score, 4), round(person.box_score, 4)) for person in people
    ]
    assert (tmp_path / "drawn.png").is_file()


def test_boxes_of_an_answer_given_back_give_its_keypoints(with_a_finder: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--json")
    (found,) = answers(capsys)
    predict(ASTRONAUT, "--json", "--boxes", json.dumps([person["box"] for person in found["people"]]))
    (given,) = answers(capsys)

    assert (given["boxes"], [person["box_score"] for person in given["people"]][:2]) == ("given", [1, 1])
    assert [one["keypoints"] for one in given["people"]] == [one["keypoints"] for one in found["people"]]


def test_who_is_looked_for_may_be_narrowed(with_a_finder: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--json")
    predict(ASTRONAUT, "--json", "--max-people", "1")
    predict(ASTRONAUT, "--json", "--box-threshold", "1.0")
    everybody, best, nobody = ([person["box_score"] for person in one["people"]] for one in answers(capsys))

    assert best == [max(everybody)]
    assert nobody == []


def test_another_finder_may_be_chosen(with_a_finder: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--json", "--finder", "other-people")
    predict(ASTRONAUT, "--json", "--model", "other-people")
    poses, boxes = answers(capsys)

    assert {tuple(one["box"]) for one in poses["people"]} == {tuple(one["box"]) for one in boxes["people"]}


def test_whole_takes_the_picture_though_people_could_be_found(with_a_finder: Path, capsys: Out) -> None:
    predict(ASTRONAUT, PICTURES / "camera.png", "--json", "--boxes", "whole")

    assert [[one["box"] for one in answer["people"]] for answer in answers(capsys)] == [
        [[0, 0, 512, 512]],
        [[0, 0, 256, 256]],
    ]


@pytest.mark.parametrize("chosen", [("--model", "small-people"), ("--task", "people")])
def test_a_model_for_people_tells_and_draws_boxes(
    with_a_finder: Path, tmp_path: Path, capsys: Out, chosen: tuple[str, str]
) -> None:
    assert predict(ASTRONAUT, *chosen) == 0
    assert (tmp_path / "astronaut-people.jpg").is_file()
    assert " people (" in capsys.readouterr().out
    predict(ASTRONAUT, *chosen, "--json")
    (answer,) = answers(capsys)
    found = hrformer.load("small-people", device="cpu").people(ASTRONAUT)

    assert (answer["model"], set(answer["people"][0])) == ("small-people", {"box", "score"})
    assert answer["people"] == [{"box": list(box), "score": round(score, 4)} for box, score in found]


def test_nobody_is_said_in_words(with_a_finder: Path, capsys: Out) -> None:
    predict(ASTRONAUT, "--box-threshold", "1.0")

    assert ": nobody → astronaut-pose.jpg" in capsys.readouterr().out


def test_flags_of_poses_are_not_for_boxes(with_a_finder: Path, capsys: Out) -> None:
    assert predict(ASTRONAUT, "--task", "people", "--finder", "other-people") == 2
    assert "--finder is for pose; model 'small-people' is for people" in capsys.readouterr().err


def test_a_model_without_named_classes_numbers_them(tmp_path: Path, capsys: Out) -> None:
    entry = saved(mask_entry("numbered", labels="2-classes"), tmp_path)
    assert predict(ASTRONAUT, "--model", entry.file, "--json") == 0

    (answer,) = answers(capsys)
    assert {one["name"] for one in answer["classes"]} <= {"class_0", "class_1"}


def test_a_classifier_tells_the_likeliest_classes_and_draws_nothing(tmp_path: Path, capsys: Out) -> None:
    entry = saved(class_entry("pets"), tmp_path)
    assert predict(ASTRONAUT, "--model", entry.file) == 0
    words = capsys.readouterr().out
    predict(ASTRONAUT, "--model", entry.file, "--json")
    (answer,) = answers(capsys)
    expected = hrformer.load(entry.file, device="cpu").classify(ASTRONAUT)

    assert [(one["name"], one["score"]) for one in answer["classes"]] == [
        (name, pytest.approx(score, abs=1e-4)) for name, score in expected
    ]
    assert words == f"{ASTRONAUT}: " + ", ".join(f"{name} {score:.2f}" for name, score in expected) + "\n"
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors"}


@pytest.mark.parametrize("flag", [["--output", "x.jpg"], ["--flip-test"], ["--max-people", "3"]])
def test_flags_of_other_tasks_are_not_for_a_classifier(tmp_path: Path, flag: list[str], capsys: Out) -> None:
    entry = saved(class_entry("pets"), tmp_path)

    assert predict(ASTRONAUT, "--model", entry.file, *flag) == 2
    assert f"{flag[0]} is for pose" in capsys.readouterr().err


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
