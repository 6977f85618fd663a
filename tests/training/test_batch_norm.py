"""Batch norm over all processes; in one process it is the plain one."""

import copy

import pytest
import torch
from torch import Tensor, nn

from hrformer.modeling.network import build
from hrformer.training.batch_norm import SharedBatchNorm2d, share_statistics
from tests.material import shallow_pose
from tests.strategies import generator


def pair() -> tuple[nn.BatchNorm2d, SharedBatchNorm2d]:
    """A plain and a shared one in float64, with the same weights."""
    plain = nn.BatchNorm2d(5).double()
    nn.init.normal_(plain.weight, generator=generator(0))
    nn.init.normal_(plain.bias, generator=generator(1))
    holder = nn.Sequential(copy.deepcopy(plain))
    share_statistics(holder)
    shared = holder[0]
    assert isinstance(shared, SharedBatchNorm2d)
    return plain, shared


def maps(seed: int = 2) -> Tensor:
    drawn = torch.randn(4, 5, 6, 7, generator=generator(seed), dtype=torch.float64)
    return (drawn * 3 + 20).requires_grad_()  # far from zero: a variance from squares would cancel


def test_outputs_gradients_and_statistics_are_those_of_the_plain_one() -> None:
    plain, shared = pair()
    weighing = torch.randn(4, 5, 6, 7, generator=generator(3), dtype=torch.float64)
    gradients = []
    for norm in (plain, shared):
        x = maps()
        (norm(x) * weighing).sum().backward()
        gradients.append((x.grad, norm.weight.grad, norm.bias.grad))

    torch.testing.assert_close(shared(maps()), plain(maps()), rtol=1e-12, atol=1e-12)
    for own, expected in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-12)
    for (key, own), expected in zip(shared.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-12, atol=0, msg=key)


def test_in_evaluation_it_is_the_plain_one() -> None:
    plain, shared = (norm.eval() for norm in pair())

    assert torch.equal(shared(maps()), plain(maps()))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_half_precision_goes_in_and_out(layout: torch.memory_format) -> None:
    _, shared = pair()
    x = maps().detach().bfloat16().to(memory_format=layout).requires_grad_()
    y = shared.float()(x)
    y.sum().backward()

    assert y.dtype == x.grad.dtype == torch.bfloat16  # type: ignore[union-attr]
    assert y.is_contiguous(memory_format=layout)


def test_a_network_keeps_its_keys_and_parameters() -> None:
    network = build(shallow_pose())
    keys, parameters = list(network.state_dict()), list(network.parameters())
    share_statistics(network)
    kinds = {type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)}

    assert kinds == {SharedBatchNorm2d}
    assert list(network.state_dict()) == keys
    assert all(one is other for one, other in zip(network.parameters(), parameters, strict=True))
