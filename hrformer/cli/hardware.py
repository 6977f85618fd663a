"""What a command runs on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Device, precision and threads, as `hrformer.load` takes them."""

    device: str = "auto"  # auto, cpu, cuda or cuda:0 (default: auto, the first GPU if there is one)
    precision: str = "auto"  # auto, float32, bfloat16 or float16 (default: auto)
    threads: int | None = None  # of the CPU (default: torch's choice)
