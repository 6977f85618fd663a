"""Everything that makes a training run what it is, as values."""

from dataclasses import dataclass, field
from typing import Any, Literal

from hrformer.modeling.config import NetworkConfig
from hrformer.training.augmentation.variation import (
    ClassAugmentation,
    MaskAugmentation,
    PeopleAugmentation,
    PoseAugmentation,
)


@dataclass(frozen=True)
class Recipe:
    """One result: network, optimiser, schedule; what the tasks share."""

    network: NetworkConfig
    input_size: tuple[int, int]  # (height, width) of a training crop, px
    canvas_px: int  # side of the canvas that a picture is held on; larger pictures are made smaller
    steps: int  # length of the run, unless minutes are given on the command line
    batch_size: int = 32
    learning_rate: float = 1e-3  # peak
    weight_decay: float = 0.01
    decay_vectors: bool = True  # whether norms and biases decay too
    warmup_steps: int = 200
    schedule: Literal["cosine", "step"] = "cosine"  # how the rate falls after the warm-up
    drops: tuple[float, ...] = (170 / 210, 200 / 210)  # shares of the run after which a step schedule drops
    drop_factor: float = 0.1  # what remains of the rate at each drop
    clip_norm: float = 1.0  # largest norm of the gradient
    ema_decay: float = 0.999
    autocast: bool = True  # bfloat16 where the hardware has it
    compile: bool = False  # torch.compile: minutes before the first step, so for long runs on a GPU
    seed: int = 0
    log_every_steps: int = 50
    validate_every_minutes: float = 10.0  # and at the end; the state is saved then too

    def __post_init__(self) -> None:
        """raises: ValueError if a field is out of its range."""
        for name in ("canvas_px", "steps", "batch_size", "log_every_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; expected 0 to below 1")
        if any(type(drop) is not float or not 0 < drop < 1 for drop in self.drops):
            raise ValueError(f"drops is {self.drops}; expected shares of the run between 0 and 1")
        if not 0 < self.drop_factor <= 1:
            raise ValueError(f"drop_factor is {self.drop_factor}; expected more than 0, at most 1")
        _check_size("input_size", self.input_size)


@dataclass(frozen=True)
class PoseRecipe(Recipe):
    """Keypoints of one person in a crop."""

    sigma: float = 2.0  # of the target Gaussians, heatmap px
    kernel: int = 11  # px of the blur when heatmaps are read
    padding: float = 1.25  # crop over box
    augmentation: PoseAugmentation = field(default_factory=PoseAugmentation)


@dataclass(frozen=True)
class PictureRecipe(Recipe):
    """What is known of a whole picture, which is shown to the network at one of several sizes."""

    input_sizes: tuple[tuple[int, int], ...] = ()  # (height, width) that the model is served at
    turned_crops: bool = False  # half of the batches have crops of input_size turned by a right angle

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_sizes(self.input_sizes)

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """(height, width) that a batch of crops may have."""
        return (self.input_size, self.input_size[::-1]) if self.turned_crops else (self.input_size,)


@dataclass(frozen=True)
class MaskRecipe(PictureRecipe):
    """A class for every pixel."""

    threshold: float = 0.9  # a pixel is hard when its class has a smaller probability (OHEM)
    min_kept: float = 0.1  # share of the pixels that counts as hard at least
    auxiliary_weight: float = 0.4
    figure_from: float = 0.5  # with coarse labels: probability from which on a pixel is not background
    class_balance: float = 0.0  # a label weighs its share of the pixels to the power of minus this: 0 to 1
    augmentation: MaskAugmentation = field(default_factory=MaskAugmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.class_balance <= 1:
            raise ValueError(f"class_balance is {self.class_balance}; expected 0 to 1")
        if not 0 < self.figure_from < 1:
            raise ValueError(f"figure_from is {self.figure_from}; expected more than 0, less than 1")


@dataclass(frozen=True)
class PeopleRecipe(PictureRecipe):
    """The boxes of all people."""

    box_weight: float = 5.0  # of the boxes' loss; the centres' weighs 1
    smallest_px: float = 8.0  # long side, in the crop, under which a person is left out of the loss
    least_visible: float = 0.3  # share of the box in the crop, likewise
    augmentation: PeopleAugmentation = field(default_factory=PeopleAugmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.augmentation.mosaic < 1:
            raise ValueError(f"augmentation.mosaic is {self.augmentation.mosaic}; expected 0 to below 1")
        if not 0 <= self.augmentation.paste <= 1:
            raise ValueError(f"augmentation.paste is {self.augmentation.paste}; expected 0 to 1")
        if self.augmentation.mosaic > 0 and any(side % 8 for side in self.input_size):
            raise ValueError(f"input_size is {self.input_size}; expected multiples of 8, for mosaics of four")


@dataclass(frozen=True)
class ClassRecipe(Recipe):
    """A class for every picture."""

    label_smoothing: float = 0.1  # share of a label that is spread over all classes
    augmentation: ClassAugmentation = field(default_factory=ClassAugmentation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; expected 0 to below 1")
        if not 0 < self.augmentation.smallest <= 1:
            raise ValueError(
                f"augmentation.smallest is {self.augmentation.smallest}; expected more than 0, at most 1"
            )


def _check_sizes(sizes: tuple[tuple[int, int], ...]) -> None:
    if not sizes:
        raise ValueError("input_sizes is empty; expected one (height, width) or more")
    for size in sizes:
        _check_size("input_sizes", size)


def _check_size(name: str, size: Any) -> None:
    if (
        not isinstance(size, tuple)
        or len(size) != 2
        or any(type(side) is not int or side < 32 or side % 4 for side in size)
    ):
        raise ValueError(f"{name} has {size!r}; expected (height, width) in multiples of 4 from 32 px on")
