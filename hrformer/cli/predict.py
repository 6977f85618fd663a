"""`hrformer predict`: keypoints or masks of pictures, drawn and as JSON."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrformer.cli.arguments import add_fields, from_flags
from hrformer.cli.hardware import Hardware
from hrformer.cli.picture_files import find_pictures, output_files

if TYPE_CHECKING:
    from hrformer.checkpoints.manifest import Entry
    from hrformer.engine.picture import Pixels
    from hrformer.engine.predictor import Predictor

DESCRIPTION = """\
Finds the keypoints of people, or the class of every pixel, and draws them over the picture.

The drawn pictures go to OUTPUT, else as NAME-pose.jpg or NAME-mask.jpg to the current folder. With --json the
answers are printed, one object a line, and nothing is drawn unless OUTPUT is given.

Exit codes: 0; 1 a picture could not be used, the others were; 2 wrong use; 130 interrupted."""

KINDS = {"pose": "pose", "segmentation": "mask"}  # what a file is called, by task
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Answer:
    """What a model says of a picture."""

    values: dict[str, Any]  # for JSON
    words: str
    draw: "Callable[[Pixels], Pixels]"  # over the picture


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer predict", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="picture, or folder of pictures")
    p.add_argument("--model", metavar="NAME|FILE", help="default: the task's default model")
    p.add_argument("--task", choices=tuple(KINDS), help="default: that of the model, else pose")
    p.add_argument(
        "--boxes",
        type=_boxes,
        metavar="JSON",
        help="[[x, y, width, height], …] of the people in the one picture, in its upright pixels; "
        "whole, the default, takes each picture as one person",
    )
    p.add_argument("--output", type=Path, metavar="FILE|DIR", help="where the drawn pictures go")
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
    from hrformer.engine.predictor import Predictor, load_engine
    from hrformer.images.errors import ImageError

    pictures = find_pictures(arguments.images)
    entry = _entry(arguments)
    _check(arguments, entry, len(pictures))
    draws = arguments.output is not None or not arguments.json
    outputs = output_files(pictures, arguments.output, KINDS[entry.task]) if draws else [None] * len(pictures)
    hardware = from_flags(Hardware, arguments)
    set_threads(hardware.threads)
    predictor = Predictor(load_engine(entry, device=hardware.device, precision=hardware.precision))
    failures = 0
    for picture, output in zip(pictures, outputs, strict=True):
        try:
            line = _predict(predictor, picture, output, arguments)
        except (ImageError, OSError) as error:
            failures += 1
            print(f"hrformer predict: {_sentence(picture, error)}", file=sys.stderr)
        else:
            print(line, flush=True)
    return 1 if failures else 0


def _entry(arguments: argparse.Namespace) -> "Entry":
    from hrformer.checkpoints.manifest import default_model, find

    return find(arguments.model) if arguments.model else default_model(arguments.task or "pose")


def _check(arguments: argparse.Namespace, entry: "Entry", pictures: int) -> None:
    """raises: ValueError for flags that do not go with the model or with each other."""
    if entry.task not in KINDS or arguments.task not in (None, entry.task):
        expected = arguments.task or " or ".join(KINDS)
        raise ValueError(f"model {entry.name!r} is for {entry.task}; expected one for {expected}")
    if entry.task != "pose" and (arguments.boxes is not None or arguments.flip_test):
        raise ValueError(f"--boxes and --flip-test are for pose; model {entry.name!r} is for {entry.task}")
    if arguments.boxes is not None and pictures > 1:
        raise ValueError(f"--boxes are those of one picture; there are {pictures}")


def _predict(
    predictor: "Predictor", picture: Path, output: Path | None, arguments: argparse.Namespace
) -> str:
    """The line to print; draws on the way."""
    from hrformer.images.decode import decode, read_header

    data = picture.read_bytes()
    header = read_header(data, predictor.limits)
    entry = predictor.engine.entry
    answer = _pose(predictor, data, arguments) if entry.task == "pose" else _mask(predictor, data)
    if output is not None:
        drawn = answer.draw(decode(data, predictor.limits).pixels)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(_encoded(drawn, output.suffix))
    if not arguments.json:
        return f"{picture}: {answer.words} → {output}"
    return json.dumps(
        {
            "file": str(picture),
            "model": entry.name,
            "model_version": entry.version,
            "image": {"width": header.width, "height": header.height},
            **answer.values,
        }
    )


def _pose(predictor: "Predictor", data: bytes, arguments: argparse.Namespace) -> Answer:
    from hrformer.cli.answers import people_in_words, person_values
    from hrformer.images.draw import draw_people

    threshold: float = arguments.keypoint_threshold
    people = predictor.pose(data, arguments.boxes, flip_test=arguments.flip_test)
    values = {
        "boxes": "whole" if arguments.boxes is None else "given",
        "people": [person_values(person, threshold) for person in people],
    }
    return Answer(values, people_in_words(people), lambda pixels: draw_people(pixels, people, threshold))


def _mask(predictor: "Predictor", data: bytes) -> Answer:
    from hrformer.cli.answers import class_values, classes_in_words
    from hrformer.images.draw import draw_mask

    palette = predictor.engine.entry.palette
    class_map = predictor.segment(data)
    return Answer(
        {"classes": class_values(class_map, palette)},
        classes_in_words(class_map, palette),
        lambda pixels: draw_mask(pixels, class_map, palette),
    )


def _encoded(pixels: "Pixels", suffix: str) -> bytes:
    from hrformer.images.encode import encode_jpeg, encode_png

    return encode_png(pixels) if suffix.lower() == ".png" else encode_jpeg(pixels, JPEG_QUALITY)


def _sentence(picture: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or picture}: {error.strerror}"
    return f"{picture}: {error}"


def _boxes(text: str) -> list[list[float]] | None:
    """Boxes of a flag; whether they show the picture is seen when it is read."""
    if text == "whole":
        return None
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
