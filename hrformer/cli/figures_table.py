"""Measured figures in words."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hrformer.evaluation.figures import Figure

NAMES = {
    "mean_oks": "mean OKS",
    "pck_0.1": "PCK@0.1",
    "pck_0.2": "PCK@0.2",
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "foreground_iou": "foreground IoU",
    "false_alarms": "false alarms",
    "top_1": "top-1",
    "top_5": "top-5",
}
PARTS = {  # names in a group
    "mean_oks_by_label": "  {}",
    "iou": "  {}",
    "recall50": "recall of {} people",
    "coco_given_boxes": "{}, given boxes",
    "relative_loss": "relative loss of {}",
}


def figure_rows(figures: "Sequence[Figure]") -> Iterator[tuple[str, str]]:
    """Name, and value with its interval as `0.4280 [0.410, 0.446]`; parts of a figure are set in."""
    for figure in figures:
        if figure.name:
            name = PARTS.get(figure.group, "{}").format(NAMES.get(figure.name, figure.name))
            yield name, _share(figure)


def _share(figure: "Figure") -> str:
    """A share that there is none of, also COCO's -1, is a dash; less than nothing can be lost."""
    if math.isnan(figure.value) or figure.value == -1:
        return "–"
    if math.isnan(figure.low):
        return f"{figure.value:.4f}"
    return f"{figure.value:.4f} [{figure.low:.3f}, {figure.high:.3f}]"
