"""A model behind a running service: asked over HTTP for what an engine would answer in this process."""

import io
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from hrformer.data.errors import BadDataset
from hrformer.data.people import Photograph
from hrformer.engine.predictor import AUTO
from hrformer.engine.results import Box, Detection, Person
from hrformer.engine.search import Search
from hrformer.engine.views import Views
from hrformer.evaluation.people import MOST
from hrformer.evaluation.pose import BoxedPerson
from hrformer.evaluation.service_answers import (
    NoAnswer,
    person_of,
    problem_of,
    retry_after_s,
    search_options,
    understood,
)

TIMEOUT_MS = 120_000  # for each answer: nobody waits for a single one
MAX_WAIT_S = 600.0  # for which a picture is offered again while the service has too much to do
TOO_MANY = 429

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Service:
    """A model of a running service, with the methods of `InProcess` that it has routes for; to be closed."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        at_once: int = 1,
        finder: str | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """url: `http://host:port`, with or without a path. at_once: requests under way together.

        finder: of a pose model, what is to find `everyone`: the name of the service's default model for
            people, or "auto". wait: called with seconds before a picture is offered again.
        raises: NoAnswer if the service cannot be reached, has no such model, or finds people by another one.
        """
        self.url, self._at_once, self._wait = url.rstrip("/"), at_once, wait
        headers = {"X-Timeout-Ms": str(TIMEOUT_MS), **({"X-API-Key": api_key} if api_key else {})}
        try:
            self._client = httpx.Client(base_url=self.url, headers=headers, timeout=2 * TIMEOUT_MS / 1000)
        except httpx.InvalidURL as error:
            raise NoAnswer(f"{url} is no address: {error}; expected http://host:port") from error
        try:
            self._describe(model)
            self.finder = None if finder is None else self._describe_finder(finder)
        except NoAnswer:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the connections go."""
        self._client.close()

    def poses(self, persons: Sequence[BoxedPerson], *, flip_test: bool) -> Iterator[Person]:
        """The answer for each person, given the box, in their order.

        raises: BadDataset for a file that cannot be read, NoAnswer.
        """
        return self._in_order(partial(self._pose, flip_test=flip_test), persons)

    def everyone(
        self, pictures: Sequence[Path], search: Search, *, flip_test: bool
    ) -> Iterator[list[Person]]:
        """Everybody found in each picture, with their keypoints, in the order of the pictures.

        raises: as `poses`.
        """
        return self._in_order(partial(self._everyone, search=search, flip_test=flip_test), pictures)

    def people(self, photographs: Sequence[Photograph], *, box_threshold: float) -> Iterator[list[Detection]]:
        """Everybody found in each photograph, in their order. raises: as `poses`."""
        return self._in_order(
            partial(self._people, search=Search(box_threshold, MOST)),
            [photograph.image for photograph in photographs],
        )

    def class_maps(self, pictures: Sequence[Path], views: Views) -> Iterator[npt.NDArray[np.uint8]]:
        """Class indices `(height, width)` uint8 of each picture, in their order.

        raises: as `poses`; ValueError for views that the service does not offer.
        """
        if views != Views():
            raise ValueError("a service answers with one mask of a picture: no --flip-test or --scales there")
        return self._in_order(self._class_map, pictures)

    def _describe(self, model: str) -> None:
        description = self._ask(self.url, "GET", f"/models/{quote(model, safe='')}")
        with understood(self.url):
            values: Mapping[str, Any] = description.json()
            self.name, self.version, self.task = values["name"], values["version"], values["task"]
            self.classes = tuple(str(one["name"]) for one in values.get("classes", ()))

    def _describe_finder(self, wanted: str) -> dict[str, str]:
        """What finds people for the pose models, as answers name it. raises: NoAnswer if not `wanted`."""
        answer = self._ask(self.url, "GET", "/models")
        with understood(self.url):
            models: Sequence[Mapping[str, Any]] = answer.json()["models"]
            finders = [one for one in models if one["task"] == "people" and one["is_default"]]
            names = [{"model": str(one["name"]), "model_version": str(one["version"])} for one in finders]
        if not names:
            raise NoAnswer(f"{self.url} has no default model for people, and finds nobody")
        if wanted not in (AUTO, names[0]["model"]):
            raise NoAnswer(f"{self.url} finds people by {names[0]['model']}, not by {wanted}")
        return names[0]

    def _pose(self, person: BoxedPerson, flip_test: bool) -> Person:
        what = f"{person.image}, {person.name}"
        options = {"boxes": json.dumps([person.box]), "flip_test": str(flip_test).lower(), "format": "json"}
        answer = self._post("/pose", person.image, options, what)
        with understood(what):
            (found,) = answer.json()["people"]
            return person_of(found)

    def _everyone(self, picture: Path, search: Search, flip_test: bool) -> list[Person]:
        asked = {**search_options(search), "flip_test": str(flip_test).lower()}
        answer = self._post("/pose", picture, asked, str(picture))
        with understood(str(picture)):
            values = answer.json()
            people = [person_of(found) for found in values["people"]]
        if values.get("finder") != self.finder:
            finder = " ".join((self.finder or {}).values())
            raise NoAnswer(f"{picture}: people are no longer found by {finder}; begin again")
        return people

    def _people(self, picture: Path, search: Search) -> list[Detection]:
        answer = self._post("/people", picture, search_options(search), str(picture))
        with understood(str(picture)):
            return [Detection(Box(*one["box"]), float(one["score"])) for one in answer.json()["people"]]

    def _class_map(self, picture: Path) -> npt.NDArray[np.uint8]:
        answer = self._post("/segment", picture, {"format": "png"}, str(picture))
        with understood(str(picture)), Image.open(io.BytesIO(answer.content)) as image:
            return np.array(image)

    def _post(self, route: str, file: Path, options: Mapping[str, str], what: str) -> httpx.Response:
        """The answer for the bytes of a file."""
        try:
            body = file.read_bytes()
        except OSError as error:
            raise BadDataset(f"{file} cannot be read: {error.strerror}") from error
        answer = self._ask(what, "POST", route, params={"model": self.name, **options}, content=body)
        if answer.headers.get("X-Model-Version") != self.version:
            raise NoAnswer(f"{what}: {self.name} is no longer {self.version}; begin again")
        return answer

    def _ask(self, what: str, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer; while the service is too busy, it is asked again when it says.

        what: that the question is about, for the message. raises: NoAnswer.
        """
        left_s = MAX_WAIT_S
        while True:
            try:
                answer = self._client.request(method, path, **request)
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise NoAnswer(f"{what}: no answer from {self.url}: {reason}") from error
            pause_s = retry_after_s(answer)
            if answer.status_code != TOO_MANY or pause_s > left_s:
                break
            left_s -= pause_s
            self._wait(pause_s)
        if not answer.is_success:
            raise NoAnswer(f"{what}: {self.url} answers {answer.status_code}: {problem_of(answer)}")
        return answer

    def _in_order(self, ask: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
        """The answers in the order of the items, so many asked for at once."""
        waiting: deque[Future[Answer]] = deque()
        with ThreadPoolExecutor(self._at_once) as pool:
            try:
                for item in items:
                    waiting.append(pool.submit(ask, item))
                    if len(waiting) == self._at_once:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
