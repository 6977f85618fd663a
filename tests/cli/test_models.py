"""`hrformer convert`, `models` and `inspect` on the same files."""

import json
from pathlib import Path

import pytest
import torch

from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import default_model, find, read_manifest
from hrformer.checkpoints.save import save_entry
from hrformer.cli.main import main
from hrformer.modeling.network import Network
from tests.checkpoints.published import CASES, IMAGENET, POSE, state_of
from tests.material import people_entry, saved, shallow_people


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "imagenet.pth"
    torch.save({"model": state_of(CASES[IMAGENET])}, path)
    return path


@pytest.fixture(scope="module")
def weights(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    flags = ["--dtype", "float16", "--labels", "imagenet", "--default", "--input-size", "256x224"]
    assert main(["convert", str(source), "--output", str(folder), "--name", "mine", *flags]) == 0
    return folder


def test_a_conversion_writes_file_and_manifest(weights: Path) -> None:
    entry = find("mine", weights / "manifest.toml")
    assert (entry.task, entry.variant, entry.precision) == ("classification", "tiny", "float16")
    assert (entry.labels, entry.input_sizes) == ("imagenet", ((256, 224),))
    assert load_network(entry).config == entry.config


def test_a_conversion_can_make_the_default_model(weights: Path) -> None:
    assert default_model("classification", weights / "manifest.toml").name == "mine"


def test_a_conversion_names_the_model_after_what_it_is(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(source), "--output", str(tmp_path), "--window", "9", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["name"], answer["family"]) == ("hrformer-tiny-classification", "hrformer-cls")
    (entry,) = read_manifest(tmp_path / "manifest.toml").values()
    assert entry.config.backbone.window_size == 9


def test_a_second_conversion_keeps_the_first(source: Path, weights: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main(["convert", str(source), "--output", str(tmp_path), "--name", name]) == 0
    assert list(read_manifest(tmp_path / "manifest.toml")) == ["one", "two"]


def test_switches_that_the_keys_do_not_show_are_kept(tmp_path: Path) -> None:
    torch.save({"state_dict": state_of(CASES[POSE])}, tmp_path / "pose.pth")
    flags = ["--relative-bias", "added", "--mask-padding", "--name", "switched"]
    assert main(["convert", str(tmp_path / "pose.pth"), "--output", str(tmp_path), *flags]) == 0
    backbone = find("switched", tmp_path / "manifest.toml").config.backbone
    assert (backbone.relative_bias, backbone.mask_padding, backbone.upsample) == ("added", True, "bilinear")


def test_a_file_of_our_own_keeps_what_it_says_of_itself(weights: Path, tmp_path: Path) -> None:
    source, output = str(weights / "mine.safetensors"), str(tmp_path)
    assert main(["convert", source, "--output", output, "--name", "again", "--dtype", "float32"]) == 0
    before, after = find("mine", weights / "manifest.toml"), find("again", tmp_path / "manifest.toml")
    assert (after.labels, after.input_sizes, after.config) == (
        before.labels,
        before.input_sizes,
        before.config,
    )
    assert after.precision == "float32"


def test_a_file_of_our_own_is_not_bent_to_another_family(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(weights / "mine.safetensors")
    assert main(["convert", source, "--output", str(tmp_path), "--window", "9"]) == 2
    assert "describes itself; --family, --window" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--family", "hrformer-pose"], "does not fit hrformer-pose"),
        (["--family", "vit"], "there is no family 'vit'; choose one of hrformer-pose, mmpose-1.x"),
        (["--name", "../escape"], "'../escape' is no name"),
    ],
)
def test_a_refused_conversion_is_one_line_and_writes_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    assert main(["convert", str(source), "--output", str(tmp_path / "out"), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_wrong_size_is_wrong_use(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["convert", str(source), "--output", str(tmp_path), "--input-size", "big"])
    assert leaving.value.code == 2


def test_models_are_a_table(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--manifest", str(weights / "manifest.toml")]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["name", "task", "default", "variant"]
    assert row.split() == ["mine", "classification", "yes", "tiny", "256x224", "float16", "imagenet"]


def test_models_are_json_for_programs(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--manifest", str(weights / "manifest.toml"), "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)
    assert (model["name"], model["input_sizes"]) == ("mine", [[256, 224]])
    assert model["is_default"] is True
    assert model["sha256"] == find("mine", weights / "manifest.toml").sha256


def test_inspecting_a_name_shows_what_it_is_made_of(
    weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(weights))
    assert main(["inspect", "mine", "--size", "224x224", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["parameters"], found["task"], found["head"]) == (
        8_035_820,
        "classification",
        {"classes": 1000},
    )
    assert f"{found['multiply_adds'] / 1e9:.3f}" == "1.708"


def test_inspecting_a_file_lists_its_keys(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(weights / "mine.safetensors"), "--keys"]) == 0
    assert "  head.classify.weight           [1000, 2048]" in capsys.readouterr().out


def test_inspecting_a_published_checkpoint_names_its_family(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    assert f"{'family':<30} hrformer-cls" in out
    assert f"{'parameters':<30} 8,035,820" in out


@pytest.fixture
def finder(tmp_path: Path) -> Path:
    """A weight file as training leaves it, of a model that finds people."""
    entry = people_entry(
        "model", variant="tiny", metrics={"AP50": 0.61, "AP": 0.3}, decode={"overlap": 0.5, "threshold": 0.35}
    )
    return saved(entry, tmp_path / "run").file


def test_a_trained_model_for_people_becomes_the_default_that_finds_them(finder: Path, tmp_path: Path) -> None:
    flags = ["--name", "mine", "--dtype", "float16", "--default"]
    assert main(["convert", str(finder), "--output", str(tmp_path), *flags]) == 0
    entry = default_model("people", tmp_path / "manifest.toml")

    assert (entry.name, entry.task, entry.precision) == ("mine", "people", "float16")
    assert (entry.decode, entry.metrics) == (
        {"overlap": 0.5, "threshold": 0.35},
        {"AP50": 0.61, "AP": 0.3},
    )
    assert load_network(entry).config == people_entry().config


def test_a_model_for_people_is_named_after_what_it_is(finder: Path, tmp_path: Path) -> None:
    assert main(["convert", str(finder), "--output", str(tmp_path)]) == 0
    assert list(read_manifest(tmp_path / "manifest.toml")) == ["hrformer-tiny-people"]


def test_models_for_people_are_listed_with_their_figures(
    finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["convert", str(finder), "--output", str(tmp_path), "--name", "mine"])
    capsys.readouterr()
    assert main(["models", "--manifest", str(tmp_path / "manifest.toml")]) == 0

    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[:3] == ["mine", "people", "no"]
    assert row.endswith("AP50 0.61, AP 0.3")


def test_inspecting_a_model_for_people_shows_its_head_and_cost(
    finder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(finder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert (found["task"], found["size"], found["head"]) == ("people", "64x96", {"channels": 16})
    assert found["multiply_adds"] > 1e7


def test_several_runs_are_averaged_and_their_figures_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [Network(shallow_people()).eval() for _ in range(3)]
    entries = [
        people_entry(name, file=tmp_path / f"{name}.safetensors", metrics={"AP50": 0.5}) for name in "abc"
    ]
    runs = [save_entry(*pair) for pair in zip(networks, entries, strict=True)]
    others = [flag for run in runs[1:] for flag in ("--average", str(run.file))]
    assert main(["convert", str(runs[0].file), *others, "--output", str(tmp_path), "--name", "mean"]) == 0
    mean = find("mean", tmp_path / "manifest.toml")
    states = [network.state_dict() for network in networks]
    for key, value in load_network(mean).state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, sum(state[key] for state in states) / 3, rtol=1e-3, atol=1e-5)
    assert (dict(mean.metrics), "mean of 3" in capsys.readouterr().out) == ({}, True)
