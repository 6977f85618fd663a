"""An entry for tests, of a small network that never needs to be built."""

from pathlib import Path

from hrformer.checkpoints.manifest import Entry
from hrformer.modeling.variants import variant


def entry(directory: Path, name: str = "tiny-pose", precision: str = "float32") -> Entry:
    return Entry(
        name=name,
        task="pose",
        variant="tiny",
        file=directory.resolve() / f"{name}.safetensors",
        sha256="",
        input_sizes=((256, 192), (384, 288)),
        precision=precision,
        config=variant("tiny", "pose"),
        labels="coco",
        metrics={"AP": 0.5, "data": "a set"},
        decode={"refine": "shift", "flip_shift": True},
        description='with "quotes" and 日本',
    )
