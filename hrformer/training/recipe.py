"""Everything that makes a training run what it is, as values."""

from dataclasses import dataclass

from hrformer.modeling.config import NetworkConfig
from hrformer.training.augmentation.geometric import MaskAugmentation, PoseAugmentation


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
    clip_norm: float = 1.0  # largest norm of the gradient
    ema_decay: float = 0.999
    autocast: bool = True  # bfloat16 where the hardware has it
    seed: int = 0
    log_every_steps: int = 50
    validate_every_minutes: float = 10.0  # and at the end; the state is saved then too


@dataclass(frozen=True)
class PoseRecipe(Recipe):
    """Keypoints of one person in a crop."""

    sigma: float = 2.0  # of the target Gaussians, heatmap px
    kernel: int = 11  # px of the blur when heatmaps are read
    padding: float = 1.25  # crop over box
    augmentation: PoseAugmentation = PoseAugmentation()


@dataclass(frozen=True)
class MaskRecipe(Recipe):
    """A class for every pixel."""

    input_sizes: tuple[tuple[int, int], ...] = ()  # (height, width) that the model is served at
    threshold: float = 0.9  # a pixel is hard when its class has a smaller probability (OHEM)
    min_kept: float = 0.1  # share of the pixels that counts as hard at least
    auxiliary_weight: float = 0.4
    augmentation: MaskAugmentation = MaskAugmentation()
