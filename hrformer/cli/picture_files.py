"""Which pictures a command is asked for, and where the drawn ones go."""

import random
from collections.abc import Sequence
from pathlib import Path

from hrformer.data.coco import read_image, read_json
from hrformer.data.image_folder import SUFFIXES

READ = SUFFIXES  # taken from a folder
WRITTEN = (".jpg", ".jpeg", ".png")


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files as they are given, of each folder its pictures by name, and those that a set's file lists.

    raises: ValueError if a folder or a set holds none, or a set's file is not in COCO's format.
    """
    found: list[Path] = []
    for path in paths:
        inside = _inside(path)
        if not inside:
            raise ValueError(f"{path} holds no picture; looked for {' '.join(READ)}")
        found += inside
    return found


def some_of(pictures: Sequence[Path], count: int | None) -> list[Path]:
    """So many of the pictures, drawn at random, in their order; the same ones each time. All if None.

    raises: ValueError if that is none.
    """
    if count is None or count >= len(pictures):
        return list(pictures)
    if count < 1:
        raise ValueError(f"--sample is {count}; expected 1 or more")
    chosen = random.Random(0).sample(range(len(pictures)), count)
    return [pictures[index] for index in sorted(chosen)]


def _inside(path: Path) -> list[Path]:
    if path.is_dir():
        return pictures_of(path)
    if path.suffix.lower() != ".json":
        return [path]
    return [read_image(image, path.parent, path)[1] for image in read_json(path)["images"]]


def pictures_of(folder: Path) -> list[Path]:
    """Files with the suffix of a picture, sorted by name; not those of folders inside."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in READ and file.is_file())


def output_files(pictures: Sequence[Path], output: Path | None, kind: str) -> list[Path]:
    """One file to write for each picture: NAME-KIND.jpg in the folder, or the file that is named.

    output: a folder, which may not be there yet; for one picture also a file; None for the current folder.
    No file is another's, or that of a picture.
    raises: ValueError if one file is named for several pictures, is a picture read, or of another format.
    """
    if output is None or output.is_dir() or output.suffix.lower() not in READ:
        return _in_folder(pictures, output or Path(), kind)
    check_written(output)
    if len(pictures) > 1:
        raise ValueError(f"{len(pictures)} pictures do not fit into {output}; give a folder")
    if output.resolve() == pictures[0].resolve():
        raise ValueError(f"{output} is the picture itself; give another file for the drawn one")
    return [output]


def check_written(output: Path) -> None:
    """raises: ValueError if the name is that of another format than is written."""
    if output.suffix.lower() not in WRITTEN:
        raise ValueError(f"cannot write {output}; give a name that ends in {', '.join(WRITTEN)}")


def _in_folder(pictures: Sequence[Path], folder: Path, kind: str) -> list[Path]:
    taken = {picture.resolve() for picture in pictures}
    files = []
    for picture in pictures:
        file, number = folder / f"{picture.stem}-{kind}.jpg", 2
        while file.resolve() in taken:
            file, number = folder / f"{picture.stem}-{kind}-{number}.jpg", number + 1
        taken.add(file.resolve())
        files.append(file)
    return files
