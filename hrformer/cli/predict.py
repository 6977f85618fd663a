"""`hrformer predict`: keypoints, boxes, masks or classes of pictures, drawn and as JSON."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from hrformer.cli.arguments import add_fields, from_flags
from hrformer.cli.hardware import Hardware
from hrformer.cli.picture_files import check_written, find_pictures, output_files, some_of
from hrformer.engine.search import Search

if TYPE_CHECKING:
    from hrformer.checkpoints.manifest import Entry
    from hrformer.cli.answers import Answer
    from hrformer.engine.picture import Pixels
    from hrformer.engine.predictor import Predictor

DESCRIPTION = """\
Finds everyone and their keypoints, only their boxes, or the class of every pixel, and draws that over the
picture.

Keypoints need a box for each person. The manifest's default model for people finds them, or the one of
--finder; where there is none, each picture is taken as one person.

The drawn pictures go to OUTPUT, else as NAME-pose.jpg, NAME-people.jpg or NAME-mask.jpg to the current
folder; with --sheet they go into one picture instead, in rows of five, to be looked at.
With --json the answers are printed, one object a line, and nothing is drawn unless it is asked for.
A model for classification tells the five likeliest classes of the whole picture; nothing is drawn.

Exit codes: 0; 1 a picture could not be used, the others were; 2 wrong use; 130 interrupted."""

KINDS = {"pose": "pose", "segmentation": "mask", "people": "people"}  # what a drawn file is called, by task
ANSWERED = (*KINDS, "classification")  # tasks
TASKS = {  # that a flag is for, where it is not for all
    "boxes": ("pose",),
    "finder": ("pose",),
    "flip_test": ("pose",),
    "box_threshold": ("pose", "people"),
    "max_people": ("pose", "people"),
    "output": tuple(KINDS),
    "sheet": tuple(KINDS),
}
COLUMNS, CELL_PX, MOST_CELLS = 5, 400, 200  # of a sheet
JPEG_QUALITY = 92

Boxes: TypeAlias = list[list[float]] | Literal["whole"]


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer predict", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="picture, folder of pictures, or SPLIT.json of a set in COCO's format",
    )
    p.add_argument("--sample", type=int, metavar="N", help="only N of them, drawn at random, always the same")
    p.add_argument("--model", metavar="NAME|FILE", help="default: the task's default model")
    p.add_argument("--task", choices=ANSWERED, help="default: that of the model, else pose")
    p.add_argument(
        "--boxes",
        type=_boxes,
        metavar="JSON",
        help="[[x, y, width, height], …] of the people in the one picture, in its upright pixels; "
        "whole takes each picture as one person (default: people are found first)",
    )
    p.add_argument(
        "--finder", metavar="NAME|FILE", help="finds the people; default: the manifest's for people"
    )
    add_fields(p, Search)
    p.add_argument("--output", type=Path, metavar="FILE|DIR", help="where the drawn pictures go")
    p.add_argument("--sheet", type=Path, metavar="FILE", help="one picture of all drawn ones, made smaller")
    p.add_argument("--json", action="store_true", help="print the answers as JSON")
    p.add_argument("--flip-test", action="store_true", help="average with the mirrored picture; pose only")
    p.add_argument(
        "--keypoint-threshold",
        type=float,
        default=0.3,
        metavar="SCORE",
        help="keypoints below are not drawn, and not visible in the JSON (default: 0.3)",
    )
    add_fields(p, Hardware)
    return p


def main(argv: list[str]) -> int:
    """Answers for each picture; one that cannot be used costs a line on stderr and the exit code."""
    arguments = parser().parse_args(argv)
    from hrformer.engine.device import set_threads
    from hrformer.engine.predictor import AUTO, choose_finder, predictor_of
    from hrformer.images.errors import ImageError

    pictures = some_of(find_pictures(arguments.images), arguments.sample)
    entry = _entry(arguments)
    _check(arguments, entry, len(pictures))
    finder = choose_finder(entry, arguments.finder or AUTO)
    outputs: Sequence[Path | None] = [None] * len(pictures)
    draws_each = not arguments.json and arguments.sheet is None
    if entry.task in KINDS and (arguments.output is not None or draws_each):
        outputs = output_files(pictures, arguments.output, KINDS[entry.task])
    ask = _question(arguments, entry, finds_people=finder is not None)
    hardware = from_flags(Hardware, arguments)
    set_threads(hardware.threads)
    predictor = predictor_of(entry, finder, device=hardware.device, precision=hardware.precision)
    failures, drawn = 0, list["Pixels"]()
    cells = None if arguments.sheet is None else drawn
    for picture, output in zip(pictures, outputs, strict=True):
        try:
            line = _predict(predictor, ask, picture, output, cells, as_json=arguments.json)
        except (ImageError, OSError) as error:
            failures += 1
            print(f"hrformer predict: {_sentence(picture, error)}", file=sys.stderr)
        else:
            print(line, flush=True)
    if drawn:
        _write_sheet(drawn, arguments.sheet)
    return 1 if failures else 0


def _entry(arguments: argparse.Namespace) -> "Entry":
    from hrformer.checkpoints.manifest import default_model, find

    return find(arguments.model) if arguments.model else default_model(arguments.task or "pose")


def _check(arguments: argparse.Namespace, entry: "Entry", pictures: int) -> None:
    """raises: ValueError for flags that do not go with the model or with each other."""
    if entry.task not in ANSWERED or arguments.task not in (None, entry.task):
        expected = arguments.task or " or ".join(ANSWERED)
        raise ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {expected}")
    for name, tasks in TASKS.items():
        if getattr(arguments, name, None) not in (None, False) and entry.task not in tasks:
            flag = "--" + name.replace("_", "-")
            raise ValueError(f"{flag} is for {' and '.join(tasks)}; model {entry.name!r} is for {entry.task}")
    if arguments.sheet is not None:
        check_written(arguments.sheet)
        if pictures > MOST_CELLS:
            raise ValueError(f"--sheet holds {MOST_CELLS} pictures, not {pictures}; choose some by --sample")
    if isinstance(arguments.boxes, list) and pictures > 1:
        raise ValueError(f"--boxes are those of one picture; there are {pictures}")


def _question(
    arguments: argparse.Namespace, entry: "Entry", *, finds_people: bool
) -> "Callable[[Predictor, bytes], Answer]":
    """What is asked of every picture. raises: ValueError for an option out of range."""
    from hrformer.cli.answers import PoseQuestion, class_answer, mask_answer, people_answer, pose_answer

    if entry.task == "classification":
        return class_answer
    if entry.task == "segmentation":
        return mask_answer
    search = from_flags(Search, arguments)
    if entry.task == "people":
        return partial(people_answer, search)
    boxes: Boxes | None = arguments.boxes
    if boxes is None and not finds_people:
        boxes = "whole"
    question = PoseQuestion(boxes, search, arguments.flip_test, arguments.keypoint_threshold)
    return partial(pose_answer, question)


def _predict(
    predictor: "Predictor",
    ask: "Callable[[Predictor, bytes], Answer]",
    picture: Path,
    output: Path | None,
    cells: "list[Pixels] | None",
    *,
    as_json: bool,
) -> str:
    """The line to print; draws on the way, to the output and into the cells of a sheet."""
    from hrformer.images.decode import decode, read_header

    data = picture.read_bytes()
    header = read_header(data, predictor.limits)
    entry = predictor.engine.entry
    answer = ask(predictor, data)
    if output is not None or cells is not None:
        drawn = answer.draw(decode(data, predictor.limits).pixels)
        if output is not None:
            _write(drawn, output)
        if cells is not None:
            cells.append(drawn)
    if not as_json:
        return f"{picture}: {answer.words}" + ("" if output is None else f" → {output}")
    return json.dumps(
        {
            "file": str(picture),
            "model": entry.name,
            "model_version": entry.version,
            "image": {"width": header.width, "height": header.height},
            **answer.values,
        }
    )


def _write_sheet(drawn: "Sequence[Pixels]", file: Path) -> None:
    from hrformer.training.contact_sheet import contact_sheet

    _write(contact_sheet(drawn, columns=COLUMNS, cell_px=CELL_PX), file)


def _write(pixels: "Pixels", file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_encoded(pixels, file.suffix))


def _encoded(pixels: "Pixels", suffix: str) -> bytes:
    from hrformer.images.encode import encode_jpeg, encode_png

    return encode_png(pixels) if suffix.lower() == ".png" else encode_jpeg(pixels, JPEG_QUALITY)


def _sentence(picture: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or picture}: {error.strerror}"
    return f"{picture}: {error}"


def _boxes(text: str) -> Boxes:
    """Boxes of a flag; whether they show the picture is seen when it is read."""
    if text == "whole":
        return "whole"
    try:
        boxes = json.loads(text)
        if [len(box) for box in boxes] != [4] * len(boxes) or not all(
            math.isfinite(value) for box in boxes for value in box
        ):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of boxes; expected [[x, y, width, height], …], or whole"
        ) from None
    return [[float(value) for value in box] for box in boxes]
