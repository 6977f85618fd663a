"""Weights that anyone can regenerate: every tensor follows from its name and shape.

The rule is exact in IEEE double arithmetic and unsigned 64-bit wrap-around, so two machines that fill the
same keys hold the same bits. Reference cases state their weights in this way instead of storing them.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

KeyShape = tuple[str, tuple[int, ...]]

UNFILLED = ("num_batches_tracked", "relative_position_index")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def stream(text: str, count: int) -> NDArray[np.float64]:
    """`count` numbers in [-1, 1) that follow from the text.

    splitmix64, seeded by the first eight bytes of the text's SHA-256 read as a little-endian integer;
    the upper 53 bits of each word become the fraction.
    """
    seed = np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], dtype="<u8").astype(np.uint64)
    z = seed + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    z ^= z >> np.uint64(31)
    fraction: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    return fraction


def is_filled(key: str) -> bool:
    """Whether the rule gives this entry a value: counters and the position index have their own."""
    return not key.endswith(UNFILLED)


def fill_tensor(key: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """The weights of one state_dict entry, float32 of the given shape; the key includes every prefix."""
    values = _scaled(key, shape, stream(key, math.prod(shape)))
    return values.astype(np.float32).reshape(shape)


def fill_input(key: str, shape: Sequence[int], amplitude: float = 2.0) -> NDArray[np.float32]:
    """A network input: `amplitude` times the stream of the key, float32 of the given shape."""
    return (amplitude * stream(key, math.prod(shape))).astype(np.float32).reshape(shape)


def fill_state(keys: Iterable[KeyShape], *, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """Every filled entry of a state_dict, in the order of `keys`.

    prefix: stands before each key when its values are drawn, and is not part of the names that come out.
    """
    return {key: fill_tensor(prefix + key, shape) for key, shape in keys if is_filled(key)}


def state_sha256(state: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 of each key in UTF-8 followed by its little-endian float32 bytes, in the mapping's order."""
    digest = hashlib.sha256()
    for key, values in state.items():
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return digest.hexdigest()


def _scaled(key: str, shape: Sequence[int], r: NDArray[np.float64]) -> NDArray[np.float64]:
    if key.endswith("running_mean"):
        return 0.1 * r
    if key.endswith("running_var"):
        return 1.0 + 0.3 * r
    if key.endswith("relative_position_bias_table"):
        return 1.5 * r
    if len(shape) < 2:
        return 1.0 + 0.1 * r if key.endswith(".weight") else 0.2 * r
    return (_gain(key) * math.sqrt(3.0 / math.prod(shape[1:]))) * r


def _gain(key: str) -> float:
    if "fuse_layers" in key:
        return 0.4
    if key.endswith((".q_proj.weight", ".k_proj.weight")):
        return 2.5
    if key.endswith(".qkv.weight"):
        return 2.0
    if key.endswith((".fc1.weight", ".dw3x3.weight", ".fc2.weight")):
        return 1.5
    if "f_pixel" in key or "f_object" in key:
        return 0.7
    if any(part in key for part in ("final_layer", "classifier", "cls_head")):
        return 0.25
    return 1.0
