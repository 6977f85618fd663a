"""Losses, gradients and optimiser steps, compared with stored ones of the authors' training code."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.check import Check
from hrformer.checkpoints.families.table import Family
from hrformer.checkpoints.fill import fill_input, fill_state
from hrformer.checkpoints.keys import shapes_of
from hrformer.checkpoints.translate import expected_keys, family_named, translate
from hrformer.modeling.config import NetworkConfig, RelativeBias, SegmentationHeadConfig
from hrformer.modeling.network import Network
from hrformer.modeling.variants import variant
from hrformer.training.losses import heatmap_loss, ohem_cross_entropy, segmentation_loss
from hrformer.training.parameters import adamw

Arrays = Mapping[str, npt.NDArray[np.float64]]

TOLERANCE = 1e-6  # relative, in float64
FAMILIES: dict[str, tuple[str, RelativeBias]] = {
    "pose": ("hrformer-pose", "stored"),
    "mm": ("mmpose-1.x", "added"),
    "seg": ("hrformer-seg", "added"),
}
CLASSES = {"tiny": 7, "small": 7, "base": 9}  # of the segmentation networks
STEP_BATCHES = {(64, 64): 4, (96, 64): 3}  # by input size; the gradients are of batches of 2
AUTHORS_RATE, AUTHORS_DECAY = 5e-4, 0.01


@dataclass(frozen=True)
class Subject:
    """What a file's name says: `FAMILY-VARIANT-HEIGHTxWIDTH`, for gradients and `-train` or `-eval`."""

    tag: str
    family: Family
    config: NetworkConfig
    size: tuple[int, int]  # (height, width)
    is_training: bool

    @property
    def outputs(self) -> int:
        head = self.config.head
        return head.joints if self.family.task == "pose" else head.classes  # type: ignore[union-attr]


def verify_training(directory: Path) -> list[Check]:
    """Every training array of a reference folder against our functions, in float64.

    What the folder does not have is left out.
    raises: ValueError if a file's name does not say what network it is about.
    """
    checks: list[Check] = []
    if (file := directory / "train_pose.npz").is_file():
        checks += pose_loss_checks(_arrays(file))
    if (file := directory / "train_seg_loss.npz").is_file():
        checks += segmentation_loss_checks(_arrays(file))
    for file in sorted(directory.glob("train_grad_*.npz")):
        checks += gradient_checks(_arrays(file), _subject(file.stem.removeprefix("train_grad_")), file.stem)
    for file in sorted(directory.glob("train_steps_*.npz")):
        checks += step_checks(_arrays(file), _subject(file.stem.removeprefix("train_steps_")), file.stem)
    return checks


def pose_loss_checks(arrays: Arrays) -> Iterator[Check]:
    """The weighted heatmap loss and its gradient, and the loss with all weights 1."""
    if "mse.output" not in arrays:
        return
    output, target, weight = (
        torch.from_numpy(arrays[f"mse.{name}"]) for name in ("output", "target", "weight")
    )
    output.requires_grad_()
    loss = heatmap_loss(output, target, weight[..., 0])
    loss.backward()  # type: ignore[no-untyped-call]
    assert output.grad is not None
    yield Check("train_pose/mse.loss", _error(loss.item(), arrays["mse.loss"]), TOLERANCE)
    yield Check("train_pose/mse.grad", _error(output.grad.numpy(), arrays["mse.grad"]), TOLERANCE)
    if "mse.loss_unweighted" in arrays:
        plain = heatmap_loss(output.detach(), target, torch.ones_like(weight[..., 0])).item()
        yield Check("train_pose/mse.loss_unweighted", _error(plain, arrays["mse.loss_unweighted"]), TOLERANCE)


def segmentation_loss_checks(arrays: Arrays) -> Iterator[Check]:
    """OHEM, auxiliary cross entropy, their sum and its gradients, for each stored setting."""
    for name in sorted(key.split(".")[0] for key in arrays if key.endswith(".thresh")):
        final, auxiliary = (torch.from_numpy(arrays[key]).clone().requires_grad_() for key in ("seg", "aux"))
        labels = torch.from_numpy(arrays["label"]).long()
        weights = torch.from_numpy(arrays["class_weight"]) if arrays[f"{name}.weighted"] else None
        threshold, min_kept = float(arrays[f"{name}.thresh"]), int(arrays[f"{name}.min_kept"])
        hard = ohem_cross_entropy(
            final, labels, threshold=threshold, min_kept=min_kept, class_weights=weights
        )
        total = segmentation_loss(
            auxiliary, final, labels, threshold=threshold, min_kept=min_kept, class_weights=weights
        )
        total.backward()  # type: ignore[no-untyped-call]
        found = {
            "ohem": hard.item(),
            "aux_ce": (total.item() - hard.item()) / 0.4,
            "total": total.item(),
            "grad_seg_norm": _norm(final.grad),
            "grad_aux_norm": _norm(auxiliary.grad),
        }
        for what, value in found.items():
            if f"{name}.{what}" in arrays:
                yield Check(
                    f"train_seg_loss/{name}.{what}", _error(value, arrays[f"{name}.{what}"]), TOLERANCE
                )


def gradient_checks(arrays: Arrays, subject: Subject, name: str) -> Iterator[Check]:
    """Loss, gradient norm of every parameter, and running statistics after one pass forward and back."""
    network = _filled(subject).train(subject.is_training)
    loss = _loss(network, subject, f":{subject.tag}", batch=2)
    yield Check(f"{name}/loss", _error(loss.item(), arrays["loss"]), TOLERANCE)
    loss.backward()  # type: ignore[no-untyped-call]
    norms = _by_their_names(subject.family, {k: p.grad for k, p in network.named_parameters()})
    expected = dict(zip(arrays["keys"].tolist(), arrays["grad_norm"].tolist(), strict=True))
    yield Check(f"{name}/grad_norm", _norms_error(norms, expected), TOLERANCE)
    stored = {
        k.removeprefix("after_forward."): v for k, v in arrays.items() if k.startswith("after_forward.")
    }
    if stored:
        buffers = dict(network.named_buffers())
        worst = max(_error(buffers[_our_key(subject, key)].numpy(), value) for key, value in stored.items())
        yield Check(f"{name}/running_statistics", worst, TOLERANCE)


def step_checks(arrays: Arrays, subject: Subject, name: str) -> Iterator[Check]:
    """Losses of AdamW steps, and the norms of parameters and running statistics after them."""
    network = _filled(subject).train()
    optimiser = adamw(network, learning_rate=AUTHORS_RATE, weight_decay=AUTHORS_DECAY)
    losses = []
    for step in range(len(arrays["loss_float64"])):
        loss = _loss(
            network,
            subject,
            f":{subject.tag}:{step}",
            batch=STEP_BATCHES.get(subject.size, 4),
            weighted=False,
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    yield Check(f"{name}/loss", _error(np.array(losses), arrays["loss_float64"]), TOLERANCE)
    running = {k: v for k, v in network.named_buffers() if ".running_" in k}
    for keys, norms, values in (
        ("keys", "param_norm_float64", {k: p.detach() for k, p in network.named_parameters()}),
        ("running_keys", "running_norm_float64", running),
    ):
        found = _by_their_names(subject.family, values)
        expected = dict(zip(arrays[keys].tolist(), arrays[norms].tolist(), strict=True))
        yield Check(f"{name}/{norms}", _norms_error(found, expected), TOLERANCE)


def _subject(text: str) -> Subject:
    match = re.fullmatch(r"((\w+)-(tiny|small|base)-(\d+)x(\d+))(?:-(train|eval))?", text)
    if match is None or match[2] not in FAMILIES:
        raise ValueError(
            f"{text!r} does not name a network; expected FAMILY-VARIANT-HEIGHTxWIDTH[-train|-eval]"
        )
    family_name, relative_bias = FAMILIES[match[2]]
    family = family_named(family_name)
    outputs = CLASSES[match[3]] if family.task == "segmentation" else None
    config = variant(match[3], family.task, outputs)
    config = replace(config, backbone=replace(config.backbone, relative_bias=relative_bias))
    if family.task == "segmentation":
        head = SegmentationHeadConfig(CLASSES[match[3]], dropout=0.0)
        config = replace(config, head=head)
    return Subject(text, family, config, (int(match[4]), int(match[5])), match[6] == "train")


def _filled(subject: Subject) -> Network:
    """The network in float64 with weights by the fill rule."""
    network = Network(subject.config)
    ours = shapes_of(network.state_dict())
    filled = fill_state(expected_keys(subject.family, ours).items())
    state = {key: torch.from_numpy(values) for key, values in filled.items()}
    network.load_state_dict(translate(subject.family, state, ours), strict=False)
    return network.double()


def _loss(network: Network, subject: Subject, key: str, *, batch: int, weighted: bool = True) -> Tensor:
    height, width = subject.size

    def rule(what: str, *shape: int) -> Tensor:
        return torch.from_numpy(fill_input(f"{what}{key}", shape)).double()

    outputs: Any = network(rule("input", batch, 3, height, width))
    if subject.family.task == "segmentation":
        labels = ((rule("label", batch, height, width) + 2) / 4 * (subject.outputs + 1)).floor().long() - 1
        auxiliary, final = outputs
        return segmentation_loss(auxiliary, final, labels, min_kept=500)
    joints = subject.outputs
    targets = rule("target", batch, joints, height // 4, width // 4) / 4 + 0.5
    weights = rule("weight", batch, joints, 1)[..., 0] > -1 if weighted else torch.ones(batch, joints)
    return heatmap_loss(outputs, targets, weights.double())


def _by_their_names(family: Family, values: Mapping[str, Tensor | None]) -> dict[str, float]:
    """Norm of each tensor under the family's keys, of stacked ones part by part; NaN for None."""
    norms: dict[str, float] = {}
    for key, value in values.items():
        names = family.table.theirs(key)
        parts = [None] * len(names) if value is None else value.chunk(len(names))
        norms |= {name: _norm(part) for name, part in zip(names, parts, strict=True)}
    return norms


def _our_key(subject: Subject, key: str) -> str:
    place = subject.family.table.place(key)
    assert place is not None
    return place.key


def _norm(value: Tensor | None) -> float:
    return float("nan") if value is None else float(value.double().norm())


def _norms_error(found: Mapping[str, float], expected: Mapping[str, float]) -> float:
    """The largest relative error among norms above 1e-6 of the largest; NaN if keys differ or NaNs do.

    Smaller ones are rounding noise: biases right before a batch norm, the key projection's bias.
    """
    if not set(expected) <= set(found) or any(np.isnan(found[k]) != np.isnan(v) for k, v in expected.items()):
        return float("nan")
    floor = 1e-6 * max(value for value in expected.values() if not np.isnan(value))
    return max(abs(found[k] - v) / v for k, v in expected.items() if v > floor)


def _error(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Distance over the norm of what is expected."""
    ours, theirs = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if ours.shape != theirs.shape:
        return float("nan")
    return float(np.linalg.norm(ours - theirs)) / max(float(np.linalg.norm(theirs)), 1e-300)


def _arrays(file: Path) -> Arrays:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
