"""What every server of a benchmark is told: by the environment, since some start processes of their own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "BENCH_"
PICTURE = (640, 480)  # width and height of what is sent


@dataclass(frozen=True)
class Setup:
    """The same for all servers of a run."""

    model: str = "hrformer-tiny-pose"  # a name of the manifest
    device: str = "auto"
    threads: int = 1  # of the model, on a CPU
    decoders: int = 1  # processes or threads that read pictures, where a server lets one choose
    max_batch: int = 16
    port: int = 8000

    def as_environment(self) -> dict[str, str]:
        """Variables for `from_environment`."""
        return {PREFIX + name.upper(): str(value) for name, value in vars(self).items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Setup":
        """What `as_environment` said."""
        values = {
            name: type(default)(environment[PREFIX + name.upper()])
            for name, default in vars(cls()).items()
            if PREFIX + name.upper() in environment
        }
        return cls(**values)
