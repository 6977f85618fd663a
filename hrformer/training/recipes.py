"""The runs that make the weights: each docstring gives command, time and what came out."""

from collections.abc import Callable
from dataclasses import replace

from hrformer.modeling.config import BackboneConfig, NetworkConfig, SegmentationHeadConfig
from hrformer.modeling.variants import classification, people, pose, segmentation, small, tiny
from hrformer.training.augmentation.variation import MaskAugmentation, PeopleAugmentation, PoseAugmentation
from hrformer.training.recipe import ClassRecipe, MaskRecipe, PeopleRecipe, PoseRecipe, Recipe


def tiny_pose() -> PoseRecipe:
    """HRFormer-T, 17 COCO keypoints, 128×96, from nothing.

    hrformer train tiny-pose --data DIR --output runs/tiny-pose --minutes 84 --threads 1

    On one shared core of an AMD EPYC with AVX512-BF16: 2,132 steps, 14 crops a second, mean OKS 0.428 on
    693 persons.
    """
    return PoseRecipe(
        network=pose(tiny()),
        input_size=(128, 96),
        canvas_px=256,
        steps=4000,
        batch_size=32,
        learning_rate=1.5e-3,
        ema_decay=0.998,
        sigma=1.5,
        kernel=7,
        # Milder than the paper's: so few epochs do not wear the pictures out.
        augmentation=PoseAugmentation(rotation_deg=25.0, half_body=0.15, erase=0.1, colour=0.25),
    )


def tiny_pose_large() -> PoseRecipe:
    """The same at 192×144, started from its weights.

    hrformer train tiny-pose-large --data DIR --output runs/tiny-pose-large
        --from runs/tiny-pose/model.safetensors

    Not run to its end yet: no weights come from it.
    """
    return replace(
        tiny_pose(),
        input_size=(192, 144),
        canvas_px=320,
        sigma=2.0,
        kernel=11,
        learning_rate=3e-4,
        batch_size=24,
    )


def tiny_parsing() -> MaskRecipe:
    """HRFormer-T with a light OCR head (96 channels), people and clothing in 10 classes, 256×192.

    hrformer train tiny-parsing --data DIR --data COARSE --output runs/tiny-parsing --minutes 140
        --from runs/tiny-pose/model.safetensors --threads 1

    On a core of the same machine, seven hours in several runs: 2 to 6 crops a second, mean IoU 0.462 on 110
    pictures, 0.505 of people as one on 172 everyday ones.
    """
    return MaskRecipe(
        network=_light_segmentation(tiny(), 10),
        input_size=(256, 192),
        input_sizes=((256, 192), (192, 256), (224, 224)),
        turned_crops=True,
        canvas_px=384,
        steps=1200,
        batch_size=10,
        ema_decay=0.998,
        decay_vectors=False,
        figure_from=0.3,
        augmentation=MaskAugmentation(smallest=0.8, largest=1.9, colour=0.3),
    )


def tiny_camvid() -> MaskRecipe:
    """HRFormer-T with a light OCR head (96 channels), street scenes in 11 classes, 240×320.

    hrformer train tiny-camvid --data DIR --output runs/tiny-camvid --minutes 100
        --from runs/tiny-pose/model.safetensors --threads 1

    On a part of one core of the same machine: 1,169 steps, 1.6 crops a second, mean IoU 0.551 on 101 frames.
    """
    return replace(
        tiny_parsing(),
        network=_light_segmentation(tiny(), 11),
        input_size=(240, 320),
        input_sizes=((384, 512), (512, 384), (448, 448)),
        turned_crops=False,
        canvas_px=480,
        batch_size=8,
        class_balance=0.4,
        # Scale 1 shows the whole street at 2/3 of its pixels; objects are small, so most crops are larger.
        augmentation=MaskAugmentation(smallest=0.9, largest=2.2, rotation_deg=3.0, colour=0.4),
    )


def small_pose() -> PoseRecipe:
    """HRFormer-S, 17 COCO keypoints, 256×192, from nothing: the paper's pose recipe, for a GPU.

    hrformer train small-pose --data DIR --output runs/small-pose --minutes 13
    """
    return PoseRecipe(
        network=pose(replace(small(), drop_path=0.1)),
        input_size=(256, 192),
        canvas_px=352,
        steps=20_000,
        batch_size=256,
        learning_rate=1e-3,
        ema_decay=0.9995,
        warmup_steps=500,
        # A GPU shows each person a hundred times: vary them as much as the paper does.
        augmentation=PoseAugmentation(colour=0.4),
    )


def small_parsing() -> MaskRecipe:
    """HRFormer-S with a light OCR head (128 channels), people and clothing in 10 classes, for a GPU.

    hrformer train small-parsing --data DIR --data COARSE --output runs/small-parsing --minutes 6
        --from runs/small-pose/model.safetensors
    """
    return replace(
        tiny_parsing(),
        network=_light_segmentation(replace(small(), drop_path=0.1), 10, channels=128),
        input_size=(320, 224),
        input_sizes=((320, 224), (224, 320), (272, 272)),
        canvas_px=480,
        steps=6000,
        batch_size=48,
        learning_rate=5e-4,
        warmup_steps=300,
        ema_decay=0.999,
        augmentation=MaskAugmentation(smallest=0.7, largest=2.0),
    )


def tiny_people() -> PeopleRecipe:
    """HRFormer-T with one exchange module a stage, the boxes of everyone in a photograph of 160 px.

    hrformer train tiny-people --data DIR --output runs/tiny-people --minutes 100
        --from runs/tiny-pose/model.safetensors --threads 1

    Half the depth takes half the time, since it runs before every pose. On a core of two (AMD EPYC,
    AVX512-BF16): 26 crops a second; AP50 0.505 on 248 photographs as the mean of runs that went on from one
    state.
    """
    return PeopleRecipe(
        network=people(replace(tiny(), modules=(1, 1, 1))),
        input_size=(128, 160),
        input_sizes=((128, 160), (160, 128), (128, 128)),
        turned_crops=True,
        canvas_px=400,
        steps=6000,
        batch_size=16,
        learning_rate=1.2e-3,
        clip_norm=20.0,
        ema_decay=0.998,
        augmentation=PeopleAugmentation(smallest=0.7, largest=1.5),
    )


def tiny_classification() -> ClassRecipe:
    """HRFormer-T, the class of a picture, 160×160.

    hrformer train tiny-classification --data DIR --output runs/tiny-classification network.head.classes=N

    Not run to its end yet: no weights come from it.
    """
    return ClassRecipe(
        network=classification(tiny()),
        input_size=(160, 160),
        canvas_px=256,
        steps=4000,
        batch_size=32,
        weight_decay=0.05,
        decay_vectors=False,
        ema_decay=0.998,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "tiny-pose": tiny_pose,
    "tiny-pose-large": tiny_pose_large,
    "tiny-parsing": tiny_parsing,
    "tiny-camvid": tiny_camvid,
    "small-pose": small_pose,
    "small-parsing": small_parsing,
    "tiny-people": tiny_people,
    "tiny-classification": tiny_classification,
}


def _light_segmentation(backbone: BackboneConfig, classes: int, channels: int = 96) -> NetworkConfig:
    """A lighter OCR; bilinear exchange, as the pose network has it that the backbone comes from."""
    head = SegmentationHeadConfig(classes=classes, channels=channels, key_channels=channels // 2)
    return NetworkConfig(replace(segmentation(backbone).backbone, upsample="bilinear"), head)
