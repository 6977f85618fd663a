"""`hrformer evaluate`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hrformer.cli.main import main
from hrformer.data.coco import read_persons
from hrformer.engine.predictor import load
from hrformer.evaluation.coco import STATS
from hrformer.evaluation.people import SIZES
from hrformer.geometry.palettes import PERSON
from hrformer.modeling.config import NetworkConfig, SegmentationHeadConfig
from tests.material import (
    class_entry,
    mask_entry,
    people_entry,
    pose_entry,
    saved,
    shallow,
    write_image_folder,
    write_mask_set,
    write_people_set,
    write_pose_set,
)

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and a set for each of them: pose.safetensors and poses/, masks and persons/ …"""
    directory = tmp_path_factory.mktemp("evaluate")
    for entry in (pose_entry("pose"), mask_entry("masks"), class_entry("pets"), people_entry("finder")):
        saved(entry, directory)
    write_pose_set(directory / "poses", people=5)
    write_mask_set(directory / "persons")
    write_image_folder(directory / "pictures")
    write_people_set(directory / "photographs")
    return directory


def evaluate(directory: Path, model: str, data: str, *flags: str) -> int:
    return main(
        [
            "evaluate",
            str(directory / f"{model}.safetensors"),
            "--data",
            str(directory / data),
            *flags,
            "--device",
            "cpu",
        ]
    )


def figures(out: Out) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(out.readouterr().out)
    return values


VALUE = r"(\d\.\d{4}( \[\d\.\d{3}, \d\.\d{3}\])?|–)"


def rows(out: str) -> list[str]:
    """The names in a table of figures, each of which has a value."""
    lines = out.partition("\n\n")[2].splitlines()[1:]
    found = [re.fullmatch(rf"(.+?)  +{VALUE}", line) for line in lines]
    assert all(found), out
    return [match[1] for match in found if match]


def test_pose_figures_are_a_table(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "pose", "poses") == 0
    out = capsys.readouterr().out

    assert out.startswith(f"pose on {directory / 'poses'}, val: 5 persons\n\nfigure ")
    assert rows(out) == ["mean OKS", "  human", "  teacher", "PCK@0.1", "PCK@0.2", *STATS]
    assert re.search(r"^mean OKS +0\.\d{4} \[0\.\d{3}, 0\.\d{3}\]$", out, re.MULTILINE)
    assert re.search("^AP_large +–$", out, re.MULTILINE)


def test_pose_figures_as_json(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "pose", "poses", "--json") == 0
    values = figures(capsys)

    assert (values["model"], values["split"], values["persons"]) == ("pose", "val", 5)
    assert 0 <= values["mean_oks"] <= 1
    assert values["mean_oks"] == pytest.approx(
        (2 * values["mean_oks_by_label"]["human"] + 3 * values["mean_oks_by_label"]["teacher"]) / 5
    )
    assert list(values["coco"]) == list(STATS)
    low, high = values["intervals"]["mean_oks"]
    assert low < values["mean_oks"] < high
    assert list(values["intervals"]["coco"]) == list(STATS)


def test_detections_are_measured_over_whole_pictures(directory: Path, tmp_path: Path, capsys: Out) -> None:
    found = [
        {"image_id": person.image_id, "bbox": person.box, "score": 0.5}
        for person in read_persons(directory / "poses", "val")
    ]
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert evaluate(directory, "pose", "poses", "--json", "--detections", str(tmp_path / "found.json")) == 0
    values = figures(capsys)
    evaluate(directory, "pose", "poses", "--json")

    assert (values["pictures"], values["detections"]) == (5, str(tmp_path / "found.json"))
    assert "mean_oks" not in values
    assert values["coco"] == figures(capsys)["coco"]  # the boxes are those of the labels, each alone


def test_a_flip_test_changes_the_answers(directory: Path, capsys: Out) -> None:
    evaluate(directory, "pose", "poses", "--json")
    plain = figures(capsys)
    evaluate(directory, "pose", "poses", "--json", "--flip-test")

    assert figures(capsys)["mean_oks"] != plain["mean_oks"]


@pytest.mark.parametrize(
    ("model", "data", "counted"),
    [
        ("pose", "poses", "persons"),
        ("masks", "persons", "pictures"),
        ("pets", "pictures", "pictures"),
        ("finder", "photographs", "pictures"),
    ],
)
def test_a_limit_takes_the_first_ones(
    directory: Path, model: str, data: str, counted: str, capsys: Out
) -> None:
    assert evaluate(directory, model, data, "--limit", "2", "--json") == 0
    assert figures(capsys)[counted] == 2


def test_another_split_is_measured_when_asked(directory: Path, capsys: Out) -> None:
    evaluate(directory, "pose", "poses", "--split", "train", "--json")
    values = figures(capsys)

    assert values["split"] == "train"
    assert values["persons"] == len(read_persons(directory / "poses", "train"))


def test_mask_figures_as_json(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "masks", "persons", "--json") == 0
    values = figures(capsys)

    assert values["pictures"] == 3
    assert list(values["iou"]) == [name for name, _ in PERSON]
    assert values["mean_iou"] == pytest.approx(sum(values["iou"].values()) / 2)
    assert {"pixel_accuracy", "mean_class_accuracy", "foreground_iou"} <= set(values)


def test_mask_figures_are_a_table(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "masks", "persons") == 0

    assert rows(capsys.readouterr().out) == [
        "mean IoU",
        "  background",
        "  person",
        "pixel accuracy",
        "mean class accuracy",
        "foreground IoU",
    ]


@pytest.mark.parametrize("flags", [["--flip-test"], ["--scales", "0.75,1,1.25"], ["--scales", "2"]])
def test_further_views_of_a_picture_are_measured(directory: Path, flags: list[str], capsys: Out) -> None:
    assert evaluate(directory, "masks", "persons", "--json", *flags) == 0
    values = figures(capsys)

    assert (values["flip_test"], values["scales"]) == (
        "--flip-test" in flags,
        [1.0] if "--flip-test" in flags else [float(part) for part in flags[1].split(",")],
    )
    assert 0 <= values["mean_iou"] <= 1


def test_a_parsing_model_is_measured_on_people_before_a_background(
    directory: Path, tmp_path: Path, capsys: Out
) -> None:
    config = NetworkConfig(shallow(), SegmentationHeadConfig(10, channels=16, key_channels=8))
    entry = saved(mask_entry("parsing", config=config, labels="parsing"), tmp_path)
    assert evaluate(directory, str(entry.file.with_suffix("")), "persons", "--json") == 0
    values = figures(capsys)

    assert list(values["iou"]) == ["background", "person"]
    assert values["foreground_iou"] == values["iou"]["person"]


def test_classes_of_pictures_are_measured(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "pets", "pictures") == 0
    assert rows(capsys.readouterr().out) == ["top-1"]  # of three classes, five are no news

    evaluate(directory, "pets", "pictures", "--json")
    values = figures(capsys)
    answers = load(directory / "pets.safetensors", device="cpu")
    right = [
        answers.classify(file, top=1)[0].name == file.parent.name
        for file in sorted((directory / "pictures" / "val").glob("*/*.png"))
    ]
    assert (values["top_1"], values["pictures"]) == (sum(right) / len(right), 6)


def test_few_pictures_are_of_many_classes(directory: Path, tmp_path: Path, capsys: Out) -> None:
    """The first three would all be birds."""
    one = write_image_folder(tmp_path / "one", pictures=4)
    for file in (one / "val").glob("*/[123].png"):
        file.write_bytes(b"")  # not read

    assert evaluate(directory, "pets", str(one), "--limit", "3") == 0


def test_found_people_are_measured(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "finder", "photographs") == 0
    names = rows(capsys.readouterr().out)

    assert names[:3] == ["AP", "AP50", "AP75"]
    assert names[-4:] == [*(f"recall of {size} people" for size in SIZES), "false alarms"]


def test_what_counts_is_told_with_the_figures_of_found_people(directory: Path, capsys: Out) -> None:
    evaluate(directory, "finder", "photographs")
    assert "box threshold 0.01, smallest px 25, false alarm score 0.5" in capsys.readouterr().out

    evaluate(directory, "finder", "photographs", "--json", "--box-threshold", "0.3")
    values = figures(capsys)
    told = {name: values[name] for name in ("box_threshold", "smallest_px", "false_alarm_score")}
    assert told == {"box_threshold": 0.3, "smallest_px": 25, "false_alarm_score": 0.5}
    assert len(values["intervals"]["false_alarms"]) == 2


def test_poses_of_found_people_are_measured_against_given_boxes(directory: Path, capsys: Out) -> None:
    finder = ("--finder", str(directory / "finder.safetensors"))
    assert evaluate(directory, "pose", "poses", *finder) == 0
    out = capsys.readouterr().out
    head, limits = out.splitlines()[:2]
    assert ", people found by finder on " in head
    assert limits == "box threshold 0.01, max people 20"
    lost = [f"relative loss of {name}" for name in STATS[:2]]
    assert rows(out) == [*STATS, *(f"{name}, given boxes" for name in STATS), *lost]

    evaluate(directory, "pose", "poses", "--json", *finder)
    found = figures(capsys)
    evaluate(directory, "pose", "poses", "--json")
    given = figures(capsys)
    assert found["coco_given_boxes"] == given["coco"]
    assert found["finder"]["model"] == "finder"


@pytest.mark.parametrize(("model", "data"), [("pose", "poses"), ("masks", "persons"), ("pets", "pictures")])
def test_what_runs_together_changes_no_more_than_last_digits(
    directory: Path, model: str, data: str, capsys: Out
) -> None:
    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return pytest.approx(value, abs=1e-3) if isinstance(value, float) else value

    evaluate(directory, model, data, "--json")
    alone = {name: value for name, value in figures(capsys).items() if name != "intervals"}
    evaluate(directory, model, data, "--json", "--batch", "4")
    together = {name: value for name, value in figures(capsys).items() if name != "intervals"}

    assert together == rounded(alone)


def test_a_figure_without_value_is_null(directory: Path, tmp_path: Path, capsys: Out) -> None:
    data = write_mask_set(tmp_path)
    classes = (data / "classes.json").read_text()
    (data / "classes.json").write_text(classes.replace('"background_index": 0', '"background_index": null'))
    evaluate(directory, "masks", str(data), "--json")

    values = figures(capsys)
    assert values["foreground_iou"] is None
    assert values["intervals"]["foreground_iou"] == [None, None]


def test_a_finder_that_the_manifest_does_not_have_is_missed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    (tmp_path / "manifest.toml").write_text("format = 1\n")
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    assert evaluate(directory, "pose", "poses", "--finder", "auto") == 2
    assert "no default model for people; name one by --finder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "data", "flags", "message"),
    [
        ("pose", "persons", [], "no labels for 'val' in"),
        ("masks", "poses", [], "expected the names of the classes"),
        ("pose", "poses", ["--split", "test"], "no labels for 'test' in"),
        ("pose", "poses", ["--limit", "0"], "--limit is 0; expected 1 or more"),
        ("pose", "poses", ["--batch", "0"], "--batch is 0; expected 1 or more"),
        ("pose", "poses", ["--scales", "1,2"], "--scales is for segmentation; model 'pose' is for pose"),
        ("masks", "persons", ["--scales", "9"], "scales are 9; expected numbers from 0.25 to 4"),
        ("masks", "persons", ["--detections", "x.json"], "--detections is for pose; model 'masks' is for"),
        (
            "pets",
            "pictures",
            ["--flip-test"],
            "--flip-test is for pose and segmentation; model 'pets' is for",
        ),
        ("finder", "photographs", ["--flip-test"], "--flip-test is for pose and segmentation"),
        ("pose", "poses", ["--detections", "x.json"], "x.json cannot be read: No such file"),
        ("pose", "poses", ["--detections", "x.json", "--finder", "auto"], "leave out --finder"),
        ("pose", "poses", ["--finder", "hrformer-tiny-pose"], "is for pose; expected a model for people"),
        ("finder", "photographs", ["--finder", "auto"], "--finder is for pose; model 'finder' is for people"),
        ("pose", "poses", ["--box-threshold", "0.1"], "--box-threshold is for people, and for pose with"),
        ("finder", "photographs", ["--box-threshold", "2"], "--box-threshold is 2; expected 0 to 1"),
        ("pose", "poses", ["--api-key", "k"], "--api-key is for a service; give --url too"),
        ("pose", "poses", ["--url", "http://127.0.0.1:1"], "--device is a matter of the service"),
        ("pets", "persons", [], "there is no folder"),
        ("finder", "persons", [], "no labels for 'val' in"),
        ("nothing", "poses", [], "nothing.safetensors cannot be read"),
    ],
)
def test_wrong_use_is_one_line(
    directory: Path, model: str, data: str, flags: list[str], message: str, capsys: Out
) -> None:
    assert evaluate(directory, model, data, *flags) == 2
    out, err = capsys.readouterr()

    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_model_of_other_classes_than_the_masks_is_told(
    directory: Path, tmp_path: Path, capsys: Out
) -> None:
    config = NetworkConfig(shallow(), SegmentationHeadConfig(11, channels=16, key_channels=8))
    entry = saved(mask_entry("streets", config=config, labels="camvid"), tmp_path)
    code = main(["evaluate", str(entry.file), "--data", str(directory / "persons"), "--device", "cpu"])

    assert code == 2
    assert "tells 11 classes sky building pole" in capsys.readouterr().err


def test_classes_that_a_model_does_not_know_are_told(directory: Path, tmp_path: Path, capsys: Out) -> None:
    write_image_folder(tmp_path, classes=("cat", "cow", "owl"))

    assert evaluate(directory, "pets", str(tmp_path)) == 2
    assert "tells 3 classes, bird, cat, dog; 2 of the set's 3 are others: cow, owl" in capsys.readouterr().err


def test_scales_that_are_no_numbers_are_wrong_use(capsys: Out) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "m", "--data", "d", "--scales", "1;2"])
    assert "'1;2' is no list of scales; write 0.75,1,1.25" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_one_line(directory: Path, capsys: Out) -> None:
    code = main(["evaluate", "pose", "--data", str(directory / "poses"), "--url", "http://127.0.0.1:1"])
    err = capsys.readouterr().err

    assert (code, err.count("\n")) == (2, 1)
    assert "no answer from http://127.0.0.1:1" in err


def test_measuring_leaves_the_answers_of_the_model(directory: Path, capsys: Out) -> None:
    """What is measured is what the library answers: found here by another way."""
    evaluate(directory, "pose", "poses", "--json", "--limit", "1")
    value = figures(capsys)["mean_oks"]
    person = read_persons(directory / "poses", "val")[0]
    (answer,) = load(directory / "pose.safetensors", device="cpu").pose(person.image, [person.box])
    from hrformer.evaluation.pose import pose_figures

    # Answers are rounded to 0.01 px before they are measured.
    assert value == pytest.approx(pose_figures([answer], [person]).mean_oks, rel=1e-3)
