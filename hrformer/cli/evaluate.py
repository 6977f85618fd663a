"""`hrformer evaluate`: how good a model is on labelled pictures."""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hrformer.cli.arguments import add_fields
from hrformer.cli.figures_table import figure_rows
from hrformer.cli.hardware import Hardware
from hrformer.cli.measured_model import open_model
from hrformer.cli.table import table

if TYPE_CHECKING:
    from hrformer.evaluation.run import Measurement, Model, Question

T = TypeVar("T")

DESCRIPTION = """\
Measures a model on the labelled pictures of a folder, as its task has them. Behind each figure stands its
95 % interval, by the bootstrap over pictures: how far it may be off because the set has these and no others.

pose:           COCO keypoints (SPLIT.json beside images/, or COCO's own folders). With the boxes of the
                labels: mean OKS over all persons and by where their labels come from; PCK, the share of the
                labelled joints within 0.1 and 0.2 of the box's longer side; COCO's AP and AR.
                With --detections: AP and AR over whole pictures, a score being the detection's times that of
                its keypoints. Mean OKS and PCK belong to labelled boxes, and are left out.
                With --finder: people are found first, as where a picture is sent without boxes. AP and AR
                over whole pictures of those who are found, the same with the boxes of the labels, and the
                relative loss.
segmentation:   images/, masks/, classes.json and SPLIT.txt. IoU of each class and their mean, accuracy, and
                the IoU of all that is not background, at the full size of the pictures. Where the set has
                only background and person, all other classes of the model count as person.
people:         all people of whole photographs, as for pose. AP and AR of the boxes found, recall by size at
                an IoU of 0.5, and the share of photographs without people where somebody is found.
classification: SPLIT/CLASS/NAME.jpg. Share of the pictures whose class is the likeliest, or one of the five
                likeliest.

Exit codes: 0 measured, 2 wrong use, a folder that is not in its format or a service that does not answer,
130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer evaluate", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "model",
        metavar="MODEL",
        help="name in the manifest, or a .safetensors file; with --url, a name there",
    )
    p.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data set")
    p.add_argument("--split", default="val", help="part of the set (default: val)")
    p.add_argument(
        "--detections",
        metavar="FILE",
        type=Path,
        help="people found by a detector, in place of the labels' boxes; pose only. COCO's results format, "
        "[{image_id, category_id, bbox, score}, …]; other categories than 1 are left out",
    )
    p.add_argument(
        "--finder",
        metavar="NAME|FILE",
        help="finds the people first; 'auto' is the manifest's for people; with --url that of the service, "
        "by its name or 'auto'; pose only",
    )
    p.add_argument(
        "--box-threshold",
        type=float,
        metavar="SCORE",
        help="smallest score of somebody found who counts; people, and pose with --finder (default: 0.01)",
    )
    p.add_argument(
        "--flip-test", action="store_true", help="average with the mirrored crop or picture; pose and masks"
    )
    p.add_argument(
        "--scales",
        type=_scales,
        default=(1.0,),
        metavar="S,S…",
        help="average over the input size times each, to multiples of 32 px; masks only (default: 1)",
    )
    p.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="the first N persons, with --detections pictures; N pictures; of classes, spread evenly",
    )
    p.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="run N persons or pictures together, with --url ask for N at once. Faster, but the last digits "
        "of the figures then depend on what runs together (default: 1)",
    )
    p.add_argument("--url", metavar="URL", help="ask a running service, http://host:port, for all answers")
    p.add_argument("--api-key", metavar="KEY", help="of the service")
    p.add_argument("--json", action="store_true", help="print figures and intervals as JSON")
    add_fields(p, Hardware)
    return p


def main(argv: list[str]) -> int:
    """Measures and prints."""
    arguments = parser().parse_args(argv)
    from hrformer.engine.views import Views
    from hrformer.evaluation.people import LOWEST
    from hrformer.evaluation.run import Question, measure_model

    _check_numbers(arguments)
    question = Question(
        data=arguments.data,
        split=arguments.split,
        limit=arguments.limit,
        detections=arguments.detections,
        finds_people=arguments.finder is not None,
        box_threshold=LOWEST if arguments.box_threshold is None else arguments.box_threshold,
        views=Views(arguments.flip_test, arguments.scales),
    )
    with open_model(arguments) as model:
        _check_task(model, arguments)
        found = measure_model(model, question, _shown)
    if arguments.json:
        print(json.dumps(_without_nan(_values(model, question, found, arguments.url)), indent=2))
        return 0
    print(_heading(model, arguments, found) + "\n")
    print(table(("figure", "value and 95 % interval"), list(figure_rows(found.figures))))
    return 0


def _check_numbers(arguments: argparse.Namespace) -> None:
    for flag, value in (("--limit", arguments.limit), ("--batch", arguments.batch)):
        if value is not None and value < 1:
            raise ValueError(f"{flag} is {value}; expected 1 or more")
    threshold = arguments.box_threshold
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"--box-threshold is {threshold:g}; expected 0 to 1")
    if arguments.finder is not None and arguments.detections is not None:
        raise ValueError("--detections are people found already; leave out --finder")


def _check_task(model: "Model", arguments: argparse.Namespace) -> None:
    """raises: ValueError for a flag that does not go with the model's task."""
    is_pose, masks = model.task == "pose", model.task == "segmentation"
    finds_people = model.task == "people" or (is_pose and arguments.finder is not None)
    misplaced = {
        "--detections": (arguments.detections is not None and not is_pose, "pose"),
        "--finder": (arguments.finder is not None and not is_pose, "pose"),
        "--scales": (arguments.scales != (1.0,) and not masks, "segmentation"),
        "--flip-test": (arguments.flip_test and not masks and not is_pose, "pose and segmentation"),
        "--box-threshold": (
            arguments.box_threshold is not None and not finds_people,
            "people, and for pose with --finder",
        ),
    }
    for flag, (is_wrong, task) in misplaced.items():
        if is_wrong:
            raise ValueError(f"{flag} is for {task}; model {model.name!r} is for {model.task}")


def _heading(model: "Model", arguments: argparse.Namespace, found: "Measurement") -> str:
    """What was measured, on what, and what counted there."""
    where = f" behind {arguments.url}" if arguments.url else ""
    people = f", people found by {model.finder['model']}" if model.finder else ""
    heading = (
        f"{model.name}{where}{people} on {arguments.data}, {arguments.split}: {found.count} {found.counted}"
    )
    limits = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in found.limits.items())
    return f"{heading}\n{limits}" if limits else heading


def _values(model: "Model", question: "Question", found: "Measurement", url: str | None) -> dict[str, Any]:
    from hrformer.evaluation.figures import as_values

    return {
        "model": model.name,
        "model_version": model.version,
        "url": url,
        "data": str(question.data),
        "split": question.split,
        "detections": None if question.detections is None else str(question.detections),
        "finder": model.finder,
        **found.limits,
        "flip_test": question.views.flip_test,
        "scales": list(question.views.scales),
        found.counted: found.count,
        **as_values(found.figures),
    }


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of scales; write 0.75,1,1.25") from None


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
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
