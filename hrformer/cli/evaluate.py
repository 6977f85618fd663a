"""`hrformer evaluate`: how good a model is on labelled pictures."""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hrformer.cli.arguments import add_fields, from_flags
from hrformer.cli.hardware import Hardware
from hrformer.cli.table import table

if TYPE_CHECKING:
    from hrformer.engine.pose import PoseEngine
    from hrformer.engine.segmentation import SegmentationEngine
    from hrformer.evaluation.pose import PoseFigures
    from hrformer.evaluation.segmentation import SegmentationFigures

T = TypeVar("T")

DESCRIPTION = """\
Measures a model on the labelled pictures of a folder, as its task has them.

pose:          COCO keypoints (SPLIT.json beside images/, or COCO's own folders). Boxes are those of the
               labels; mean OKS over all persons and by where their labels come from, COCO's AP and AR.
segmentation:  images/, masks/, classes.json and SPLIT.txt. IoU of each class and their mean, pixel accuracy,
               at the full size of the pictures.

Exit codes: 0 measured, 2 wrong use or a folder that is not in its format, 130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer evaluate", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("model", metavar="MODEL", help="name in the manifest, or a .safetensors file")
    p.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data set")
    p.add_argument("--split", default="val", help="part of the set (default: val)")
    p.add_argument("--flip-test", action="store_true", help="average with the mirrored crop; pose only")
    p.add_argument("--limit", type=int, metavar="N", help="the first N persons or pictures alone")
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_fields(p, Hardware)
    return p


def main(argv: list[str]) -> int:
    """Measures and prints."""
    arguments = parser().parse_args(argv)
    from hrformer.engine.pose import PoseEngine
    from hrformer.engine.predictor import load

    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit is {arguments.limit}; expected 1 or more")
    hardware = from_flags(Hardware, arguments)
    engine = load(
        arguments.model, device=hardware.device, precision=hardware.precision, threads=hardware.threads
    ).engine
    if isinstance(engine, PoseEngine):
        pose = _pose_figures(engine, arguments)
        values, rows, what = asdict(pose), _pose_rows(pose), f"{pose.persons} persons"
    else:
        masks = _mask_figures(engine, arguments)
        values, rows, what = asdict(masks), _mask_rows(masks), f"{masks.pictures} pictures"
    entry = engine.entry
    if arguments.json:
        asked = {"data": str(arguments.data), "split": arguments.split, "flip_test": arguments.flip_test}
        model = {"model": entry.name, "model_version": entry.version}
        print(json.dumps(_without_nan({**model, **asked, **values}), indent=2))
    else:
        print(f"{entry.name} on {arguments.data}, {arguments.split}: {what}\n")
        print(table(("figure", "value"), rows))
    return 0


def _pose_figures(engine: "PoseEngine", arguments: argparse.Namespace) -> "PoseFigures":
    from hrformer.data.coco import read_persons
    from hrformer.evaluation.pose import pose_figures, predict_persons

    persons = read_persons(arguments.data, arguments.split)[: arguments.limit]
    answers = predict_persons(engine, persons, flip_test=arguments.flip_test)
    return pose_figures(list(_shown(answers, len(persons))), persons)


def _mask_figures(engine: "SegmentationEngine", arguments: argparse.Namespace) -> "SegmentationFigures":
    import torch

    from hrformer.data.mask_folder import read_mask_folder
    from hrformer.evaluation.segmentation import confusions, segmentation_figures

    if arguments.flip_test:
        raise ValueError(f"--flip-test is for pose; model {engine.entry.name!r} is for segmentation")
    folder = read_mask_folder(arguments.data, arguments.split)
    folder = replace(folder, samples=folder.samples[: arguments.limit])
    total = torch.stack(list(_shown(confusions(engine, folder), len(folder.samples)))).sum(dim=0)
    return segmentation_figures(total, folder.classes, folder.background, len(folder.samples))


def _pose_rows(figures: "PoseFigures") -> list[tuple[str, str]]:
    named = {label: value for label, value in figures.mean_oks_by_label.items() if label}
    return [
        ("mean OKS", _share(figures.mean_oks)),
        *((f"  {label}", _share(value)) for label, value in named.items()),
        *((name, _share(value if value >= 0 else math.nan)) for name, value in figures.coco.items()),
    ]


def _mask_rows(figures: "SegmentationFigures") -> list[tuple[str, str]]:
    return [
        ("mean IoU", _share(figures.mean_iou)),
        *((f"  {name}", _share(value)) for name, value in figures.iou.items()),
        ("pixel accuracy", _share(figures.pixel_accuracy)),
        ("mean class accuracy", _share(figures.mean_class_accuracy)),
        ("foreground IoU", _share(figures.foreground_iou)),
    ]


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _shown(items: Iterable[T], total: int) -> Iterator[T]:
    """The items, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    return iter(
        track(
            items,
            "measuring",
            total=total,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
