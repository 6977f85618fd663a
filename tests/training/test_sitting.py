"""Recipe, data and weights brought together."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrformer.checkpoints.errors import KeysDoNotMatch, UnknownModel
from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.save import save_entry
from hrformer.data.errors import BadDataset
from hrformer.modeling.network import build
from hrformer.training.sitting import choose_recipe, make_task, open_run, sit, start_from
from hrformer.training.state import save_state
from tests.material import mask_entry, pose_entry, saved, seeded, shallow_person, shallow_pose, write_mask_set
from tests.training.small_runs import CPU, mask_recipe, pose_recipe

SHALLOW = ["network.backbone.modules=(1, 1, 1)", "network.backbone.blocks=1"]
SHORT = [*SHALLOW, "steps=1", "batch_size=2", "input_size=(64, 64)", "canvas_px=96", "autocast=False"]


def test_a_sitting_trains_by_a_recipe_with_changes(
    pose_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sit("tiny-pose", SHORT, data=[pose_set], output=tmp_path / "run", device="cpu")

    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert "tiny-pose: 8 samples, 911,090 parameters, on cpu" in capsys.readouterr().err


def test_masks_are_trained_as_well(mask_set: Path, tmp_path: Path) -> None:
    changes = [*SHORT, "network.head.classes=2", "input_sizes=((64, 48),)"]
    sit("tiny-parsing", changes, data=[mask_set], output=tmp_path, device="cpu")

    assert (tmp_path / "samples.jpg").is_file()


def test_an_unknown_recipe_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recipe 'huge'; choose one of tiny-pose, tiny-pose-large"):
        choose_recipe("huge")


def test_a_length_of_no_minutes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="minutes is 0; expected more than 0"):
        sit("tiny-pose", [], data=[tmp_path], output=tmp_path, minutes=0)


@pytest.mark.parametrize("file", ["state.pt", "model.safetensors"])
def test_a_run_is_not_overwritten(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"precious")
    with pytest.raises(ValueError, match="holds a run already; go on with --resume, or give another folder"):
        sit("tiny-pose", SHORT, data=[tmp_path], output=tmp_path, device="cpu")

    assert (tmp_path / file).read_bytes() == b"precious"


def test_nothing_is_written_when_the_data_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="no labels for 'val'"):
        sit("tiny-pose", SHORT, data=[tmp_path], output=tmp_path / "run", device="cpu")

    assert not (tmp_path / "run").exists()


def test_there_must_be_something_to_resume(pose_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        sit("tiny-pose", SHORT, data=[pose_set], output=tmp_path, resume=True, device="cpu")


def test_fresh_weights_go_by_the_seed(tmp_path: Path) -> None:
    runs = [open_run(pose_recipe(seed=seed), CPU, tmp_path, resume=False, source=None) for seed in (1, 1, 2)]
    one, same, other = (next(run.network.backbone.parameters()) for run in runs)

    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_resumed_run_stands_where_it_stood(tmp_path: Path) -> None:
    run = open_run(pose_recipe(), CPU, tmp_path, resume=False, source=None)
    run.progress.step = 5
    save_state(run, tmp_path)

    assert open_run(pose_recipe(), CPU, tmp_path, resume=True, source=None).progress.step == 5


def test_a_network_with_the_same_head_starts_with_all_weights(tmp_path: Path) -> None:
    source = saved(pose_entry(), tmp_path).file
    network = build(shallow_pose())
    start_from(network, str(source))
    expected = seeded(shallow_pose()).state_dict()

    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_a_network_with_another_head_starts_with_the_backbone(tmp_path: Path) -> None:
    source = saved(pose_entry(), tmp_path).file
    network = build(shallow_person())
    head = {key: value.clone() for key, value in network.head.state_dict().items()}
    start_from(network, str(source))
    stem = seeded(shallow_pose()).backbone.state_dict()

    assert all(torch.equal(value, head[key]) for key, value in network.head.state_dict().items())
    assert all(torch.equal(stem[k], v) for k, v in network.backbone.state_dict().items() if k in stem)


def test_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    source = saved(pose_entry(), tmp_path).file
    wider = replace(shallow_pose().backbone, channels=(32, 64, 128, 256))
    with pytest.raises(KeysDoNotMatch, match="the backbone does not fit"):
        start_from(build(replace(shallow_pose(), backbone=wider)), str(source))


def test_weights_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.toml").write_text("format = 1\n")
    monkeypatch.setenv("HRFORMER_WEIGHTS", str(tmp_path))
    with pytest.raises(UnknownModel):
        start_from(build(shallow_pose()), "nobody")


def test_a_head_of_other_classes_than_the_data_is_told(mask_set: Path) -> None:
    three = replace(shallow_person(), head=replace(shallow_person().head, classes=3))
    with pytest.raises(ValueError, match=r"classes=3.*the data has 2 classes; set network\.head\.classes"):
        make_task([mask_set], mask_recipe(network=three), CPU)


def test_a_head_of_other_joints_than_cocos_is_told(pose_set: Path) -> None:
    fewer = replace(shallow_pose(), head=replace(shallow_pose().head, joints=14))
    with pytest.raises(ValueError, match="joints=14.*expected COCO's 17 joints"):
        make_task([pose_set], pose_recipe(network=fewer), CPU)


def test_classes_of_ones_own_travel_with_the_weights(tmp_path: Path) -> None:
    directory = write_mask_set(tmp_path / "pets", classes=["cat", "dog"])
    coloured = directory / "classes.json"
    coloured.write_text(coloured.read_text().replace('"name": "cat"', '"color": [9, 9, 9], "name": "cat"'))
    coloured.write_text(coloured.read_text().replace('"name": "dog"', '"color": [1, 2, 3], "name": "dog"'))
    task = make_task([directory], mask_recipe(), CPU)
    file = tmp_path / "pets.safetensors"
    save_entry(seeded(shallow_person()), replace(task.entry("pets", {}), file=file))

    assert find(file).palette == (("cat", (9, 9, 9)), ("dog", (1, 2, 3)))
    assert find(file).labels == "pets"
    assert set(task.evaluate(load_network(find(file)))) >= {"mean_iou", "iou_cat", "iou_dog"}


def test_a_model_trained_here_can_be_served_as_its_entry_says(mask_set: Path) -> None:
    entry = make_task([mask_set], mask_recipe(), CPU).entry("mine", {"mean_iou": 0.5})

    assert (entry.task, entry.labels, entry.input_sizes) == ("segmentation", "person", ((64, 48),))
    assert entry.config == mask_entry().config
