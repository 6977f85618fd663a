"""Parameters and multiply-adds of every published network, to the last digit that is known."""

from dataclasses import replace
from functools import cache

import pytest

from hrformer.modeling.cost import multiply_adds, parameter_count
from hrformer.modeling.network import Network
from hrformer.modeling.variants import variant

# Exact counts of the authors' networks.
PARAMETERS = {
    ("pose", "tiny", 17, 7): 2_524_759,
    ("pose", "small", 17, 7): 7_746_779,
    ("pose", "base", 17, 7): 43_211_777,
    ("classification", "tiny", 1000, 7): 8_035_820,
    ("classification", "small", 1000, 7): 13_544_882,
    ("classification", "base", 1000, 7): 50_320_098,
    ("segmentation", "small", 19, 7): 13_523_856,
    ("segmentation", "small", 150, 7): 13_658_262,
    ("segmentation", "base", 19, 7): 56_032_512,
    ("segmentation", "base", 19, 15): 56_196_480,
    ("segmentation", "base", 59, 15): 56_237_520,
    ("segmentation", "base", 150, 7): 56_166_918,
    ("segmentation", "base", 150, 13): 56_278_182,
}

# Multiply-adds in 1e9 as measured on the authors' networks: with padded windows, without padding, without the
# products of attention, convolutions alone.
COSTS = [
    ("pose", "tiny", 17, 7, (256, 192), ("1.485", "1.402", "1.345", "1.137")),
    ("pose", "tiny", 17, 7, (384, 288), ("3.290", "3.155", "2.991", "2.559")),
    ("pose", "small", 17, 7, (256, 192), ("3.245", "2.988", "2.954", "2.199")),
    ("pose", "small", 17, 7, (384, 288), ("7.140", "6.724", "6.520", "4.947")),
    ("pose", "base", 17, 7, (256, 192), ("13.907", "12.575", "13.198", "8.710")),
    ("pose", "base", 17, 7, (384, 288), ("30.453", "28.293", "28.941", "19.597")),
    ("classification", "tiny", 1000, 7, (224, 224), ("1.708", "1.708", "1.592", "1.435")),
    ("classification", "small", 1000, 7, (224, 224), ("3.364", "3.364", "3.123", "2.556")),
    ("classification", "base", 1000, 7, (224, 224), ("13.308", "13.308", "12.721", "9.361")),
    ("segmentation", "small", 19, 7, (1024, 2048), ("827.0", "824.6", "813.9", "788.4")),
    ("segmentation", "base", 19, 7, (1024, 2048), ("2082.2", "2069.9", "2053.9", "1902.4")),
    ("segmentation", "base", 19, 15, (1024, 2048), ("2197.6", "2158.1", "2068.7", "1902.4")),
    ("segmentation", "small", 19, 7, (512, 1024), ("207.3", "206.2", "203.9", "197.1")),
    ("segmentation", "base", 19, 7, (512, 1024), ("523.5", "517.5", "516.1", "475.6")),
    ("segmentation", "small", 150, 7, (520, 520), ("111.7", "111.1", "107.7", "104.1")),
    ("segmentation", "base", 150, 7, (520, 520), ("275.6", "272.5", "269.5", "248.4")),
    ("segmentation", "base", 150, 13, (520, 520), ("285.6", "280.3", "271.2", "248.4")),
    ("segmentation", "base", 59, 15, (520, 520), ("295.6", "280.8", "275.7", "246.8")),
]


@cache
def network(task: str, name: str, outputs: int, window: int) -> Network:
    """Without its numbers, so that all of them together take no memory."""
    config = variant(name, task, outputs)
    return Network(replace(config, backbone=replace(config.backbone, window_size=window))).to("meta")


@pytest.mark.parametrize("row", PARAMETERS)
def test_parameters_are_those_of_the_published_network(row: tuple[str, str, int, int]) -> None:
    assert parameter_count(network(*row)) == PARAMETERS[row]


@pytest.mark.parametrize(("task", "name", "outputs", "window", "size", "measured"), COSTS)
def test_multiply_adds_are_those_measured(
    task: str, name: str, outputs: int, window: int, size: tuple[int, int], measured: tuple[str, ...]
) -> None:
    cost = multiply_adds(network(task, name, outputs, window), *size)
    without_products = cost.convolution + cost.linear
    counted = (cost.total, cost.without_padding, without_products, cost.convolution)
    digits = [len(figure.partition(".")[2]) for figure in measured]
    assert tuple(f"{count / 1e9:.{d}f}" for count, d in zip(counted, digits, strict=True)) == measured


def test_an_absent_bias_takes_its_parameters_along() -> None:
    config = variant("small", "pose")
    absent = Network(replace(config, backbone=replace(config.backbone, relative_bias="absent")))
    assert parameter_count(absent) == 7_726_161


def test_counting_leaves_the_network_as_it_was() -> None:
    counted = Network(variant("tiny", "pose")).train()
    before = {key: value.clone() for key, value in counted.state_dict().items()}
    multiply_adds(counted, 64, 64)
    assert counted.training
    assert all(value.equal(before[key]) for key, value in counted.state_dict().items())
