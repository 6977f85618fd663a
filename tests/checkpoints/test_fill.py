"""The fill rule, to the bit."""

import math

import numpy as np
import pytest

from hrformer.checkpoints.fill import fill_input, fill_state, fill_tensor, is_filled, state_sha256, stream
from hrformer.checkpoints.reference import Case, read_keys
from tests.checkpoints.published import CASES


def test_the_stream_of_hello_is_the_documented_one() -> None:
    assert stream("hello", 3).tolist() == [-0.8006597994659388, 0.0032237601387838932, -0.8027939178341006]


def test_a_stream_is_the_beginning_of_a_longer_one() -> None:
    assert stream("key", 5).tolist() == stream("key", 500)[:5].tolist()


def test_a_long_stream_is_uniform() -> None:
    numbers = stream("uniform", 100_000)
    assert -1 <= numbers.min() < -0.999
    assert 0.999 < numbers.max() < 1
    assert numbers.mean() == pytest.approx(0, abs=0.01)
    assert numbers.std() == pytest.approx(1 / math.sqrt(3), abs=0.01)


@pytest.mark.parametrize(
    ("key", "shape", "scale", "offset"),
    [
        ("a.running_mean", (3,), 0.1, 0),
        ("a.running_var", (3,), 0.3, 1),
        ("attn.relative_position_bias_table", (9, 2), 1.5, 0),
        ("norm1.weight", (4,), 0.1, 1),
        ("norm1.bias", (4,), 0.2, 0),
        ("conv.weight", (2, 3, 2, 2), math.sqrt(3 / 12), 0),
        ("fuse_layers.0.1.0.weight", (2, 3, 1, 1), 0.4, 0),
        ("attn.attn.q_proj.weight", (2, 3), 2.5, 0),
        ("attn.attn.k_proj.weight", (2, 3), 2.5, 0),
        ("attn.attn.v_proj.weight", (2, 3), 1, 0),
        ("attn.attn.qkv.weight", (2, 3), 2, 0),
        ("mlp.fc1.weight", (2, 3, 1, 1), 1.5, 0),
        ("mlp.dw3x3.weight", (2, 1, 3, 3), 1.5 * math.sqrt(3 / 9), 0),
        ("mlp.fc2.weight", (2, 3, 1, 1), 1.5, 0),
        ("context.f_pixel.0.weight", (2, 3, 1, 1), 0.7, 0),
        ("context.f_object.2.weight", (2, 3, 1, 1), 0.7, 0),
        ("head.final_layer.weight", (2, 3, 1, 1), 0.25, 0),
        ("classifier.weight", (2, 3), 0.25, 0),
        ("cls_head.weight", (2, 3, 1, 1), 0.25, 0),
    ],
)
def test_each_kind_of_tensor_has_its_size(
    key: str, shape: tuple[int, ...], scale: float, offset: float
) -> None:
    expected = offset + scale * stream(key, math.prod(shape)).reshape(shape)
    np.testing.assert_allclose(fill_tensor(key, shape), expected, rtol=1e-6)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_weights_of_published_cases_are_made_again_to_the_bit(case: Case) -> None:
    assert state_sha256(fill_state(read_keys(case.keys))) == case.state_sha256


def test_counters_and_indices_are_not_filled() -> None:
    assert not is_filled("bn1.num_batches_tracked")
    assert not is_filled("attn.relative_position_index")
    assert fill_state([("bn1.num_batches_tracked", ()), ("bn1.bias", (2,))]).keys() == {"bn1.bias"}


def test_a_prefix_changes_the_numbers_and_not_the_names() -> None:
    plain, prefixed = fill_state([("norm.bias", (3,))]), fill_state([("norm.bias", (3,))], prefix="unit:")
    assert prefixed["norm.bias"].tolist() == fill_tensor("unit:norm.bias", (3,)).tolist()
    assert plain["norm.bias"].tolist() != prefixed["norm.bias"].tolist()


def test_an_input_is_its_stream_times_the_amplitude() -> None:
    expected = (1e-3 * stream("input", 6)).astype(np.float32).reshape(1, 2, 3)
    assert fill_input("input", (1, 2, 3), 1e-3).tolist() == expected.tolist()
