"""A service of real, small models in a process of its own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.conftest import REPOSITORY


@contextmanager
def service_process(weights: Path) -> Iterator[str]:
    """The address of `hrformer serve` with the manifest of a folder, ready to answer."""
    command = [sys.executable, "-m", "service", "--weights", str(weights), "--port", "0"]
    options = ["--device", "cpu", "--threads", "1", "--drain-grace-s", "0"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HRFORMER_")}
    environ = {**inherited, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command + options, cwd=REPOSITORY, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            address = _address_when_ready(process.stderr)
            rest = threading.Thread(target=process.stderr.read)  # or the pipe fills, and the process stands
            rest.start()
            yield address
        finally:
            process.terminate()
        rest.join()


def _address_when_ready(log: IO[bytes]) -> str:
    address, is_ready, said = "", False, []
    while not (address and is_ready):
        said.append(log.readline())
        assert said[-1], f"the service ended: {said}"
        message = json.loads(said[-1])["message"]
        is_ready = is_ready or message == "ready"
        address = address or "".join(re.findall(r"running on (http://[0-9.:]+)", message))
    return address
