"""`hrformer scribble`: coarse masks of people from their boxes and keypoints, to train masks on."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hrformer.data.scribbles import Mask, Sketch
    from hrformer.engine.segmentation import SegmentationEngine

DESCRIPTION = """\
Reads photographs with the boxes of all people, and the keypoints of some (DIR/train.json, as for `hrformer
train tiny-people`), and writes a folder of coarse masks for `hrformer train tiny-parsing --data … --data
OUTPUT`: outside all boxes background, along the skeletons person, elsewhere no label. With --model, a network
that knows people from the background labels what it is sure of inside the boxes."""

SPLIT = "train"
SURE, HARDLY = 0.8, 0.1  # probability from which on a pixel is somebody's, and up to which it is nobody's
LEAST_SHOWN = 0.004  # of a picture that is somebody's for certain; of others only some are taken


def parser() -> argparse.ArgumentParser:
    """The flags."""
    p = argparse.ArgumentParser(
        "hrformer scribble", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("data", metavar="DIR", type=Path, help=f"folder with {SPLIT}.json")
    p.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder for the masks")
    p.add_argument("--model", help="name or file of a model for masks that has a background")
    p.add_argument("--without", metavar="LIST", type=Path, help="file of NAMEs, one a line, to leave out")
    p.add_argument(
        "--empty", type=int, default=150, help="pictures to take that show hardly anybody (default: 150)"
    )
    p.add_argument("--threads", type=int, help="of the CPU (default: torch's choice)")
    return p


def main(argv: list[str]) -> int:
    """Writes masks, list and classes, and says how many."""
    arguments = parser().parse_args(argv)
    from hrformer.data.scribbles import PERSON, read_sketches
    from hrformer.engine.device import set_threads

    set_threads(arguments.threads)
    without = set(arguments.without.read_text(encoding="utf-8").split()) if arguments.without else set()
    sketches = [one for one in read_sketches(arguments.data, SPLIT) if one.image.stem not in without]
    shown: list[str] = []
    empty: list[str] = []
    (arguments.output / "masks").mkdir(parents=True, exist_ok=True)
    for sketch, mask in _masks(sketches, arguments.model):
        _write(arguments.output / "masks" / f"{sketch.image.stem}.png", mask)
        (shown if (mask == PERSON).mean() > LEAST_SHOWN else empty).append(sketch.image.stem)
    names = shown + _spread(empty, arguments.empty)
    (arguments.output / f"{SPLIT}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    _write_classes(arguments.output, sketches[0].image.parent)
    print(f"{arguments.output}: {len(shown)} pictures with people, {len(names) - len(shown)} with hardly any")
    return 0


def _masks(sketches: Iterable["Sketch"], model: str | None) -> Iterator[tuple["Sketch", "Mask"]]:
    """raises: BadDataset, naming a picture that cannot be read; ValueError for a model without background."""
    from hrformer.data.pictures import read_picture
    from hrformer.data.scribbles import fill_in, scribble

    engine = None if model is None else _engine(model)
    for sketch in sketches:
        picture = read_picture(sketch.image, engine.shrink if engine else None)
        mask = scribble((picture.height, picture.width), sketch)
        if engine is not None:
            canvas = engine.prepare(picture)
            logits = engine.run(canvas.pixels[None])[0]
            mask = fill_in(
                mask,
                engine.figure(logits, canvas, SURE).numpy(),
                ~engine.figure(logits, canvas, HARDLY).numpy(),
            )
        yield sketch, mask


def _engine(model: str) -> "SegmentationEngine":
    from hrformer.checkpoints.manifest import find
    from hrformer.engine.predictor import load_engine
    from hrformer.engine.segmentation import SegmentationEngine

    entry = find(model)
    engine = load_engine(entry)
    if not isinstance(engine, SegmentationEngine):
        raise ValueError(f"{entry.name} is for {entry.task}; choose a model for masks")
    return engine


def _spread(names: list[str], count: int) -> list[str]:
    """So many of the names, from everywhere in the list."""
    return [names[index * len(names) // count] for index in range(min(count, len(names)))]


def _write(file: Path, mask: "Mask") -> None:
    from PIL import Image

    from hrformer.data.scribbles import UNKNOWN
    from hrformer.geometry.palettes import PERSON as CLASSES

    image = Image.fromarray(mask, "P")
    colours = {index: colour for index, (_, colour) in enumerate(CLASSES)} | {UNKNOWN: (128, 128, 128)}
    image.putpalette([part for index in range(256) for part in colours.get(index, (0, 0, 0))])
    image.save(file)


def _write_classes(output: Path, images: Path) -> None:
    from hrformer.data.scribbles import BACKGROUND, UNKNOWN
    from hrformer.geometry.palettes import PERSON as CLASSES

    classes = [
        {"index": index, "name": name, "color": list(colour)} for index, (name, colour) in enumerate(CLASSES)
    ]
    description = {
        "num_classes": len(classes),
        "ignore_index": UNKNOWN,
        "background_index": BACKGROUND,
        "images": str(images.resolve()),
        "classes": classes,
    }
    (output / "classes.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
