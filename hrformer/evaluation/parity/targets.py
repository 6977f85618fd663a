"""Training targets."""

from collections.abc import Iterator

from hrformer.checkpoints.check import Check
from hrformer.evaluation.parity.compare import (
    Array,
    Arrays,
    compare,
    holds,
    matching,
    size_of,
    tensor,
    unknown,
)
from hrformer.geometry.heatmaps import Coding, target_heatmaps

CODINGS: dict[str, Coding] = {
    "target.msra": "msra",
    "target.msra_unbiased": "unbiased",
    "target.udp": "udp",
    "mm1.target.msra": "msra",
    "mm1.target.msra_dark": "unbiased",
    "mm1.target.udp": "udp",
}
INPUTS = tuple(f"target.{what}" for what in ("image_size", "heatmap_size", "joints", "visible"))
TARGETS = r"((?:mm1\.)?target\.[a-z_]+?)(?:_sigma(\d*\.?\d+))?(_jointweights)?\.(heatmaps|weights)"


def target_checks(arrays: Arrays) -> Iterator[Check]:
    """`target.*` and `mm1.target.*`; a sigma that the name does not tell is 2."""
    if not holds(arrays, *INPUTS):
        return
    sizes = size_of(arrays, "target.image_size"), size_of(arrays, "target.heatmap_size")
    joints, visible = tensor(arrays, "target.joints"), tensor(arrays, "target.visible")
    for name, match in matching(arrays, TARGETS):
        if match[1] not in CODINGS:
            yield unknown(name)
            continue
        coding, sigma = CODINGS[match[1]], float(match[2] or 2)
        heatmaps, weights = target_heatmaps(
            joints[None, :, :2], visible[None, :, 0], *sizes, sigma, coding=coding
        )
        if match[4] == "heatmaps":
            yield from compare(arrays, name, heatmaps[0], 1e-5)
        else:
            by_joint = _joint_weights(arrays) if match[3] else 1.0
            yield from compare(
                arrays, name, (weights.numpy()[0] * by_joint).reshape(arrays[name].shape), 1e-6
            )


def _joint_weights(arrays: Arrays) -> Array:
    return arrays["target.joint_weights"].reshape(-1)
