"""`hrformer evaluate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from hrformer.cli.main import main
from hrformer.data.coco import read_persons
from hrformer.engine.predictor import load
from hrformer.evaluation.pose import STATS
from hrformer.geometry.palettes import PERSON
from hrformer.modeling.config import NetworkConfig, SegmentationHeadConfig
from tests.material import mask_entry, pose_entry, saved, shallow, write_mask_set, write_pose_set

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and sets: pose.safetensors, masks.safetensors, poses/, persons/."""
    directory = tmp_path_factory.mktemp("evaluate")
    saved(pose_entry("pose"), directory)
    saved(mask_entry("masks"), directory)
    write_pose_set(directory / "poses", people=5)
    write_mask_set(directory / "persons")
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


def test_pose_figures_are_a_table(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "pose", "poses") == 0
    out = capsys.readouterr().out
    names = [line.rsplit(maxsplit=1)[0].strip() for line in out.splitlines()[2:]]

    assert out.startswith(f"pose on {directory / 'poses'}, val: 5 persons\n")
    assert names == ["figure", "mean OKS", "human", "teacher", *STATS]


def test_pose_figures_as_json(directory: Path, capsys: Out) -> None:
    assert evaluate(directory, "pose", "poses", "--json") == 0
    values = figures(capsys)

    assert (values["model"], values["split"], values["persons"]) == ("pose", "val", 5)
    assert 0 <= values["mean_oks"] <= 1
    assert values["mean_oks"] == pytest.approx(
        (2 * values["mean_oks_by_label"]["human"] + 3 * values["mean_oks_by_label"]["teacher"]) / 5
    )
    assert list(values["coco"]) == list(STATS)


def test_a_flip_test_changes_the_answers(directory: Path, capsys: Out) -> None:
    evaluate(directory, "pose", "poses", "--json")
    plain = figures(capsys)
    evaluate(directory, "pose", "poses", "--json", "--flip-test")

    assert figures(capsys)["mean_oks"] != plain["mean_oks"]


@pytest.mark.parametrize(
    ("model", "data", "counted"), [("pose", "poses", "persons"), ("masks", "persons", "pictures")]
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
    names = [line.rsplit(maxsplit=1)[0].strip() for line in capsys.readouterr().out.splitlines()[2:]]

    assert names == [
        "figure",
        "mean IoU",
        "background",
        "person",
        "pixel accuracy",
        "mean class accuracy",
        "foreground IoU",
    ]


def test_a_figure_without_value_is_null(directory: Path, tmp_path: Path, capsys: Out) -> None:
    data = write_mask_set(tmp_path)
    classes = (data / "classes.json").read_text()
    (data / "classes.json").write_text(classes.replace('"background_index": 0', '"background_index": null'))
    evaluate(directory, "masks", str(data), "--json")

    assert figures(capsys)["foreground_iou"] is None


@pytest.mark.parametrize(
    ("model", "data", "flags", "message"),
    [
        ("pose", "persons", [], "no labels for 'val' in"),
        ("masks", "poses", [], "expected the names of the classes"),
        ("pose", "poses", ["--split", "test"], "no labels for 'test' in"),
        ("pose", "poses", ["--limit", "0"], "--limit is 0; expected 1 or more"),
        ("masks", "persons", ["--flip-test"], "--flip-test is for pose; model 'masks' is for segmentation"),
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
    config = NetworkConfig(shallow(), SegmentationHeadConfig(10, channels=16, key_channels=8))
    entry = saved(mask_entry("parsing", config=config, labels="parsing"), tmp_path)
    code = main(["evaluate", str(entry.file), "--data", str(directory / "persons"), "--device", "cpu"])

    assert code == 2
    assert "tells 10 classes background skin hair" in capsys.readouterr().err


def test_measuring_leaves_the_answers_of_the_model(directory: Path, capsys: Out) -> None:
    """What is measured is what the library answers: found here by another way."""
    evaluate(directory, "pose", "poses", "--json", "--limit", "1")
    value = figures(capsys)["mean_oks"]
    person = read_persons(directory / "poses", "val")[0]
    (answer,) = load(directory / "pose.safetensors", device="cpu").pose(person.image, [person.box])
    from hrformer.evaluation.pose import pose_figures

    assert value == pytest.approx(pose_figures([answer], [person]).mean_oks)
