"""A network without batch norms gives what it gave with them, but for rounding."""

import pytest
import torch
from torch import nn

from hrformer.engine.folding import folded
from hrformer.modeling.config import NetworkConfig
from hrformer.modeling.network import Network
from tests.material import seeded, shallow_people, shallow_person, shallow_pose
from tests.strategies import generator


def with_statistics(config: NetworkConfig) -> Network:
    """A network whose norms have something to do."""
    network = seeded(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in ((module.running_mean, -1.0), (module.running_var, 0.5), (module.weight, 0.5)):
                assert values is not None
                values.data.uniform_(low, low + 1.0, generator=generator(len(values)))
    return network.eval()


@pytest.mark.parametrize("config", [shallow_pose(), shallow_people(), shallow_person()])
def test_folded_norms_change_nothing_but_the_rounding(config: NetworkConfig) -> None:
    network = with_statistics(config).double()
    pictures = torch.rand(2, 3, 64, 96, generator=generator(0)).double()

    with torch.inference_mode():
        expected = network(pictures)
        torch.testing.assert_close(folded(network)(pictures), expected, atol=1e-8, rtol=1e-8)


def test_no_norm_is_left_and_the_network_keeps_its_own() -> None:
    network = with_statistics(shallow_person())
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())

    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(network).modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == norms > 0
