"""Which parameters decay."""

import pytest
import torch

from hrformer.training.parameters import adamw
from tests.material import seeded, shallow_pose


@pytest.mark.parametrize("decay_vectors", [True, False])
def test_bias_tables_never_decay_and_vectors_as_asked(decay_vectors: bool) -> None:
    network = seeded(shallow_pose())
    decayed, kept = adamw(
        network, learning_rate=1e-3, weight_decay=0.02, decay_vectors=decay_vectors
    ).param_groups
    spared = {id(parameter) for parameter in kept["params"]}
    tables = [p for name, p in network.named_parameters() if name.endswith("bias_table")]
    vectors = [p for p in network.parameters() if p.dim() == 1]

    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.02, 0.0)
    assert tables
    assert all(id(table) in spared for table in tables)
    assert {id(vector) in spared for vector in vectors} == {not decay_vectors}


def test_every_parameter_is_optimised_once() -> None:
    network = seeded(shallow_pose())
    groups = adamw(network, learning_rate=1e-3, weight_decay=0.02, decay_vectors=False).param_groups
    optimised = [id(parameter) for group in groups for parameter in group["params"]]

    assert sorted(optimised) == sorted(id(parameter) for parameter in network.parameters())


def test_a_step_without_gradient_only_decays() -> None:
    network = torch.nn.Linear(3, 3)
    before = network.weight.detach().clone()
    optimiser = adamw(network, learning_rate=0.1, weight_decay=0.5)
    network.weight.grad, network.bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimiser.step()

    torch.testing.assert_close(network.weight.detach(), before * (1 - 0.1 * 0.5))
