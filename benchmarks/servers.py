"""The servers that are compared, and how each is started on this machine, asked and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from benchmarks.setup import Setup
from service.client.connection import Address

REPOSITORY = Path(__file__).parents[1]
PEERS_PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"  # made by benchmarks/install
BOUNDARY = "benchmark-boundary"
READY_S, END_S = 120.0, 10.0
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0"}


@dataclass(frozen=True)
class Server:
    """One of those that are compared."""

    name: str
    command: tuple[str, ...]  # after the interpreter; {port} stands for the port
    path: Mapping[str, str]  # by task
    package: str = ""  # that it needs, of the extra `peers`
    takes_forms: bool = False  # the picture as the field `image` of a form, otherwise as the body

    def request(self, task: str, file: bytes) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers for a picture."""
        if not self.takes_forms:
            return self.path[task], file, {"Content-Type": "image/jpeg"}
        head = (
            'Content-Disposition: form-data; name="image"; filename="photo.jpg"\r\nContent-Type: image/jpeg'
        )
        body = f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self.path[task], body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


PREDICT = {"pose": "/predict", "segmentation": "/predict"}
OURS = Server("HRFormer", ("-m", "service"), {"pose": "/pose?boxes=whole", "segmentation": "/segment"})
PEERS = (
    Server("plain FastAPI", ("-m", "benchmarks.peers.plain_fastapi"), PREDICT),
    Server("LitServe", ("-m", "benchmarks.peers.lit_serve"), PREDICT, "litserve", takes_forms=True),
    Server(
        "mosec",
        ("-m", "benchmarks.peers.mosec_server", "--address", "127.0.0.1", "--port", "{port}"),
        PREDICT,
        "mosec",
    ),
    Server(
        "BentoML",
        (
            "-m",
            "bentoml",
            "serve",
            "benchmarks.peers.bento:Predict",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
        ),
        PREDICT,
        "bentoml",
        takes_forms=True,
    ),
    Server("Ray Serve", ("-m", "benchmarks.peers.ray_serve"), PREDICT, "ray"),
)


class NotReady(RuntimeError):
    """A server ended, or did not answer in time; the message has the end of its log."""


def python_for(server: Server) -> Path:
    """The interpreter that has what the server needs."""
    return PEERS_PYTHON if server.package and PEERS_PYTHON.exists() else Path(sys.executable)


def version_of(server: Server) -> str | None:
    """Of the package that the server needs: empty if it needs none, None if it is not installed."""
    if not server.package:
        return ""
    code = f"import importlib.metadata as m; print(m.version({server.package!r}))"
    answer = subprocess.run([python_for(server), "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


@contextmanager
def started(server: Server, setup: Setup, log: IO[bytes]) -> Iterator[Address]:
    """A server in processes of its own, which listens; ended with all of them. raises: NotReady."""
    setup = replace(setup, port=free_port())
    command = [str(python_for(server)), *(part.format(port=setup.port) for part in server.command)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=_environment(setup), stdout=log, stderr=log, start_new_session=True
    ) as process:
        try:
            _wait(server, process, setup.port)
            yield Address("127.0.0.1", setup.port)
        finally:
            _end(process)


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment(setup: Setup) -> dict[str, str]:
    """The same threads for all: torch's by OMP_NUM_THREADS where nobody sets them."""
    ours = {
        "HRFORMER_PORT": str(setup.port),
        "HRFORMER_DEVICE": setup.device,
        "HRFORMER_MODELS": setup.model,
        "HRFORMER_THREADS": str(setup.threads),
        "HRFORMER_MAX_POSE_BATCH": str(setup.max_batch),
        "HRFORMER_MAX_SEGMENT_BATCH": str(setup.max_batch),
        "HRFORMER_MAX_REQUESTS": "1000",
        "HRFORMER_LOG_LEVEL": "warning",
        "HRFORMER_DRAIN_GRACE_S": "0",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HRFORMER_")}
    threads = {"OMP_NUM_THREADS": str(setup.threads), "PYTHONPATH": str(REPOSITORY)}
    return inherited | QUIET | threads | ours | setup.as_environment()


def _wait(server: Server, process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    what = "ended" if process.poll() is not None else f"does not listen after {READY_S:g} s"
    raise NotReady(f"{server.name} {what}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """As an orchestrator does: politely, then not; with whatever the server has started."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
