"""What runs from a recording gives what the network gives, bit for bit."""

import pytest
import torch

from hrformer.checkpoints.manifest import PixelFormat
from hrformer.engine.device import Runner
from hrformer.engine.segmentation import SegmentationEngine
from hrformer.modeling.config import NetworkConfig
from tests.material import mask_entry, seeded, shallow_people, shallow_person, shallow_pose
from tests.strategies import generator

SIZE = (64, 96)


@pytest.mark.parametrize("network", [shallow_pose(), shallow_people(), shallow_person()])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recording_gives_the_same_bits_for_any_batch(network: NetworkConfig, precision: str) -> None:
    runner = Runner(seeded(network), PixelFormat(), device="cpu", precision=precision)
    batches = [torch.rand(n, 3, *SIZE, generator=generator(n)) for n in (1, 2, 5)]

    with torch.inference_mode():
        before = [runner.outputs(runner.normalise(batch)) for batch in batches]
        runner.record(*SIZE)
        after = [runner.outputs(runner.normalise(batch)) for batch in batches]

    torch.testing.assert_close(after, before, atol=0, rtol=0)


def test_a_recording_runs_without_the_network() -> None:
    network = seeded(shallow_pose())
    calls: list[tuple[int, ...]] = []
    network.register_forward_pre_hook(lambda _, inputs: calls.append(tuple(inputs[0].shape[2:])))
    runner = Runner(network, PixelFormat(), device="cpu")
    runner.record(*SIZE)
    calls.clear()

    with torch.inference_mode():
        runner.outputs(torch.zeros(1, 3, *SIZE))
        runner.outputs(torch.zeros(1, 3, 32, 32))

    assert calls == [(32, 32)]  # of this size nothing was recorded


def test_a_recorded_mask_is_the_same_mask() -> None:
    engine = SegmentationEngine(seeded(shallow_person()), mask_entry(), device="cpu")
    height, width = engine.input_sizes[0]
    canvases = torch.randint(0, 256, (3, 3, height, width), generator=generator(0), dtype=torch.uint8)
    before = engine.run(canvases)
    engine.record(height, width)

    assert torch.equal(engine.run(canvases), before)
