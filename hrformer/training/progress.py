"""What a run tells: a bar on a terminal, a line of JSON for each report in `metrics.jsonl`."""

import json
import math
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

FILE = "metrics.jsonl"


class Report:
    """Writes to `directory / metrics.jsonl` and, on a terminal, a bar; elsewhere a line for each report."""

    def __init__(self, directory: Path, *, appends: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.lines = (directory / FILE).open("a" if appends else "w", encoding="utf-8")
        self.console = Console(file=sys.stderr)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>4.1f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        self.lines.close()

    def step(self, share: float, values: dict[str, float]) -> None:
        """A report on training: the share of the run that is done, and figures such as the loss."""
        self._write(values)
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.bar.update(self.task, completed=share, description=text)
        if not self.console.is_terminal:
            self.console.print(f"{share:6.1%}  {text}", highlight=False, soft_wrap=True)

    def figures(self, values: dict[str, float]) -> None:
        """A report on validation."""
        self._write(values)
        text = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
        self.console.print(f"validation: {text}", highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def _write(self, values: dict[str, float]) -> None:
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self.lines.write(json.dumps(known) + "\n")
        self.lines.flush()
