"""The authors' classification network, trained on ImageNet; its backbone has no prefix."""

from hrformer.checkpoints.families.backbone import AUTHORS_BLOCK, backbone
from hrformer.checkpoints.families.table import Family, Rows

HEAD: Rows = {
    "incre_modules.#.0.conv1": "head.increase.#.reduce.0",
    "incre_modules.#.0.bn1": "head.increase.#.reduce.1",
    "incre_modules.#.0.conv2": "head.increase.#.convolve.0",
    "incre_modules.#.0.bn2": "head.increase.#.convolve.1",
    "incre_modules.#.0.conv3": "head.increase.#.expand.0",
    "incre_modules.#.0.bn3": "head.increase.#.expand.1",
    "incre_modules.#.0.downsample.#": "head.increase.#.shortcut.#",
    "downsamp_modules.#.0": "head.down.#.0.0",
    "downsamp_modules.#.1": "head.down.#.0.1",
    "downsamp_modules.#.2": "head.down.#.1.0",
    "downsamp_modules.#.3": "head.down.#.1.1",
    "final_layer.#": "head.features.#",
    "classifier": "head.classify",
}

IMAGENET = Family(
    name="hrformer-cls",
    task="classification",
    adds_bias=True,
    backbone_prefix="",
    rows={**backbone("", AUTHORS_BLOCK), **HEAD},
)
