"""Training a network to find keypoints of the person in a box."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hrformer.checkpoints.configuration import variant_of
from hrformer.checkpoints.manifest import Entry
from hrformer.data.coco import read_persons, without_repeats
from hrformer.data.pictures import read_picture
from hrformer.data.unreadable import LeftOut
from hrformer.engine.pose import PoseCoding, PoseEngine
from hrformer.evaluation.pose import pose_figures, predict_persons
from hrformer.geometry.crop import transform
from hrformer.geometry.heatmaps import target_heatmaps
from hrformer.geometry.keypoints import mirrored_order
from hrformer.geometry.skeletons import FLIP_PAIRS, JOINTS
from hrformer.images.draw import draw_people
from hrformer.modeling.config import PoseHeadConfig
from hrformer.modeling.network import Network
from hrformer.training.augmentation.colour import blur, erase, vary_colour
from hrformer.training.augmentation.geometric import Draw, mirror_matrices, pose_matrices
from hrformer.training.augmentation.resampling import cut
from hrformer.training.cache import cache_persons
from hrformer.training.contact_sheet import contact_sheet
from hrformer.training.losses import heatmap_loss
from hrformer.training.reading import check_pictures
from hrformer.training.recipe import PoseRecipe

MIN_JOINTS = 4  # labelled joints that a person needs to be trained on
SHOWN = 12  # people on the sheet of samples


class PoseTask:
    """People in memory; crops are cut, turned and coloured on the device, a batch at a time."""

    def __init__(
        self,
        directories: Sequence[Path],
        recipe: PoseRecipe,
        device: torch.device,
        left_out: LeftOut | None = None,
    ) -> None:
        if recipe.network.head != PoseHeadConfig(len(JOINTS)):
            raise ValueError(f"the network has {recipe.network.head}; expected COCO's {len(JOINTS)} joints")
        self.recipe, self.device = recipe, device
        self.validation = read_persons(directories[0], "val")
        check_pictures(person.image for person in self.validation)
        sets = [read_persons(directory, "train", min_joints=MIN_JOINTS) for directory in directories]
        self.cache = cache_persons(without_repeats(sets), recipe.canvas_px, left_out)
        self.size = len(self.cache.boxes)
        self.measured_on = f"{directories[0].resolve().name}/val, {len(self.validation)} persons, boxes given"
        self.mirrored = mirrored_order(self.cache.joints.shape[1], FLIP_PAIRS)

    def batch(self, indices: Tensor, generator: torch.Generator) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Crops uint8, and target heatmaps `(n, joints, h, w)` with joint weights `(n, joints)`."""
        recipe, varied = self.recipe, self.recipe.augmentation
        draw = Draw(generator, len(indices), self.device)
        canvases, boxes, joints = (
            values[indices].to(self.device, non_blocking=True)
            for values in (self.cache.canvases, self.cache.boxes, self.cache.joints)
        )
        matrices = pose_matrices(boxes, joints, recipe.input_size, varied, draw, padding=recipe.padding)
        flipped = draw.chance(varied.flip)
        matrices = mirror_matrices(matrices, flipped, recipe.input_size[1])
        crops = blur(cut(canvases, matrices, recipe.input_size), varied.blur, draw)
        crops = erase(vary_colour(crops, varied.colour, draw), varied.erase, draw).round().to(torch.uint8)
        joints = torch.where(flipped[:, None, None], joints[:, self.mirrored], joints)
        return crops, self._targets(transform(joints, matrices))

    def _targets(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        height, width = self.recipe.input_size
        known = (joints[..., 2] > 0).float()
        return target_heatmaps(
            joints[..., :2],
            known,
            (height, width),
            (height // 4, width // 4),
            self.recipe.sigma,
            coding="udp",
        )

    def loss(self, outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        """Weighted mean square error; a joint whose target lies outside the crop counts as unknown."""
        heatmaps, joint_weights = targets
        return heatmap_loss(outputs.float(), heatmaps, joint_weights)

    def evaluate(self, network: Network) -> dict[str, float]:
        """Mean OKS over all and by source of the labels, and COCO's figures; boxes given, no flip test."""
        people = list(predict_persons(self._engine(network), self.validation))
        figures = pose_figures(people, self.validation)
        by_label = {f"mean_oks_{label}": value for label, value in figures.mean_oks_by_label.items() if label}
        return {"mean_oks": figures.mean_oks, **by_label, **figures.coco}

    def samples(self, network: Network) -> npt.NDArray[np.uint8]:
        """Skeletons on people spread over the validation split."""
        step = max(1, len(self.validation) // SHOWN)
        shown = self.validation[::step][:SHOWN]
        people = predict_persons(self._engine(network), shown)
        pictures = [read_picture(person.image).pixels for person in shown]
        drawn = [draw_people(picture, [found]) for picture, found in zip(pictures, people, strict=True)]
        return contact_sheet(drawn)

    def entry(self, name: str, metrics: Mapping[str, float | str]) -> Entry:
        recipe = self.recipe
        coding = PoseCoding(refine="udp", kernel=recipe.kernel, udp=True, padding=recipe.padding)
        return Entry(
            name=name,
            task="pose",
            variant=variant_of(recipe.network.backbone),
            file=Path(),
            sha256="",
            input_sizes=(recipe.input_size,),
            precision="float16",
            config=recipe.network,
            labels="coco-17",
            metrics=metrics,
            decode=asdict(coding),
        )

    def _engine(self, network: Network) -> PoseEngine:
        return PoseEngine(network, self.entry("", {}), device=str(self.device), precision="float32")
