"""What a run tells: a bar on a terminal, a line of JSON for each report in `metrics.jsonl`, event files."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

FILE = "metrics.jsonl"

Kind = Literal["data", "training", "validation"]  # what figures are about
Values = Mapping[str, float]


class Sink(Protocol):
    """Where reports go, beside the terminal."""

    def note(self, kind: Kind, values: Values) -> None:
        """Figures, the number of steps done among them."""

    def show(self, step: int, sheet: npt.NDArray[np.uint8]) -> None:
        """A picture `(height, width, 3)` of what the network says of samples."""

    def close(self) -> None: ...


class Lines:
    """A line of JSON for each report, in `directory / metrics.jsonl`; pictures are left out."""

    def __init__(self, directory: Path, *, appends: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.file = (directory / FILE).open("a" if appends else "w", encoding="utf-8")

    def note(self, kind: Kind, values: Values) -> None:
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.file.write(json.dumps(known) + "\n")
        self.file.flush()

    def show(self, step: int, sheet: npt.NDArray[np.uint8]) -> None: ...

    def close(self) -> None:
        self.file.close()


class Report:
    """A bar with the time left on a terminal, elsewhere a line for each report; the sinks get all of them."""

    def __init__(self, sinks: Sequence[Sink] = (), *, quiet: bool = False) -> None:
        self.sinks = sinks
        self.console = Console(file=sys.stderr, quiet=quiet)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>4.1f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("starting", total=1.0, left="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        for sink in self.sinks:
            sink.close()

    def advance(self, share: float, seconds: float) -> None:
        """Moves the bar: the share of the run that is done, and how long that took."""
        self.bar.update(self.task, completed=share, left=time_left(share, seconds))

    def step(self, share: float, seconds: float, values: Values) -> None:
        """A report on training, with figures such as the loss."""
        self._pass_on("training", values)
        text = _in_words(values, ".4g")
        self.bar.update(self.task, description=text)
        if not self.console.is_terminal:
            self.say(f"{share:6.1%}  {time_left(share, seconds)}  {text}")

    def figures(self, values: Values) -> None:
        """A report on validation."""
        self._pass_on("validation", values)
        self.say(f"validation: {_in_words(values, '.3f')}")

    def data(self, values: Values) -> None:
        """What is trained on, as numbers."""
        self._pass_on("data", values)

    def show(self, step: int, sheet: npt.NDArray[np.uint8]) -> None:
        """What the network says of samples, as a picture."""
        for sink in self.sinks:
            sink.show(step, sheet)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _pass_on(self, kind: Kind, values: Values) -> None:
        for sink in self.sinks:
            sink.note(kind, values)


def time_left(share: float, seconds: float) -> str:
    """What remains of a run of which this share took so many seconds, as `0:12:34 left`."""
    return f"{timedelta(seconds=round(seconds / share - seconds))} left" if share > 0 else ""


def _in_words(values: Values, form: str) -> str:
    return "  ".join(
        f"{name} {value}" if isinstance(value, int) else f"{name} {value:{form}}"
        for name, value in values.items()
    )
