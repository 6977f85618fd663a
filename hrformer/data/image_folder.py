"""Pictures with one class each: a folder for each class, `SPLIT/CLASS/NAME.jpg`."""

from dataclasses import dataclass
from pathlib import Path

from hrformer.data.errors import BadDataset

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")  # in small or large letters


@dataclass(frozen=True)
class ImageFolder:
    """One split of a set."""

    classes: tuple[str, ...]  # names of the folders, sorted
    samples: tuple[tuple[Path, int], ...]  # pictures, by class and then by name, each with its class's index


def read_image_folder(directory: Path, split: str) -> ImageFolder:
    """The pictures of `SPLIT/CLASS/`, which are not opened yet.

    What begins with a dot, has another suffix than a picture's, or lies in a folder deeper down is left out.
    raises: BadDataset, naming the folder, if it cannot be read, has no class, or a class has no picture.
    """
    root = directory / split
    folders = [entry for entry in _entries(root) if entry.is_dir()]
    if not folders:
        raise BadDataset(f"{root} has no folders; expected one for each class, named after it")
    samples = [(file, index) for index, folder in enumerate(folders) for file in _pictures(folder)]
    return ImageFolder(tuple(folder.name for folder in folders), tuple(samples))


def _pictures(folder: Path) -> list[Path]:
    files = [file for file in _entries(folder) if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not files:
        raise BadDataset(f"{folder} holds no picture; expected files that end in {', '.join(SUFFIXES)}")
    return files


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden, by name."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadDataset(
            f"there is no folder {folder}; expected one folder for each class inside of it"
        ) from error
    except OSError as error:
        raise BadDataset(f"{folder} cannot be read: {error.strerror}") from error
