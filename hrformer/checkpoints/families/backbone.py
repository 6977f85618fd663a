"""What all published families share in naming the backbone, and the two ways they name a block."""

from hrformer.checkpoints.families.table import Rows, below

# 0 is the convolution and 1 the batch norm wherever both stand in a sequence.
STEM_TO_TRANSITIONS: Rows = {
    "conv1": "stem.0.0",
    "bn1": "stem.0.1",
    "conv2": "stem.1.0",
    "bn2": "stem.1.1",
    "layer1.#.conv1": "stage1.#.reduce.0",
    "layer1.#.bn1": "stage1.#.reduce.1",
    "layer1.#.conv2": "stage1.#.convolve.0",
    "layer1.#.bn2": "stage1.#.convolve.1",
    "layer1.#.conv3": "stage1.#.expand.0",
    "layer1.#.bn3": "stage1.#.expand.1",
    "layer1.#.downsample.#": "stage1.#.shortcut.#",
    "transition1.0.#": "transition1.0.#",
    "transition1.1.0.#": "transition1.1.#",
    "transition2.2.0.#": "transition2.#",
    "transition3.3.0.#": "transition3.#",
}

EXCHANGE: Rows = {
    "fuse_layers.#.#.#": "fusion.paths.#.#.#",
    "fuse_layers.#.#.#.0": "fusion.paths.#.#.#.0.0",
    "fuse_layers.#.#.#.1": "fusion.paths.#.#.#.0.1",
    "fuse_layers.#.#.#.2": "fusion.paths.#.#.#.1.0",
    "fuse_layers.#.#.#.3": "fusion.paths.#.#.#.1.1",
}

FEED_FORWARD: Rows = {
    "fc1": "expand",
    "norm1": "expand_norm",
    "dw3x3": "depthwise",
    "norm2": "depthwise_norm",
    "fc2": "reduce",
    "norm3": "reduce_norm",
}

AUTHORS_BLOCK: Rows = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.attn": "attention",
    "attn.attn.q_proj": "attention.qkv@0/3",
    "attn.attn.k_proj": "attention.qkv@1/3",
    "attn.attn.v_proj": "attention.qkv@2/3",
    "attn.attn.out_proj": "attention.projection",
    **below("mlp.", "feed_forward.", FEED_FORWARD),
}

MMPOSE_BLOCK: Rows = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.attn": "attention",
    "attn.attn.qkv": "attention.qkv",
    "attn.attn.proj": "attention.projection",
    **below("ffn.", "feed_forward.", FEED_FORWARD),
}


def backbone(prefix: str, block: Rows) -> dict[str, str]:
    """Rows of a whole backbone whose keys begin with `prefix`."""
    module = {**below("branches.#.#.", "branches.#.#.", block), **EXCHANGE}
    return below(prefix, "backbone.", {**STEM_TO_TRANSITIONS, **below("stage#.#.", "stage#.#.", module)})
