"""The service in a process of its own, with stand-in models: `python -m tests.service.echo_server`.

Settings come from the environment. A batch with a black picture waits until a line comes in.
"""

import os
import sys

from torch import Tensor

from service.server import serve
from service.settings import read_settings
from tests.service.echo_models import EchoPose


def hold(crops: Tensor) -> None:
    """Waits for a line on standard input before a batch with a black picture."""
    if any(int(crop.sum()) == 0 for crop in crops):
        print("held", flush=True)  # noqa: T201
        os.read(0, 1)


if __name__ == "__main__":
    sys.exit(serve(read_settings({}), {"echo-pose": EchoPose(hold)}))
