"""A Ray cluster of this machine with the service on it: `python -m tests.ray.cluster REPLICAS`.

Models are those of tests/service/echo_server.py, settings come from the environment. A number on standard
input is how many replicas there shall be from then on; "ready" is written when there are.
"""

import sys

from service.logs import set_up_logging
from service.ray_deployment import Cluster, run, stop
from service.settings import read_settings
from tests.service.echo_server import Versioned

if __name__ == "__main__":
    set_up_logging("warning")
    replicas = int(sys.argv[1])
    while True:
        run(read_settings({}), Cluster(min_replicas=replicas, cpus=0.25), Versioned(None))
        print("ready", flush=True)  # noqa: T201
        said = sys.stdin.readline().strip()
        if not said:
            break
        replicas = int(said)
    stop()
