"""People found first, poses then: limits, deadlines, clients that leave and the order of work in both."""

import asyncio
from collections.abc import Sequence

import pytest

from service.admission import Admission, Bounds, DeadlineTooNear, Overloaded, Work
from service.batcher import Batcher
from service.deadline import Deadline
from service.models import Model
from tests.service.conftest import Running, in_process, on_sockets, until
from tests.service.echo_models import EchoPeople, EchoPose, Gate
from tests.service.overload import overloaded
from tests.service.pictures import plain
from tests.service.raw_client import Connection, request
from tests.service.test_finding import is_idle, models
from tests.service.virtual_time import run

THREE, TEN = plain((30, 150, 200)), plain((100, 150, 200))
PATH = "/pose?format=npz"  # encoded by a thread, as all but short JSON
# Where a request is held, and what that is called.
STAGES = {
    "in line to be searched": "find_wait",
    "being searched": "find_model",
    "being cropped": "decode",
    "in line for its poses": "wait",
    "poses being estimated": "model",
    "being written": "encode",
}


class Held:
    """Models that hold a request at a stage, behind others where it waits in line."""

    def __init__(self, where: str) -> None:
        self.where, self.gate, self.before = where, Gate(), Gate()
        self.ahead: list[asyncio.Task[object]] = []

    def models(self) -> dict[str, Model]:
        pose, people = EchoPose(), EchoPeople()
        match self.where:
            case "in line to be searched" | "being searched":
                people.before_run = self.gate
            case "being cropped":
                pose.before_prepare = self.gate
            case "in line for its poses":
                people.before_run, pose.before_run = self.before, self.gate
            case "poses being estimated":
                pose.before_run = self.gate
            case "being written":
                pose.before_finish = self.gate
        return models(pose, people)

    async def begin(self, running: Running) -> None:
        """Before the request is sent."""
        if self.where == "in line to be searched":
            self.ahead.append(asyncio.create_task(running.client.post("/people", content=THREE)))
            await self.gate.entered()

    async def reached(self, running: Running) -> None:
        """Returns when the request, that was sent, is where it is held."""
        line = running.parts.batcher.line
        if self.where == "in line to be searched":
            await until(lambda: line.waiting() == 1)
        elif self.where == "in line for its poses":
            await self.before.entered()
            self.ahead.append(asyncio.create_task(running.client.post("/pose?boxes=whole", content=THREE)))
            await until(lambda: line.waiting() == 1)
            self.before.open()
            await self.gate.entered()
            await until(lambda: line.waiting() == 3)
        else:
            await self.gate.entered()

    async def end(self) -> None:
        """Lets everything go; what was ahead is answered."""
        self.gate.open()
        assert [answer.status_code for answer in await asyncio.gather(*self.ahead)] == [200] * len(self.ahead)  # type: ignore[attr-defined]


@pytest.mark.parametrize("where", STAGES)
async def test_a_client_that_leaves_frees_its_place_in_both_stages(where: str) -> None:
    held = Held(where)
    async with on_sockets(held.models(), max_people_batch=1, max_pose_batch=4) as running:
        await held.begin(running)
        leaving = await Connection.open(running.address)
        leaving.send(request(THREE, PATH))
        await held.reached(running)
        await leaving.leave()
        await until(lambda: running.metric("cancelled_total", stage=STAGES[where]) == 1)
        assert running.parts.admission.requests == len(held.ahead)
        assert running.parts.admission.searched.total() == 0
        await held.end()
        await until(lambda: is_idle(running))


@pytest.mark.parametrize("where", STAGES)
async def test_a_deadline_counts_in_both_stages(where: str) -> None:
    held = Held(where)
    async with in_process(held.models(), max_people_batch=1, max_pose_batch=4) as running:
        await held.begin(running)
        late = asyncio.create_task(running.client.post(PATH, content=THREE, headers={"X-Timeout-Ms": "400"}))
        await held.reached(running)
        answer = await late
        assert (answer.status_code, answer.json()["type"]) == (504, "/problems/deadline-exceeded")
        assert running.metric("deadline_exceeded_total", stage=STAGES[where]) == 1
        await held.end()
        await until(lambda: is_idle(running))
        assert running.metric("requests_total", route="/pose", status="504") == 1


async def test_a_picture_of_more_people_than_there_is_room_for_is_refused_once() -> None:
    """It was taken when one was expected; 62 crops wait, and 64 may."""
    searching, estimating = Gate(), Gate()
    stand_ins = models(EchoPose(estimating), EchoPeople(searching))
    async with in_process(stand_ins, max_waiting_items=64, max_pose_batch=1) as running:
        asking = asyncio.create_task(running.client.post("/pose", content=TEN))
        await searching.entered()
        boxes = str([[n % 30, n % 20, 5, 5] for n in range(63)])
        path = f"/pose?boxes={boxes}&format=npz"
        others = asyncio.create_task(running.client.post(path, content=THREE))
        await until(lambda: running.parts.batcher.line.waiting() == 63)
        searching.open()
        refused = await asking
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/overloaded")
        assert "62 items are waiting, and 7 more would exceed 64" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        assert running.parts.admission.requests == 1
        estimating.open()
        assert (await others).status_code == 200
        assert is_idle(running)
        assert running.metric("refused_total", route="/pose", reason="overloaded") == 1


def admission(*, items: int = 100) -> Admission:
    """Finding takes 1 s for each picture, a pose 2 s."""
    subject = Admission(Bounds(10, items, 1000), lambda kind: 1, list, lambda: 0.0)
    for kind, seconds in (("find", 1.0), ("pose", 2.0)):
        subject.observe(kind, 1, seconds)
    return subject


def within(seconds: float) -> Deadline:
    return Deadline(seconds, round(1000 * seconds), clock=lambda: 0.0)


SEARCH = Work("find", 1, then="pose")


def test_one_person_is_expected_before_any_picture_was_searched() -> None:
    assert admission().wait_s(SEARCH) == 1 + 2


def test_the_poses_of_those_expected_count_in_the_wait() -> None:
    subject = admission()
    for people in [9] * 100 + [3] * 3000:
        subject.found("find", people)
    assert subject.wait_s(SEARCH) == pytest.approx(1 + 3 * 2)
    with subject.places(SEARCH, within(100)):
        assert subject.wait_s(SEARCH) == pytest.approx(2 * (1 + 3 * 2))
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(1 + 3 * 2 + 2)
    with subject.searching(SEARCH):
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(3 * 2 + 2)
    assert subject.wait_s(Work("pose", 1)) == 2


def test_a_search_whose_poses_would_come_too_late_is_refused_at_once() -> None:
    subject = admission()
    with pytest.raises(DeadlineTooNear), subject.places(SEARCH, within(3)):  # a tenth is kept in hand
        pass
    assert (subject.coming.total(), subject.searched.total()) == (0, 0)


def test_people_who_are_expected_have_places() -> None:
    subject = admission(items=10)
    for _ in range(300):
        subject.found("find", 4)
    with subject.places(SEARCH, within(100)), subject.places(SEARCH, within(100)):
        with pytest.raises(Overloaded), subject.places(SEARCH, within(100)):
            pass
        with subject.places(Work("pose", 2), within(100)):
            pass


def test_poses_of_a_picture_that_is_searched_need_not_wait_for_what_came_later() -> None:
    subject = admission()
    with subject.places(Work("pose", 50), within(1000)):
        assert subject.wait_s(Work("pose", 3, is_begun=True)) == 6
        with subject.places(Work("pose", 3, is_begun=True), within(6)):
            assert subject.coming.total() == 53


def test_more_people_than_can_be_answered_in_time_are_refused_when_they_are_found() -> None:
    subject = admission()
    with (
        pytest.raises(DeadlineTooNear) as refusal,
        subject.places(Work("pose", 4, is_begun=True), within(6)),
    ):
        pass
    assert refusal.value.retry_after_s == 2


def order_of_work(pictures: int, *, urgent: Sequence[int] = ()) -> list[str]:
    """What a model is asked, one thing at a time, when pictures are searched and cropped within its time."""

    async def play() -> list[str]:
        ran: list[str] = []

        async def model(key: str, items: Sequence[str], prepared: None, units: int) -> Sequence[str]:
            ran.extend(f"{key} {item}" for item in items)
            await asyncio.sleep(1)
            return items

        clock = asyncio.get_running_loop().time
        batcher = Batcher[str, str, None, str](model, max_batch=lambda key: 1, max_waiting=99, clock=clock)

        async def ask(name: str, is_urgent: bool) -> None:
            [ticket] = batcher.submit("find", [name], urgent=is_urgent)
            await ticket.result
            await asyncio.sleep(0.5)  # cropped, while the model does something else
            [pose] = batcher.submit("pose", [name], urgent=is_urgent, place=ticket.place)
            await pose.result

        await asyncio.gather(*(ask(str(number), number in urgent) for number in range(pictures)))
        return ran

    return run(play())


def test_finding_and_poses_take_turns() -> None:
    """While a picture is cropped the next one is searched; then its poses go before what came later."""
    assert order_of_work(4) == [
        "find 0",
        "find 1",
        "pose 0",
        "pose 1",
        "find 2",
        "find 3",
        "pose 2",
        "pose 3",
    ]


def test_an_urgent_picture_goes_first_in_both_stages() -> None:
    assert order_of_work(4, urgent=[3])[:4] == ["find 3", "find 0", "pose 3", "pose 0"]


def test_items_at_an_older_place_go_before_those_that_wait() -> None:
    async def play() -> list[str]:
        ran: list[str] = []

        async def model(key: str, items: Sequence[str], prepared: None, units: int) -> Sequence[str]:
            ran.extend(items)
            await asyncio.sleep(1)
            return items

        batcher = Batcher[str, str, None, str](model, max_batch=lambda key: 2, max_waiting=99)
        [first] = batcher.submit("find", ["found"])
        waiting = batcher.submit("pose", ["given 0", "given 1", "given 2"])
        await first.result
        later = batcher.submit("pose", ["pose 0", "pose 1", "pose 2"], place=first.place)
        await asyncio.gather(*(ticket.result for ticket in [*waiting, *later]))
        return ran

    assert run(play()) == ["found", "given 0", "given 1", "pose 0", "pose 1", "pose 2", "given 2"]


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize(
    ("people", "timeout_ms", "of_capacity", "late_share"),
    [((2,), 4000, 0.9, 0.01), ((0, 1, 1, 2, 8), 4000, 0.9, 0.03), ((0, 1, 1, 2, 8), 1000, 0.8, 0.1)],
)
def test_three_times_too_many_pictures_to_search_cost_no_throughput(
    people: Sequence[int], timeout_ms: int, of_capacity: float, late_share: float, units: int
) -> None:
    """A full batch takes 210 ms, and 1000 ms have room for no full ones in both stages."""
    outcome = overloaded(3.0, seconds=60, timeout_ms=timeout_ms, people=people, units=units)
    assert outcome.of_capacity >= of_capacity
    assert outcome.late_share <= late_share


def test_no_picture_to_search_is_refused_while_there_is_room() -> None:
    outcome = overloaded(0.5, seconds=60, timeout_ms=4000, people=(0, 1, 1, 2, 8))
    assert (outcome.refused, outcome.late) == (0, 0)
