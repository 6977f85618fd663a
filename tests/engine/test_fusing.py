"""Operations that run as one give what they gave one after the other, but for rounding."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.device import Runner
from hrformer.engine.folding import folded
from hrformer.engine.fusing import Convolution, can_fuse, fused
from hrformer.modeling.variants import variant
from tests.engine.test_folding import with_statistics
from tests.material import seeded, shallow_people, shallow_person, shallow_pose
from tests.strategies import generator

CPU = torch.device("cpu")
FORMS = {
    "pose": shallow_pose(),
    "people": shallow_people(),
    "segmentation": shallow_person(),
    "classification": variant("tiny", "classification", 10),
}

pytestmark = pytest.mark.skipif(not can_fuse(CPU, torch.float32), reason="torch was built without oneDNN")


@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize("pictures", [1, 3, 17])
def test_a_fused_network_gives_the_same_but_for_rounding(name: str, pictures: int) -> None:
    network = with_statistics(FORMS[name])
    batch = torch.rand(pictures, 3, 64, 96, generator=generator(0))

    with torch.inference_mode():
        plain, found = network(batch), fused(folded(network))(batch)
        exact = deepcopy(network).double()(batch.double())

    for one, other, truth in zip(maps_of(found), maps_of(plain), maps_of(exact), strict=True):
        assert one.shape == truth.shape
        assert off(one, truth) <= 4 * off(other, truth) + 1e-5 * float(truth.abs().max())


def maps_of(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def off(outputs: Tensor, truth: Tensor) -> float:
    return float((outputs - truth).abs().mean())


@pytest.mark.parametrize("change", [{"mask_padding": True}, {"relative_bias": "absent"}])
def test_other_kinds_of_attention_are_fused_or_left(change: dict[str, object]) -> None:
    config = variant("tiny", "pose")
    backbone = replace(config.backbone, **change)  # type: ignore[arg-type]
    network = seeded(replace(config, backbone=backbone))
    batch = torch.rand(2, 3, 72, 104, generator=generator(1))

    with torch.inference_mode():
        torch.testing.assert_close(fused(folded(network))(batch), network(batch), atol=2e-4, rtol=2e-4)


def test_every_convolution_on_a_cpu_in_float32_is_fused() -> None:
    runner = Runner(seeded(shallow_person()), PixelFormat(), device="cpu", precision="float32")
    kinds = [type(module) for module in runner._module.modules()]

    assert Convolution in kinds
    assert not {nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.GELU} & set(kinds)


def test_the_network_itself_stays_as_it_is() -> None:
    network = seeded(shallow_pose())
    before = [type(module) for module in network.modules()]
    Runner(network, PixelFormat(), device="cpu", precision="float32")

    assert [type(module) for module in network.modules()] == before


def test_other_types_and_devices_are_left_alone() -> None:
    assert not can_fuse(CPU, torch.bfloat16)
    assert not can_fuse(torch.device("cuda"), torch.float32)
