"""Weights of one network as the start of another: the backbone moves, the head stays fresh."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from hrformer.checkpoints.convert import convert
from hrformer.checkpoints.keys import refuse, shapes_of, wrong_shapes
from hrformer.checkpoints.load import load_network
from hrformer.checkpoints.manifest import find
from hrformer.checkpoints.resize import resize_bias_tables
from hrformer.modeling.config import BackboneConfig
from hrformer.modeling.network import Network

# May be fresh: pose networks have output 0 alone in the last exchange, some networks have no bias tables.
_LOWER_OUTPUTS = r"stage4\.{last}\.fusion\.paths\.[123]\..*"
_BIAS_TABLES = r".*\.bias_table"
_MODULE = re.compile(r"stage([234])\.(\d+)\.")


def load_backbone(network: Network, source: str | Path) -> list[str]:
    """Puts the backbone of `source` into the network; gives the keys of its backbone that stay as they are.

    source: a model's name, a weight file of ours, or a published checkpoint of any family (`.pth`). Bias
    tables are resized to the network's window. A shallower network takes the first exchange modules of each
    stage. Staying fresh is allowed to the lower outputs of the last exchange, which pose networks lack, and
    to bias tables that the source does not have.
    raises: CheckpointError kin if the source cannot be read, or is of another variant.
    """
    published = Path(source).suffix in (".pth", ".pt")
    origin = convert(Path(source))[0] if published else load_network(find(source))
    return put_backbone(network, backbone_weights(origin))


def backbone_weights(network: Network) -> dict[str, Tensor]:
    """Entries of the network's backbone by keys without `backbone.`; counters of batch norms are left out."""
    state = network.backbone.state_dict()
    return {key: state[key] for key in shapes_of(state)}


def put_backbone(network: Network, weights: Mapping[str, Tensor]) -> list[str]:
    """As `load_backbone`, from the entries that `backbone_weights` gave."""
    config = network.config.backbone
    expected = shapes_of(network.backbone.state_dict())
    may_differ = re.compile(f"{_LOWER_OUTPUTS.format(last=config.modules[2] - 1)}|{_BIAS_TABLES}")
    weights = {key: value for key, value in weights.items() if _is_within(key, config)}
    weights = resize_bias_tables(weights, config.window_size)
    fresh = [key for key in expected if key not in weights]
    wrong = {
        "unknown": [key for key in weights if key not in expected and not may_differ.fullmatch(key)],
        "missing": [key for key in fresh if not may_differ.fullmatch(key)],
        "of the wrong shape": wrong_shapes(weights, expected),
    }
    refuse("the backbone does not fit", wrong)
    network.backbone.load_state_dict({k: v for k, v in weights.items() if k in expected}, strict=False)
    return fresh


def _is_within(key: str, config: BackboneConfig) -> bool:
    """Whether the backbone is deep enough to have the module that the key belongs to."""
    match = _MODULE.match(key)
    return match is None or int(match[2]) < config.modules[int(match[1]) - 2]
