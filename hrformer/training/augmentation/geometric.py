"""Where a training crop lies: flips, scale, rotation, shift, half bodies; batched, on any device."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hrformer.geometry.boxes import centre_scale
from hrformer.geometry.crop import crop_matrices
from hrformer.training.augmentation.variation import (
    ClassAugmentation,
    MaskAugmentation,
    PeopleAugmentation,
    PoseAugmentation,
)
from hrformer.training.distributed import ranks

UPPER_BODY = 11  # joints before this index lie above the hips


class Draw:
    """Random numbers from one generator, shaped `(n,)` on the device of the batch.

    Each of several processes, whose generators are alike, draws for all and takes its part: together they
    get what one process gets.
    """

    def __init__(self, generator: torch.Generator, count: int, device: torch.device) -> None:
        self.generator, self.device = generator, device
        self.total = count * ranks().count
        self.part = ranks().part(self.total)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        drawn = torch.rand(self.total, generator=self.generator)[self.part]
        return low + (high - low) * drawn.to(self.device)

    def normal(self, deviation: float, limit: float) -> Tensor:
        drawn = torch.randn(self.total, generator=self.generator)[self.part] * deviation
        return drawn.clamp(-limit, limit).to(self.device)

    def rows(self, size: int) -> Tensor:
        """Rows of a set of this size, on the CPU."""
        return torch.randint(size, (self.total,), generator=self.generator)[self.part]

    def chance(self, probability: float) -> Tensor:
        return self.uniform() < probability


def one_of(sizes: Sequence[tuple[int, int]], generator: torch.Generator) -> tuple[int, int]:
    """One of the sizes, each as likely; where there is one alone, nothing is drawn."""
    if len(sizes) == 1:
        return sizes[0]
    return sizes[int(torch.randint(len(sizes), (1,), generator=generator))]


def pose_matrices(
    boxes: Tensor,
    joints: Tensor,
    size: tuple[int, int],
    augmentation: PoseAugmentation,
    draw: Draw,
    *,
    padding: float,
) -> Tensor:
    """UDP matrices `(n, 2, 3)`, canvas to crop, of varied crops around people.

    boxes: `(n, 4)` xywh. joints: `(n, 17, 3)`, x, y, v. Both in pixels of the canvas. size: (height, width).
    """
    centre, extent = centre_scale(_half_bodies(boxes, joints, augmentation, draw), size, padding)
    extent = extent * (1 + draw.normal(augmentation.scale / 2, augmentation.scale))[:, None]
    shift = torch.stack([draw.normal(augmentation.shift, 1.0) for _ in range(2)], dim=1)
    turned = draw.chance(augmentation.rotation_probability)
    rotation = draw.normal(augmentation.rotation_deg, 2 * augmentation.rotation_deg) * turned
    return crop_matrices(centre + shift * extent, extent, rotation, size, udp=True)


def _half_bodies(boxes: Tensor, joints: Tensor, augmentation: PoseAugmentation, draw: Draw) -> Tensor:
    """The boxes, some of them narrowed to the joints of one half of the body and enlarged by half."""
    visible = joints[..., 2] > 0
    upper = torch.arange(joints.shape[1], device=joints.device) < UPPER_BODY
    half = torch.where(draw.chance(0.5)[:, None], upper, ~upper) & visible
    chosen = draw.chance(augmentation.half_body) & (visible.sum(1) >= 8) & (half.sum(1) >= 3)
    points = joints[..., :2]
    low = points.masked_fill(~half[..., None], float("inf")).amin(dim=1)
    high = points.masked_fill(~half[..., None], float("-inf")).amax(dim=1)
    sides = (high - low) * 1.5
    narrowed = torch.cat([(low + high - sides) / 2, sides.clamp(min=8)], dim=1)
    return torch.where(chosen[:, None], narrowed, boxes)


def mask_matrices(sizes: Tensor, size: tuple[int, int], augmentation: MaskAugmentation, draw: Draw) -> Tensor:
    """Matrices `(n, 2, 3)`, canvas to crop: the picture, scaled and cut at random.

    sizes: `(n, 2)`, width and height of each picture. size: (height, width) of the crop. At scale 1 the whole
    picture fills the crop; where the picture is the larger, a random part of it is shown.
    """
    zeros = torch.zeros_like(sizes)
    centre, extent = centre_scale(torch.cat([zeros, sizes], dim=1), size, 1.0)
    ratio = augmentation.largest / augmentation.smallest
    scale = augmentation.smallest * ratio ** draw.uniform()
    stretch = (1 + augmentation.aspect) ** draw.uniform(-0.5, 0.5)
    shown = extent / scale[:, None] * torch.stack([stretch, 1 / stretch], dim=1)
    room = (sizes - shown).abs() / 2 + 0.1 * shown
    where = torch.stack([draw.uniform(-1, 1), draw.uniform(-1, 1)], dim=1)
    rotation = draw.normal(augmentation.rotation_deg, 2 * augmentation.rotation_deg)
    return crop_matrices(centre + where * room, shown, rotation, size, udp=True)


def people_matrices(
    sizes: Tensor, size: tuple[int, int], served_px: float, augmentation: PeopleAugmentation, draw: Draw
) -> Tensor:
    """Matrices `(n, 2, 3)`, canvas to crop: a random part of the photograph, upright.

    sizes: `(n, 2)`, width and height of each. size: (height, width) of the crop. served_px: the long side of
    a photograph at scale 1. A photograph that is smaller than the crop lies anywhere in it.
    """
    ratio = augmentation.largest / augmentation.smallest
    scale = served_px / sizes.amax(dim=1) * augmentation.smallest * ratio ** draw.uniform()
    stretch = (1 + augmentation.aspect) ** draw.uniform(-0.5, 0.5)
    zoom = scale[:, None] * torch.stack([stretch, 1 / stretch], dim=1)
    shown = sizes.new_tensor([size[1], size[0]])
    where = torch.stack([draw.uniform(), draw.uniform()], dim=1)
    # Edges of the photograph and of the crop: half a pixel outside the centres of their first pixels.
    shift = (shown - sizes * zoom) * where - 0.5 + 0.5 * zoom
    return torch.cat([torch.diag_embed(zoom), shift[..., None]], dim=2)


def class_matrices(
    sizes: Tensor, size: tuple[int, int], augmentation: ClassAugmentation, draw: Draw
) -> Tensor:
    """Matrices `(n, 2, 3)`, canvas to crop: a part of the picture, stretched to the crop.

    sizes: `(n, 2)`, width and height of each picture. size: (height, width) of the crop.
    """
    area = sizes.prod(dim=1) * draw.uniform(augmentation.smallest, 1.0)
    ratio = augmentation.aspect ** draw.uniform(-1, 1) * (size[1] / size[0])
    shown = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).minimum(sizes)
    corner = (sizes - shown) * torch.stack([draw.uniform(), draw.uniform()], dim=1)
    zoom = sizes.new_tensor([size[1], size[0]]) / shown
    # From edge to edge: half a pixel outside the centres of the first and the last pixel.
    return torch.cat([torch.diag_embed(zoom), (zoom * (0.5 - corner) - 0.5)[..., None]], dim=2)


def mirror_matrices(matrices: Tensor, mirrored: Tensor, width: int) -> Tensor:
    """The matrices followed by a mirror for the rows chosen by `(n,)` bool."""
    flipped = matrices.clone()
    flipped[:, 0] = -flipped[:, 0]
    flipped[:, 0, 2] += width - 1
    return torch.where(mirrored[:, None, None], flipped, matrices)
