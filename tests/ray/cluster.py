"""A Ray cluster of this machine with the service on it: `python -m tests.ray.cluster`.

Models are those of tests/service/echo_server.py, settings come from the environment. Each line of standard
input is a `Cluster` in JSON; "ready" is written when it answers.
"""

import sys

from service.logs import set_up_logging
from service.ray_deployment import Cluster, run, stop
from service.settings import read_settings
from tests.service.echo_server import Versioned

if __name__ == "__main__":
    set_up_logging("warning")
    for line in sys.stdin:
        run(read_settings({}), Cluster.model_validate_json(line), Versioned(None))
        print("ready", flush=True)  # noqa: T201
    stop()
