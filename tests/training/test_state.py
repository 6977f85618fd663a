"""The state of a run on disk."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrformer.modeling.network import build
from hrformer.training.state import FILE, Run, load_state, save_state, start
from tests.training.small_runs import CPU, files_of_at_most, pose_recipe, same_state


def fresh(seed: int = 0, **changes: object) -> Run:
    recipe = pose_recipe(seed=seed, **changes)
    torch.manual_seed(seed)
    return start(build(recipe.network), recipe, CPU)


def a_step_on(run: Run) -> Run:
    """The run with other weights, moments and random numbers."""
    run.network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    run.optimiser.step()
    run.average.update(run.network)
    torch.rand(3, generator=run.generator)
    run.progress.step, run.progress.best = 7, 0.25
    return run


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    run = a_step_on(fresh())
    save_state(run, tmp_path)
    other = fresh(seed=1)
    load_state(other, tmp_path)

    assert same_state(other, run)
    assert other.progress == run.progress


def test_a_state_that_cannot_be_written_leaves_the_last_one(tmp_path: Path) -> None:
    save_state(fresh(), tmp_path)
    before = (tmp_path / FILE).read_bytes()
    with files_of_at_most(len(before) // 2), pytest.raises(OSError, match=r"state\.pt cannot be written"):
        save_state(a_step_on(fresh()), tmp_path)

    assert (tmp_path / FILE).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_without_a_state_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing to resume: there is no .*state\.pt"):
        load_state(fresh(), tmp_path)


@pytest.mark.parametrize("kept", [0, 100, 10_000])
def test_a_truncated_state_is_told(tmp_path: Path, kept: int) -> None:
    save_state(fresh(), tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"state\.pt is no state of a run, or a damaged one"):
        load_state(fresh(), tmp_path)


def test_a_state_of_another_network_is_told(tmp_path: Path) -> None:
    save_state(fresh(), tmp_path)
    network = pose_recipe().network
    deeper = replace(network, backbone=replace(network.backbone, blocks=2))
    with pytest.raises(ValueError, match=r"state\.pt is of another network or recipe"):
        load_state(fresh(network=deeper), tmp_path)


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / FILE)
    with pytest.raises(ValueError, match=r"state\.pt is of another network or recipe"):
        load_state(fresh(), tmp_path)
