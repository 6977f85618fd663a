"""Reference cases, run and compared: one report for each whole network and each part."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrformer.checkpoints.check import Check
from hrformer.checkpoints.compare import relative_error, stored_count, tensor_error
from hrformer.checkpoints.errors import BadReference
from hrformer.checkpoints.fill import fill_input, fill_state, state_sha256
from hrformer.checkpoints.keys import shapes_of
from hrformer.checkpoints.options import case_config
from hrformer.checkpoints.reference import Case, Expected, Input, Unit, read_array, read_keys
from hrformer.checkpoints.trace import observed
from hrformer.checkpoints.translate import family_named, translate
from hrformer.checkpoints.units import run_unit
from hrformer.modeling.network import Network

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Report:
    """The outcome of one case."""

    name: str
    checks: tuple[Check, ...]
    reason: str = ""  # why nothing could be compared

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def worst(self) -> Check:
        """The check that failed by most, or else came closest to failing."""
        return max(self.checks, key=_badness) if self.checks else Check(self.reason, math.nan, 0.0)


def verify_case(case: Case) -> Report:
    """Runs the network with filled weights and compares every stored tensor, in plain float32 on the CPU.

    raises: BadReference if the case's files are damaged. A network that we do not have is a failing report.
    """
    keys = read_keys(case.keys)
    try:
        config = case_config(case, keys)
        network = Network(config).eval()
        filled = fill_state(keys)
        state = {key: torch.from_numpy(values) for key, values in filled.items()}
        network.load_state_dict(translate(family_named(case.family), state, shapes_of(network.state_dict())))
    except ValueError as error:
        return Report(case.name, (), str(error))
    checks = list(_exact_checks(case, network, state_sha256(filled)))
    del filled, state
    try:
        return Report(case.name, (*checks, *_tensor_checks(case, network)))
    except RuntimeError as error:
        return Report(case.name, (), f"the network cannot run on this input: {error}")


def verify_unit(unit: Unit, arrays: Path) -> Report:
    """Runs a part with filled weights and compares its outputs with those in `arrays` (npz).

    raises: BadReference if the arrays are damaged. A part that we do not have is a failing report.
    """
    inputs = [_input(item, arrays) for item in unit.inputs]
    try:
        outputs = run_unit(unit, inputs)
    except (ValueError, RuntimeError) as error:
        return Report(unit.name, (), str(error))
    checks = []
    for (name, shape), output in zip(unit.outputs, outputs, strict=True):
        reference = read_array(arrays, name)
        same = tuple(output.shape) == shape == reference.shape
        distance = relative_error(output.numpy(), reference) if same else math.nan
        checks.append(Check(name, distance, unit.tolerance))
    return Report(unit.name, tuple(checks))


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads inside, so that a run can be repeated to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _exact_checks(case: Case, network: Network, sha256: str) -> Iterator[Check]:
    if case.state_sha256 is not None:
        yield Check("weights", 0.0 if sha256 == case.state_sha256 else math.inf, 0.0)
    if case.parameters is not None:
        found = sum(parameter.numel() for parameter in network.parameters())
        yield Check("parameters", float(abs(found - case.parameters)), 0.0)


def _tensor_checks(case: Case, network: Network) -> list[Check]:
    expected = {tensor.name: tensor for tensor in case.tensors}
    errors: dict[str, float] = {}

    def observe(name: str, tensor: Tensor) -> None:
        if name in expected:
            errors[name] = tensor_error(tensor, expected[name], _stored(case.data, expected[name]))

    with torch.inference_mode(), observed(network, observe):
        network(_input(case.input, case.data))
    return [Check(name, errors.get(name, math.nan), case.tolerance) for name in expected]


def _stored(path: Path, expected: Expected) -> NDArray[np.floating]:
    values = read_array(path, expected.name).reshape(-1)
    if values.size != stored_count(expected):
        wanted = stored_count(expected)
        raise BadReference(f"{path}: {expected.name} has {values.size} values instead of {wanted}")
    return values


def _input(wanted: Input, arrays: Path) -> Tensor:
    if wanted.kind == "rule":
        return torch.from_numpy(fill_input(wanted.key, wanted.shape, wanted.amplitude))
    pictures = read_array(arrays, wanted.key)
    if (len(pictures), 3, *pictures.shape[1:3]) != wanted.shape or pictures.dtype != np.uint8:
        raise BadReference(f"{arrays}: {wanted.key} is no uint8 picture for an input of {wanted.shape}")
    normalised = (pictures / 255.0 - np.array(MEAN)) / np.array(STD)  # (batch, height, width, 3)
    return torch.from_numpy(np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), dtype=np.float32))


def _badness(check: Check) -> tuple[bool, float]:
    """Failures first, then by how much of the tolerance is used up."""
    used = check.error / check.tolerance if check.tolerance else check.error
    return not check.passed, math.inf if math.isnan(used) else used
