"""Pictures of what the network says of samples, one for each epoch."""

import time
from pathlib import Path

from hrformer.images.encode import encode_jpeg
from hrformer.modeling.network import Network
from hrformer.training.progress import Report
from hrformer.training.task import Task

FOLDER = "samples"
KEPT = 60  # the newest ones
QUALITY = 88
SPARING = 30  # an epoch's end has a sheet if this many times the time of the last one has gone by


class Sheets:
    """Writes `directory / samples / epoch-0007.jpg`; the oldest ones go."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / FOLDER
        self.took_s, self.made = 0.0, time.monotonic()

    def are_due(self) -> bool:
        """Whether one more would not take more than a thirtieth of the time."""
        return time.monotonic() - self.made >= SPARING * self.took_s

    def make(self, task: Task, network: Network, report: Report, *, epoch: int, step: int) -> bytes:
        """A sheet of the network as it is, as JPEG. raises: OSError if it cannot be written."""
        started = time.monotonic()
        pixels = task.samples(network)
        encoded = encode_jpeg(pixels, QUALITY)
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / f"epoch-{epoch:04}.jpg", encoded)
        for old in sorted(self.folder.glob("epoch-*.jpg"))[:-KEPT]:
            old.unlink()
        report.show(step, pixels)
        self.made = time.monotonic()
        self.took_s = self.made - started
        return encoded


def replace_file(file: Path, content: bytes) -> None:
    """Writes the file, whole or not at all. raises: OSError if it cannot be written."""
    unfinished = file.with_name(f"{file.name}.part")
    try:
        unfinished.write_bytes(content)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{file} cannot be written: {error.strerror}") from error
    unfinished.replace(file)
