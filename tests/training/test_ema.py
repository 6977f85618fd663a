"""Averaged weights."""

import copy

import torch

from hrformer.training.ema import AveragedNetwork
from tests.material import seeded, shallow_pose


def test_an_average_moves_by_what_is_left_of_the_decay() -> None:
    network = seeded(shallow_pose())
    average = AveragedNetwork(network, decay=0.999)
    before = network.head.heatmaps.bias.detach().clone()
    with torch.no_grad():
        network.head.heatmaps.bias += 1
    average.update(network)

    share = 1 - 2 / 11  # the first decay is (1 + 1) / (10 + 1)
    torch.testing.assert_close(average.network.head.heatmaps.bias, before + share)


def test_after_many_steps_the_decay_is_the_one_asked_for() -> None:
    network = seeded(shallow_pose())
    average = AveragedNetwork(network, decay=0.9)
    average.updates = 10_000
    before = network.head.heatmaps.bias.detach().clone()
    with torch.no_grad():
        network.head.heatmaps.bias += 1
    average.update(network)

    torch.testing.assert_close(average.network.head.heatmaps.bias, before + 0.1)


def test_statistics_of_batch_norms_are_averaged_too() -> None:
    network = seeded(shallow_pose())
    average = AveragedNetwork(network, decay=0.999)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(2)
    average.update(network)
    means = [b for name, b in average.network.named_buffers() if name.endswith("running_mean")]

    assert all((mean > 1).all() for mean in means)


def test_the_network_itself_is_left_alone() -> None:
    network = seeded(shallow_pose())
    before = copy.deepcopy(network.state_dict())
    AveragedNetwork(network, decay=0.9).update(network)

    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
