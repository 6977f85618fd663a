"""What a service may answer instead, and how its answers are waited for and read."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hrformer.data.errors import BadDataset
from hrformer.data.people import Photograph
from hrformer.engine.results import Person
from hrformer.engine.search import Search
from hrformer.engine.views import Views
from hrformer.evaluation.over_http import Service
from hrformer.evaluation.service_answers import NoAnswer
from service.models import first_of_tasks
from tests.service.conftest import Running, on_sockets
from tests.service.echo_models import EchoPeople, EchoPose, Gate
from tests.service.pictures import plain


@dataclass(frozen=True)
class Boxed:
    """Somebody in a picture of one colour."""

    image: Path
    box: tuple[float, float, float, float] = (1.0, 2.0, 20.0, 10.0)
    name: str = "annotation 7"


def write(directory: Path, count: int = 1) -> list[Boxed]:
    """Pictures that differ in their red."""
    files = [directory / f"{index}.png" for index in range(count)]
    for index, file in enumerate(files):
        file.write_bytes(plain((10 * index, 150, 51)))
    return [Boxed(file) for file in files]


def address(running: Running) -> str:
    return f"http://127.0.0.1:{running.address[1]}"


def swap(running: Running, model: EchoPose | EchoPeople) -> None:
    """The models are loaded anew, and the weights of this one are others."""
    model.entry = replace(model.entry, sha256="f" * 64)
    models = running.parts.models
    models.fill([replace(one) for one in models], first_of_tasks(models))


async def told(ask: Callable[[], object]) -> str:
    """What is said of an answer that does not come, asked for in a thread as the loop serves it."""
    with pytest.raises(NoAnswer) as caught:
        await asyncio.to_thread(ask)
    return str(caught.value)


async def test_a_model_is_described_by_its_service() -> None:
    async with on_sockets() as running:
        service = await asyncio.to_thread(Service, address(running) + "/", "echo-parsing")
        with service:
            assert (service.name, service.task) == ("echo-parsing", "segmentation")
            assert service.version == "0123456789ab"
            assert service.classes[:2] == ("background", "skin")


@pytest.mark.parametrize("at_once", [1, 4])
async def test_answers_come_in_the_order_of_the_pictures(tmp_path: Path, at_once: int) -> None:
    persons = write(tmp_path, 9)
    async with on_sockets() as running:

        def ask() -> list[float]:
            with Service(address(running), "echo-pose", at_once=at_once) as service:
                found = list(service.poses(persons, flip_test=False))
            assert [person.box for person in found] == [person.box for person in persons]
            assert {tuple(person.keypoints[0, 1:].tolist()) for person in found} == {(150.0, np.float32(0.2))}
            return [float(person.keypoints[16, 0]) for person in found]

        assert await asyncio.to_thread(ask) == [10.0 * index for index in range(9)]


async def test_the_flip_test_is_asked_for(tmp_path: Path) -> None:
    async with on_sockets() as running:

        def ask() -> float:
            with Service(address(running), "echo-pose") as service:
                (person,) = service.poses(write(tmp_path), flip_test=True)
            return float(person.keypoints[0, 0])

        assert await asyncio.to_thread(ask) == 1000.0  # that the stand-in adds for it


async def test_a_mask_has_the_pictures_size_and_its_classes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(plain((80, 0, 0), 31, 47))
    async with on_sockets() as running:

        def ask() -> np.ndarray:
            with Service(address(running), "echo-parsing") as service:
                (mask,) = service.class_maps([tmp_path / "a.png"], Views())
            return mask

        mask = await asyncio.to_thread(ask)
        assert (mask.shape, set(mask.flatten().tolist())) == ((47, 31), {80 // 26})


async def test_a_service_that_is_too_busy_is_asked_again_when_it_says(tmp_path: Path) -> None:
    persons, gate, loop = write(tmp_path), Gate(), asyncio.get_running_loop()
    async with on_sockets({"echo-pose": EchoPose(gate)}, max_requests=1) as running:
        first = asyncio.create_task(running.client.post("/pose", content=plain()))
        await gate.entered()
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            loop.call_soon_threadsafe(gate.open)
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(first, 30), loop).result()

        def ask() -> int:
            with Service(address(running), "echo-pose", wait=wait) as service:
                return len(list(service.poses(persons, flip_test=False)))

        assert await asyncio.to_thread(ask) == 1
        assert waited[0] >= 1


async def test_a_refused_picture_is_named_with_the_problem(tmp_path: Path) -> None:
    (tmp_path / "tiny.png").write_bytes(plain(width=8, height=8))
    async with on_sockets() as running:

        def ask() -> None:
            with Service(address(running), "echo-pose") as service:
                list(service.poses([Boxed(tmp_path / "tiny.png")], flip_test=False))

        message = await told(ask)

    assert message.startswith(f"{tmp_path}/tiny.png, annotation 7: http://")
    assert "answers 422: The picture is too small: " in message


async def test_an_unknown_model_is_told_by_the_service() -> None:
    async with on_sockets() as running:
        message = await told(lambda: Service(address(running), "echo-poze"))

    assert "answers 404: There is no such model: there is no model 'echo-poze': did you mean" in message


async def test_a_service_without_a_default_model_for_people_is_told() -> None:
    async with on_sockets({"echo-pose": EchoPose()}) as running:
        message = await told(lambda: Service(address(running), "echo-pose", finder="auto"))

    assert message.endswith("has no default model for people, and finds nobody")


FINDING = {"echo-pose": EchoPose(), "echo-people": EchoPeople()}


async def test_everyone_who_is_found_is_told_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    pictures = [person.image for person in write(tmp_path, 4)]
    async with on_sockets(FINDING) as running:

        def ask() -> list[list[Person]]:
            with Service(address(running), "echo-pose", finder="echo-people", at_once=2) as service:
                assert service.finder == {"model": "echo-people", "model_version": "0123456789ab"}
                return list(service.everyone(pictures, Search(0.01, 20), flip_test=False))

        found = await asyncio.to_thread(ask)
    assert [len(people) for people in found] == [0, 1, 2, 3]
    assert [person.box_score for person in found[3]] == sorted(
        (person.box_score for person in found[3]), reverse=True
    )


async def test_boxes_of_found_people_are_told_down_to_the_score_asked_for(tmp_path: Path) -> None:
    nobody = np.zeros((0, 4), np.float32)
    photographs = [Photograph(one.image, 1, nobody, nobody) for one in write(tmp_path, 4)]
    async with on_sockets(FINDING) as running:

        def ask(threshold: float) -> list[int]:
            with Service(address(running), "echo-people") as service:
                return [len(found) for found in service.people(photographs, box_threshold=threshold)]

        counts = await asyncio.to_thread(ask, 0.01)
        least = await asyncio.to_thread(ask, 1.0)
    assert (counts, least) == ([0, 1, 2, 3], [0, 0, 0, 0])


async def test_another_finder_than_the_services_is_told() -> None:
    async with on_sockets(FINDING) as running:
        message = await told(lambda: Service(address(running), "echo-pose", finder="mine"))

    assert message.endswith("finds people by echo-people, not by mine")


@pytest.mark.parametrize(("key", "problem"), [(None, "An API key is needed"), ("guess", "not known")])
async def test_a_service_with_keys_asks_for_one(tmp_path: Path, key: str | None, problem: str) -> None:
    (tmp_path / "keys").write_text("right\n")
    async with on_sockets(api_keys_file=tmp_path / "keys") as running:
        assert problem in await told(lambda: Service(address(running), "echo-pose", api_key=key))
        (await asyncio.to_thread(Service, address(running), "echo-pose", api_key="right")).close()


async def test_a_model_that_is_replaced_on_the_way_is_told(tmp_path: Path) -> None:
    model, persons = EchoPose(), write(tmp_path)
    async with on_sockets({"echo-pose": model}) as running:

        def ask() -> None:
            with Service(address(running), "echo-pose") as service:
                swap(running, model)
                list(service.poses(persons, flip_test=False))

        assert "echo-pose is no longer 0123456789ab; begin again" in await told(ask)


async def test_a_finder_that_is_replaced_on_the_way_is_told(tmp_path: Path) -> None:
    finder, pictures = EchoPeople(), [one.image for one in write(tmp_path)]
    async with on_sockets({"echo-pose": EchoPose(), "echo-people": finder}) as running:

        def ask() -> None:
            with Service(address(running), "echo-pose", finder="auto") as service:
                swap(running, finder)
                list(service.everyone(pictures, Search(0.01, 20), flip_test=False))

        assert "0.png: people are no longer found by echo-people 0123456789ab" in await told(ask)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    async with on_sockets() as running:

        def ask() -> None:
            with Service(address(running), "echo-pose") as service:
                list(service.poses([Boxed(tmp_path / "none.png")], flip_test=False))

        with pytest.raises(BadDataset, match=r"none\.png cannot be read: No such file"):
            await asyncio.to_thread(ask)


async def test_other_views_of_a_picture_are_refused() -> None:
    async with on_sockets() as running:
        with await asyncio.to_thread(Service, address(running), "echo-parsing") as service:  # noqa: SIM117
            with pytest.raises(ValueError, match="a service answers with one mask of a picture"):
                service.class_maps([], Views(flip_test=True))


@contextmanager
def something_else(status: int, body: bytes, retry_after: str = "") -> Iterator[str]:
    """The address of a server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        """Says the same to everyone."""

        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"hello", "the answer is not in the form of this service"),
        (200, b'{"name": "x"}', "the answer is not in the form of this service: KeyError.'version'"),
        (200, b"[]", "the answer is not in the form of this service"),
        (502, b"<html>", "answers 502: Bad Gateway"),
        (301, b"", "answers 301: Moved Permanently"),
    ],
)
def test_another_server_than_ours_is_told(status: int, body: bytes, message: str) -> None:
    with something_else(status, body) as url, pytest.raises(NoAnswer, match=message):
        Service(url, "echo-pose")


@pytest.mark.parametrize(
    ("retry_after", "pauses_s"),
    [("250", [250, 250]), ("601", []), ("0", [1] * 600), ("Wed, 21 Oct 2026 07:28:00 GMT", [60] * 10)],
)
def test_a_service_that_stays_busy_is_given_up_after_ten_minutes(
    retry_after: str, pauses_s: list[float]
) -> None:
    waited: list[float] = []
    with something_else(429, b"", retry_after) as url, pytest.raises(NoAnswer, match="answers 429: Too Many"):
        Service(url, "echo-pose", wait=waited.append)

    assert waited == pauses_s


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1: no answer from http://127.0.0.1:1: .*refused"),
        ("localhost:8000", "no answer from localhost:8000: .*protocol"),
        ("http://localhost:port", "http://localhost:port is no address: .*; expected http://host:port"),
    ],
)
def test_an_address_where_nobody_answers_is_told(url: str, message: str) -> None:
    with pytest.raises(NoAnswer, match=message):
        Service(url, "echo-pose")
