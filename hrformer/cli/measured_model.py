"""The model that `hrformer evaluate` measures, as its flags name it."""

import argparse
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING

from hrformer.cli.arguments import from_flags
from hrformer.cli.hardware import Hardware

if TYPE_CHECKING:
    from hrformer.checkpoints.manifest import Entry
    from hrformer.engine.people import PeopleEngine
    from hrformer.evaluation.run import Model


def open_model(arguments: argparse.Namespace) -> "AbstractContextManager[Model]":
    """The model of the flags, in this process or behind a service.

    raises: CheckpointError kin, NoAnswer, or ValueError for flags that do not go together.
    """
    from hrformer.checkpoints.manifest import find
    from hrformer.engine.device import set_threads
    from hrformer.engine.predictor import load_engine
    from hrformer.evaluation.in_process import InProcess
    from hrformer.evaluation.over_http import Service

    if arguments.url is not None:
        if own := [field.name for field in fields(Hardware) if hasattr(arguments, field.name)]:
            raise ValueError(f"--{own[0]} is a matter of the service; leave it out with --url")
        return Service(
            arguments.url,
            arguments.model,
            api_key=arguments.api_key,
            at_once=arguments.batch,
            finder=arguments.finder,
        )
    if arguments.api_key is not None:
        raise ValueError("--api-key is for a service; give --url too")
    hardware = from_flags(Hardware, arguments)
    set_threads(hardware.threads)
    entry = find(arguments.model)
    finder = None if arguments.finder is None else _finder(entry, arguments.finder, hardware)
    engine = load_engine(entry, device=hardware.device, precision=hardware.precision)
    return nullcontext(InProcess(engine, at_once=arguments.batch, finder=finder))


def _finder(entry: "Entry", name: str, hardware: Hardware) -> "PeopleEngine":
    """What finds people for a pose model. raises: ValueError if there is none to go with it."""
    from hrformer.engine.people import PeopleEngine
    from hrformer.engine.predictor import choose_finder, load_engine

    if entry.task != "pose":
        raise ValueError(f"--finder is for pose; model {entry.name!r} is for {entry.task}")
    chosen = choose_finder(entry, name)
    if chosen is None:
        raise ValueError("the manifest names no default model for people; name one by --finder")
    engine = load_engine(chosen, device=hardware.device, precision=hardware.precision)
    assert isinstance(engine, PeopleEngine)
    return engine
