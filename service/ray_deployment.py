"""The service on Ray: `serve run service.ray_deployment:build`, or `python -m service.ray_deployment`.

Ray starts, watches, balances and scales the replicas; each is the whole service, with its own batcher.
"""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from prometheus_client import Metric
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ray import serve
from ray.serve.config import HTTPOptions

from service.app import create_app
from service.logs import set_up_logging
from service.models import Model
from service.parts import Parts
from service.replica import Replica, Together
from service.settings import Settings, SettingsError, read_settings
from service.sizing import pool_threads

NAME = "hrformer"  # of the application and of its deployment
ANSWER_S = 5.0  # replicas may take so long to tell their metrics, and Ray to carry the last answer
HEALTH_EVERY_S = 1.0  # a replica is replaced when it fails three checks in a row
HEALTH_WITHIN_S = 10.0
DRAINED_EVERY_S = 0.2  # how often Ray looks whether a replica that goes has answered everything
REPLICA_LOGS = "/tmp/ray/session_latest/logs/serve"  # noqa: S108  # where Ray writes them
OK, FAILED, WRONG_USE = 0, 1, 2

logger = logging.getLogger(__name__)


class Cluster(BaseModel):
    """What is asked of Ray; what each replica does is in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: int = Field(1, ge=1, description="replicas that always run")
    max_replicas: int | None = Field(None, ge=1, description="at most so many; none: as min_replicas")
    cpus: float = Field(1.0, gt=0, description="cores of each replica, or a part of one; its threads follow")
    gpus: float | None = Field(None, ge=0, description="cards of each; none: 1 where device is cuda, else 0")
    target_ongoing_requests: float | None = Field(
        None, gt=0, description="under way in a replica before Ray starts another; none: max_pose_batch"
    )


class Service:
    """A replica of the service in a process of Ray's, which makes it by `build`."""

    def __init__(self, settings: Settings, models: Mapping[str, Model] | None) -> None:
        set_up_logging(settings.log_level)
        here = serve.get_replica_context()
        self._all = serve.get_deployment_handle(here.deployment, app_name=here.app_name)
        self._replica_id = str(here.replica_id.unique_id)
        self._app = create_app(settings, models, metrics_page=self._page)
        self._parts: Parts = self._app.state.parts

    def __serve_build_asgi_app__(self) -> Replica:  # Ray's name
        return Replica(self._app)

    async def check_health(self) -> None:
        """Asked by Ray, which replaces a replica that raises, or does not answer."""
        lifecycle = self._parts.lifecycle
        if not lifecycle.is_alive:
            raise RuntimeError(lifecycle.reason)

    async def metrics(self) -> tuple[str, list[Metric]]:
        """The id of this replica, and its instruments."""
        self._parts.refresh_gauges()
        return self._replica_id, list(self._parts.metrics.registry.collect())

    async def _page(self, accept: str) -> tuple[bytes, str]:
        """The page of all replicas that answer; where one of them hangs, of this one alone."""
        try:
            told = await self._all.broadcast("metrics").results_async(
                timeout_s=ANSWER_S, return_exceptions=True
            )
        except TimeoutError:
            told = [await self.metrics()]
        pages: dict[str, list[Metric]] = dict(one for one in told if isinstance(one, tuple))
        return await asyncio.to_thread(Together(pages).page, accept)


def build(cluster: Cluster) -> Any:
    """The application for `serve run` and `serve deploy`, with the settings of this process's environment.

    raises: SettingsError.
    """
    return application(read_settings({}), cluster)


def application(settings: Settings, cluster: Cluster, models: Mapping[str, Model] | None = None) -> Any:
    """The Ray Serve application. models: as `create_app`, made anew by each replica from a copy.

    raises: SettingsError.
    """
    settings = _for_replica(settings, cluster)
    limits = {
        "min_replicas": cluster.min_replicas,
        "max_replicas": cluster.max_replicas or cluster.min_replicas,
    }
    target = cluster.target_ongoing_requests or settings.max_pose_batch
    deployed = serve.deployment(serve.ingress()(Service)).options(
        name=NAME,
        autoscaling_config=limits | {"target_ongoing_requests": target},
        # Ray lets no more in than this and keeps the rest waiting unseen. Refusing is for our admission,
        # which does it in milliseconds, so that this is never reached.
        max_ongoing_requests=2 * settings.max_requests,
        ray_actor_options={"num_cpus": cluster.cpus, "num_gpus": _gpus(settings, cluster)},
        graceful_shutdown_wait_loop_s=DRAINED_EVERY_S,
        graceful_shutdown_timeout_s=settings.max_timeout_ms / 1000 + ANSWER_S,
        health_check_period_s=HEALTH_EVERY_S,
        health_check_timeout_s=HEALTH_WITHIN_S,
    )
    return deployed.bind(settings, models)


def _for_replica(settings: Settings, cluster: Cluster) -> Settings:
    """With as many threads as a replica has cores: others run on the same machine."""
    if settings.device.startswith("cuda:"):
        raise SettingsError(f"device: Ray chooses the card of each replica; say cuda, not {settings.device}")
    if settings.admin_routes:
        raise SettingsError("admin_routes: a reload would reach one replica of several; deploy again instead")
    cores = max(1, int(cluster.cpus))
    pool = pool_threads(cores, on_cpu=not _gpus(settings, cluster))
    return settings.model_copy(
        update={
            "threads": settings.threads or cores,
            "decode_threads": settings.decode_threads or pool,
            "encode_threads": settings.encode_threads or pool,
        }
    )


def _gpus(settings: Settings, cluster: Cluster) -> float:
    return float(settings.device == "cuda") if cluster.gpus is None else cluster.gpus


def run(settings: Settings, cluster: Cluster, models: Mapping[str, Model] | None = None) -> None:
    """The application on a cluster: that of RAY_ADDRESS, else one of this machine alone, made for it.

    Returns when it answers. raises: SettingsError.
    """
    app = application(settings, cluster, models)
    if not ray.is_initialized():
        ray.init(os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False)
    serve.start(http_options=_http(settings))
    serve.run(app, name=NAME, route_prefix="/")


def _http(settings: Settings) -> HTTPOptions:
    files = {"ssl_certfile": settings.tls_certificate, "ssl_keyfile": settings.tls_key}
    tls = {name: str(file) for name, file in files.items() if file is not None}
    return HTTPOptions(host=settings.host, port=settings.port, **tls)


def stop() -> None:
    """Answers what was taken, then ends the replicas, and the cluster where it is our own."""
    serve.delete(NAME)
    serve.shutdown()
    ray.shutdown()


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 1 when replicas cannot start, 2 for a setting or flag that cannot be."""
    parser = argparse.ArgumentParser("python -m service.ray_deployment", description=__doc__)
    for name, field in Cluster.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=field.default, help=field.description)
    try:
        cluster = Cluster(**vars(parser.parse_args(argv)))
        settings = read_settings({})
        set_up_logging(settings.log_level)
        run(settings, cluster)
    except (SettingsError, ValidationError) as error:
        print(f"service.ray_deployment: {error}", file=sys.stderr)  # noqa: T201  # for whoever typed it
        return WRONG_USE
    except RuntimeError as error:  # Ray's, when replicas cannot start; what is wrong is in their logs
        print(f"service.ray_deployment: {error} Why is in {REPLICA_LOGS}", file=sys.stderr)  # noqa: T201
        return FAILED
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())  # in place of Ray's, which aborts
    logger.info("ready", extra={"replicas": cluster.min_replicas})
    stopped.wait()
    stop()
    return OK


if __name__ == "__main__":
    # By its name, so that replicas import it: what __main__ defines is sent to them by value.
    sys.exit(importlib.import_module("service.ray_deployment").main())
