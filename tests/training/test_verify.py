"""Losses and optimiser steps against stored ones."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hrformer.training.verify import verify_training

PUBLISHED = Path(__file__).parent / "published"
Stored = dict[str, npt.NDArray[np.float64]]


def pose_arrays() -> Stored:
    """What numpy makes of the loss: the mean of (weight * difference)² and its derivative."""
    random = np.random.default_rng(0)
    output, target = random.normal(size=(2, 3, 4, 5)), random.normal(size=(2, 3, 4, 5))
    weight = np.array([[1.0, 0, 1], [0.5, 1, 1]])[..., None]
    wide = weight[..., None]
    return {
        "mse.output": output,
        "mse.target": target,
        "mse.weight": weight,
        "mse.loss": np.mean((wide * (output - target)) ** 2),
        "mse.grad": 2 * wide**2 * (output - target) / output.size,
        "mse.loss_unweighted": np.mean((output - target) ** 2),
    }


def segmentation_arrays() -> Stored:
    """What numpy makes of OHEM, all pixels labelled and of one weight."""
    random = np.random.default_rng(1)
    final, auxiliary = random.normal(size=(1, 3, 4, 5)), random.normal(size=(1, 3, 4, 5))
    labels = random.integers(0, 3, size=(1, 4, 5))

    def true_probability(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return np.take_along_axis(shares, labels[:, None], axis=1).ravel()

    probability = true_probability(final)
    hard = probability < max(0.4, np.sort(probability)[6])
    ohem, plain = -np.log(probability[hard]).mean(), -np.log(true_probability(auxiliary)).mean()
    return {
        "seg": final,
        "aux": auxiliary,
        "label": labels.astype(np.float64),
        "class_weight": np.ones(3),
        "ohem_0.thresh": np.array(0.4),
        "ohem_0.min_kept": np.array(6.0),
        "ohem_0.weighted": np.array(0.0),
        "ohem_0.ohem": np.array(ohem),
        "ohem_0.aux_ce": np.array(plain),
        "ohem_0.total": np.array(ohem + 0.4 * plain),
    }


def failing(directory: Path, file: str, arrays: Stored) -> list[str]:
    np.savez(directory / file, **arrays)  # type: ignore[arg-type]
    checks = verify_training(directory)
    assert checks
    return [check.name for check in checks if not check.passed]


def test_three_steps_of_the_published_training_code_are_repeated(tmp_path: Path) -> None:
    shutil.copy(PUBLISHED / "train_steps_mm-tiny-64x64.npz", tmp_path)
    checks = verify_training(tmp_path)

    assert [check.name.rpartition("/")[2] for check in checks] == [
        "loss",
        "param_norm_float64",
        "running_norm_float64",
    ]
    assert [check.name for check in checks if not check.passed] == []


def test_the_pose_loss_is_that_of_numpy(tmp_path: Path) -> None:
    assert failing(tmp_path, "train_pose.npz", pose_arrays()) == []


@pytest.mark.parametrize("name", ["mse.loss", "mse.grad", "mse.loss_unweighted"])
def test_another_pose_loss_fails_its_own_check(tmp_path: Path, name: str) -> None:
    arrays = pose_arrays()
    arrays[name] = arrays[name] * 1.00001

    assert failing(tmp_path, "train_pose.npz", arrays) == [f"train_pose/{name}"]


def test_the_segmentation_loss_is_that_of_numpy(tmp_path: Path) -> None:
    assert failing(tmp_path, "train_seg_loss.npz", segmentation_arrays()) == []


@pytest.mark.parametrize("name", ["ohem", "aux_ce", "total"])
def test_another_segmentation_loss_fails_its_own_check(tmp_path: Path, name: str) -> None:
    arrays = segmentation_arrays()
    arrays[f"ohem_0.{name}"] = arrays[f"ohem_0.{name}"] * 1.00001

    assert failing(tmp_path, "train_seg_loss.npz", arrays) == [f"train_seg_loss/ohem_0.{name}"]


def test_a_file_that_names_no_network_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "train_steps_resnet-50.npz", keys=np.zeros(1))
    with pytest.raises(ValueError, match="'resnet-50' does not name a network"):
        verify_training(tmp_path)


def test_a_folder_without_training_arrays_has_no_checks(tmp_path: Path) -> None:
    assert verify_training(tmp_path) == []


def test_the_losses_are_those_of_the_authors(reference: Path, tmp_path: Path) -> None:
    for name in ("train_pose.npz", "train_seg_loss.npz"):
        if not (reference / name).is_file():
            pytest.skip(f"{reference} has no {name}")
        shutil.copy(reference / name, tmp_path)
    checks = verify_training(tmp_path)

    assert len(checks) == 28
    assert [check.name for check in checks if not check.passed] == []
