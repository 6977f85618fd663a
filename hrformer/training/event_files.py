"""Reports as event files, for TensorBoard to show."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.tensorboard import SummaryWriter

from hrformer.training.progress import Kind, Values

FOLDER = "tensorboard"


class EventFiles:
    """In `directory / tensorboard`: curves `training/…` and `validation/…`, and the sheets of samples."""

    def __init__(self, directory: Path) -> None:
        self.writer = SummaryWriter(directory / FOLDER)

    def note(self, kind: Kind, values: Values) -> None:
        for name, value in values.items():
            if name != "step":
                self.writer.add_scalar(f"{kind}/{name}", value, int(values["step"]))
        self.writer.flush()

    def show(self, step: int, sheet: npt.NDArray[np.uint8]) -> None:
        self.writer.add_image("samples", sheet, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()
