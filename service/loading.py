"""Models into the service: at its start, and anew while others serve."""

import logging
from collections.abc import Callable, Mapping

from hrformer.engine.side_by_side import use_torch_threads
from hrformer.images.decode import Limits
from service.admission import Work
from service.canary import read_canary
from service.device import Kind
from service.models import Model, Served, first_of_tasks, load_models
from service.parts import Parts
from service.reload import Loaded, Reloader

logger = logging.getLogger(__name__)

Load = Callable[[], Loaded]


def loader_of(parts: Parts, models: Mapping[str, Model] | None) -> Load:
    """Loads and warms the models of the settings, or stand-ins by name."""

    def load() -> Loaded:
        if models is None:
            served, defaults = load_models(parts.settings)
        else:
            served = [Served(model, model.entry.precision) for model in models.values()]
            defaults = first_of_tasks(served)
        for one in served:
            one.model.warm()
        return Loaded(served, defaults)

    return load


async def start(parts: Parts, load: Load) -> None:
    """Loads on the model's thread, then the service is ready; or it ends, when they cannot be loaded."""
    try:
        install(parts, await parts.alone.run(load))
    except Exception as error:
        # What is wrong with weights is said in a sentence; anything else is a defect, and needs its trace.
        logger.error("the models cannot be loaded: %s", error, exc_info=not isinstance(error, ValueError))
        parts.lifecycle.fail_to_start("the models cannot be loaded; the log says why")
        return
    parts.lifecycle.become_ready()
    logger.info("ready", extra={"models": [one.name for one in parts.models]})


def install(parts: Parts, loaded: Loaded) -> None:
    """These models serve from now on. Work that was begun with others is finished with those."""
    before = list(parts.models)
    parts.models.fill(loaded.served, loaded.defaults)
    for one in before:
        parts.metrics.model_info.forget(*_description(one))
        if one.name not in {new.name for new in loaded.served}:
            parts.metrics.forget_model(one.name)
    for one in loaded.served:
        parts.metrics.model_info(*_description(one)).set(1)
        _watch(parts, one.name)


def reloader_of(parts: Parts, load: Load, limits: Limits) -> Reloader:
    """What swaps the models, by a signal or a request."""

    def load_gently() -> Loaded:
        use_torch_threads(1)  # the others are for the models that serve
        return load()

    settings = parts.settings
    return Reloader(
        load_gently,
        lambda: read_canary(settings.canary_picture, limits, settings.reload_agreement),
        lambda loaded: install(parts, loaded),
        models=parts.models,
        model_thread=parts.alone,
        loader=parts.loader,
        metrics=parts.metrics,
    )


def _description(served: Served) -> tuple[str, str, str, str]:
    return served.name, served.version, served.entry.variant, served.precision


def _watch(parts: Parts, name: str) -> None:
    """Makes the series of a model."""
    parts.metrics.watch_model(
        name,
        queue_items=lambda: parts.batcher.line.waiting(lambda key: key.kind.model == name),
        oldest_age_s=lambda: parts.batcher.line.oldest_age_s(lambda key: key.kind.model == name),
        expected_wait_s=lambda: parts.admission.wait_s(Work(Kind(name), 1)),
        batch_limit=lambda: parts.buckets(Kind(name)),
    )
