"""What is asked of a service, and how its answers are read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

from hrformer.engine.results import Box, Person
from hrformer.engine.search import Search


class NoAnswer(ValueError):
    """A service cannot be reached, or answered with a problem; the message names the picture."""


def search_options(search: Search) -> dict[str, str]:
    """Of a request, in whose answer people are found."""
    return {
        "box_threshold": str(search.box_threshold),
        "max_people": str(search.max_people),
        "format": "json",
    }


def person_of(found: Mapping[str, Any]) -> Person:
    """Somebody in an answer."""
    points = [[point["x"], point["y"], point["score"]] for point in found["keypoints"]]
    keypoints = np.array(points, dtype=np.float32)
    return Person(Box(*found["box"]), float(found["score"]), keypoints, float(found["box_score"]))


@contextmanager
def understood(what: str) -> Iterator[None]:
    """raises: NoAnswer where the answer is read and is of another form than the service's."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OSError, SyntaxError) as error:
        raise NoAnswer(f"{what}: the answer is not in the form of this service: {error!r}") from error


def retry_after_s(answer: httpx.Response) -> float:
    """Seconds after which to ask again; a minute where the answer does not say, or gives a date."""
    seconds = answer.headers.get("Retry-After", "")
    return max(float(seconds), 1.0) if seconds.isascii() and seconds.isdigit() else 60.0


def problem_of(answer: httpx.Response) -> str:
    """Title and detail of a problem, or what HTTP calls the status where it is none of the service's."""
    try:
        problem = answer.json()
        return f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
