"""The batcher under a virtual clock: any order of arrivals, failures, cancellations and deadlines."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batcher import Batcher, Closed, Expired, QueueFull, Ticket
from tests.service.virtual_time import run

MAX_BATCH = {"a": 4, "b": 3, "c": 1}


class BadItem(Exception):
    pass


@dataclass
class Model:
    """Takes 1 s and a tenth for each item; fails when an item starts with `bad`; remembers what it did."""

    ran: list[tuple[float, float, str, list[str]]] = field(default_factory=list)  # from, to, key, items
    given: list[list[str] | None] = field(default_factory=list)  # what each run got prepared
    units: list[int] = field(default_factory=list)  # of each run that has ended

    async def prepare(self, key: str, items: Sequence[str]) -> list[str]:
        await asyncio.sleep(0.5)
        return list(items)

    async def __call__(
        self, key: str, items: Sequence[str], prepared: list[str] | None, units: int
    ) -> list[str]:
        assert prepared in (None, list(items))
        self.given.append(prepared)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.sleep(1 + len(items) / 10)
        self.ran.append((begun, loop.time(), key, list(items)))
        self.units.append(units)
        if any(item.startswith("bad") for item in items):
            raise BadItem
        return [f"{key}:{item}" for item in items]


EchoBatcher = Batcher[str, str, list[str], str]


def make_batcher(
    model: Model, *, max_waiting: int = 1000, max_wait_s: float = 0.0, units: int = 1
) -> EchoBatcher:
    return Batcher(
        model,
        prepare=model.prepare,
        max_batch=MAX_BATCH.__getitem__,
        max_waiting=max_waiting,
        max_wait_s=max_wait_s,
        units=units,
        clock=asyncio.get_running_loop().time,
    )


@dataclass(frozen=True)
class Arrival:
    at_s: float
    key: str
    urgent: bool
    is_bad: bool
    cancelled_after_s: float | None
    expires_after_s: float | None


seconds = st.integers(0, 60).map(lambda tenths: tenths / 10 + 0.03)
arrivals = st.lists(
    st.builds(
        Arrival,
        at_s=seconds,
        key=st.sampled_from("abc"),
        urgent=st.booleans(),
        is_bad=st.sampled_from([False, False, False, True]),
        cancelled_after_s=st.none() | seconds,
        expires_after_s=st.none() | seconds,
    ),
    max_size=25,
)


@dataclass
class Outcome:
    arrival: Arrival
    name: str
    ticket: Ticket[str, str, str]
    answer: str | BaseException


async def outcome(batcher: EchoBatcher, number: int, arrival: Arrival) -> Outcome:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(arrival.at_s)
    name = f"bad{number}" if arrival.is_bad else f"good{number}"
    expires_at = float("inf") if arrival.expires_after_s is None else loop.time() + arrival.expires_after_s
    [ticket] = batcher.submit(arrival.key, [name], expires_at=expires_at, urgent=arrival.urgent)
    if arrival.cancelled_after_s is not None:
        loop.call_later(arrival.cancelled_after_s, ticket.result.cancel)
    [answer] = await asyncio.gather(ticket.result, return_exceptions=True)
    return Outcome(arrival, name, ticket, answer)


def played(arrivals: list[Arrival], max_wait_s: float = 0.0, units: int = 1) -> tuple[Model, list[Outcome]]:
    async def play() -> tuple[Model, list[Outcome]]:
        model = Model()
        batcher = make_batcher(model, max_wait_s=max_wait_s, units=units)
        outcomes = await asyncio.gather(*(outcome(batcher, n, arrival) for n, arrival in enumerate(arrivals)))
        await batcher.drain()
        return model, outcomes

    return run(play())


UNITS = st.integers(1, 4)


@given(arrivals, UNITS)
def test_every_item_gets_its_own_result_or_its_own_failure(arrivals: list[Arrival], units: int) -> None:
    _, outcomes = played(arrivals, units=units)
    for one in outcomes:
        if isinstance(one.answer, str):
            assert one.answer == f"{one.arrival.key}:{one.name}"
        elif isinstance(one.answer, BadItem):
            assert one.arrival.is_bad
        elif isinstance(one.answer, Expired):
            assert one.arrival.expires_after_s is not None
        else:
            assert isinstance(one.answer, asyncio.CancelledError)
            assert one.arrival.cancelled_after_s is not None


@given(arrivals, st.sampled_from([0.0, 0.5]), UNITS)
def test_a_batch_has_one_key_and_at_most_its_size(
    arrivals: list[Arrival], max_wait_s: float, units: int
) -> None:
    model, outcomes = played(arrivals, max_wait_s, units)
    keys = {one.name: one.arrival.key for one in outcomes}
    for _, _, key, items in model.ran:
        assert {keys[item] for item in items} == {key}
        assert len(items) <= MAX_BATCH[key]


@given(arrivals, UNITS)
def test_the_model_never_idles_while_something_waits(arrivals: list[Arrival], units: int) -> None:
    model, outcomes = played(arrivals, units=units)
    ends = {to for _, to, _, _ in model.ran}
    for begun, _, _, items in model.ran:
        arrived = {one.ticket.place.arrived_at for one in outcomes if one.name in items}
        assert begun in ends | arrived


@given(arrivals, st.sampled_from([0.0, 0.5]), UNITS)
def test_batches_never_share_a_unit(arrivals: list[Arrival], max_wait_s: float, units: int) -> None:
    model, _ = played(arrivals, max_wait_s, units)
    runs = [(begun, to, used) for (begun, to, _, _), used in zip(model.ran, model.units, strict=True)]
    assert all(used >= 1 for _, _, used in runs)
    for moment, _, _ in runs:
        assert sum(used for begun, to, used in runs if begun <= moment < to) <= units


@given(arrivals)
def test_work_that_was_taken_back_or_came_too_late_is_not_done(arrivals: list[Arrival]) -> None:
    model, outcomes = played(arrivals)
    begun = {item: begun for begun, _, _, items in reversed(model.ran) for item in items}
    for one in outcomes:
        for limit_s in (one.arrival.cancelled_after_s, one.arrival.expires_after_s):
            if limit_s is not None and one.name in begun:
                assert begun[one.name] <= one.ticket.place.arrived_at + limit_s


@given(arrivals, UNITS)
def test_the_next_in_line_decides_the_key(arrivals: list[Arrival], units: int) -> None:
    _, outcomes = played(arrivals, units=units)
    for begun in {one.ticket.started_at for one in outcomes} - {None}:
        batch = [one for one in outcomes if one.ticket.started_at == begun]
        first = min(one.ticket.order for one in batch)
        assert all(first < one.ticket.order for one in outcomes if waits_at(one, begun) and one not in batch)


def waits_at(one: Outcome, now_s: float) -> bool:
    """Whether the item had arrived by then, is run later, and was not in a batch yet."""
    started = one.ticket.started_at
    return started is not None and one.ticket.place.arrived_at < now_s < started


@given(arrivals, st.sampled_from([0.2, 1.0]))
@settings(max_examples=50)
def test_a_wait_for_more_is_measured_from_the_oldest(arrivals: list[Arrival], max_wait_s: float) -> None:
    model, outcomes = played(arrivals, max_wait_s)
    ends = {to for _, to, _, _ in model.ran}
    for begun, _, key, items in model.ran:
        oldest = min(one.ticket.place.arrived_at for one in outcomes if one.name in items)
        is_full = len(items) == MAX_BATCH[key]
        is_urgent = any(one.ticket.is_urgent for one in outcomes if one.name in items)
        assert (
            is_full
            or is_urgent
            or begun in ends
            or begun >= oldest + max_wait_s - 1e-9
            or begun >= max(one.ticket.place.arrived_at for one in outcomes)
        )


def test_what_arrives_while_the_model_is_busy_runs_as_one_batch() -> None:
    async def play() -> list[list[str]]:
        model = Model()
        batcher = make_batcher(model)
        first = batcher.submit("a", ["one"])
        await asyncio.sleep(0.5)
        later = [*batcher.submit("a", ["two"]), *batcher.submit("a", ["three", "four"])]
        await asyncio.gather(*(ticket.result for ticket in [*first, *later]))
        return [items for _, _, _, items in model.ran]

    assert run(play()) == [["one"], ["two", "three", "four"]]


def test_what_waits_is_divided_among_the_units_that_are_free() -> None:
    async def play() -> tuple[list[tuple[float, list[str]]], list[int]]:
        model = Model()
        batcher = make_batcher(model, units=3)
        first = batcher.submit("a", ["one", "two", "three", "four", "five"])
        await asyncio.sleep(0.5)
        later = batcher.submit("a", ["six", "seven"])
        await asyncio.gather(*(ticket.result for ticket in [*first, *later]))
        return [(begun, items) for begun, _, _, items in model.ran], model.units

    ran, units = run(play())
    assert sorted(ran) == [
        (0, ["five"]),
        (0, ["one", "two"]),
        (0, ["three", "four"]),
        (pytest.approx(1.1), ["six", "seven"]),  # on the unit that was free first, and nothing waits for more
    ]
    assert units == [1, 1, 1, 1]


def test_a_batch_leaves_half_a_one_for_the_unit_that_is_free_next() -> None:
    async def play() -> list[list[str]]:
        model = Model()
        batcher = make_batcher(model, units=2)
        tickets = batcher.submit("a", ["one", "two", "three"])  # two run until 1.2 s, one until 1.1 s
        await asyncio.sleep(0.5)
        tickets += batcher.submit("a", ["four", "five", "six", "seven"])
        await asyncio.gather(*(ticket.result for ticket in tickets))
        return [items for _, _, _, items in model.ran]

    assert run(play())[2:] == [["four", "five"], ["six", "seven"]]


def test_an_item_alone_has_all_units() -> None:
    async def play() -> list[int]:
        model = Model()
        batcher = make_batcher(model, units=4)
        [ticket] = batcher.submit("a", ["alone"])
        await ticket.result
        alone = model.units.pop()
        await asyncio.gather(*(ticket.result for ticket in batcher.submit("c", ["one", "two", "three"])))
        return [alone, *sorted(model.units)]

    assert run(play()) == [4, 1, 1, 1]


def test_keys_run_side_by_side() -> None:
    async def play() -> list[tuple[float, str, list[str]]]:
        model = Model()
        batcher = make_batcher(model, units=2)
        tickets = [*batcher.submit("a", ["one", "two"]), *batcher.submit("b", ["three", "four"])]
        await asyncio.gather(*(ticket.result for ticket in tickets))
        return [(begun, key, items) for begun, _, key, items in model.ran]

    assert run(play()) == [(0, "a", ["one", "two"]), (0, "b", ["three", "four"])]


def test_an_urgent_item_waits_behind_at_most_one_batch() -> None:
    async def play() -> list[list[str]]:
        model = Model()
        batcher = make_batcher(model)
        normal = batcher.submit("a", [f"normal{n}" for n in range(12)])
        await asyncio.sleep(0.1)
        urgent = batcher.submit("b", ["urgent"], urgent=True)
        await asyncio.gather(*(ticket.result for ticket in [*normal, *urgent]))
        return [items for _, _, _, items in model.ran]

    assert run(play())[1] == ["urgent"]


def test_one_bad_item_fails_alone() -> None:
    async def play() -> tuple[list[str | BaseException], int]:
        model = Model()
        tickets = make_batcher(model).submit("a", ["one", "two", "bad", "four"])
        answers = await asyncio.gather(*(ticket.result for ticket in tickets), return_exceptions=True)
        return answers, len(model.ran)

    answers, runs = run(play())
    assert [str(answer) for answer in answers] == ["a:one", "a:two", "", "a:four"]
    assert isinstance(answers[2], BadItem)
    assert runs == 5  # the batch, two halves, and the bad half's two items


def test_a_fatal_failure_is_not_tried_again() -> None:
    async def play() -> int:
        model = Model()
        clock = asyncio.get_running_loop().time
        batcher = Batcher(
            model,
            max_batch=lambda key: 4,
            max_waiting=9,
            is_fatal=lambda e: isinstance(e, BadItem),
            clock=clock,
        )
        tickets = batcher.submit("a", ["one", "bad", "three"])
        answers = await asyncio.gather(*(ticket.result for ticket in tickets), return_exceptions=True)
        assert all(isinstance(answer, BadItem) for answer in answers)
        return len(model.ran)

    assert run(play()) == 1


def test_a_run_that_answers_too_few_results_fails_its_items() -> None:
    async def short(key: str, items: Sequence[str], prepared: None, units: int) -> list[str]:
        return []

    async def play() -> None:
        clock = asyncio.get_running_loop().time
        batcher = Batcher[str, str, None, str](short, max_batch=lambda key: 4, max_waiting=9, clock=clock)
        [ticket] = batcher.submit("a", ["one"])
        await ticket.result

    with pytest.raises(ValueError, match="shorter"):
        run(play())


def test_a_full_queue_takes_all_items_of_a_call_or_none() -> None:
    async def play() -> int:
        batcher = make_batcher(Model(), max_waiting=5)
        batcher.submit("a", ["one", "two", "three"])
        with pytest.raises(QueueFull):
            batcher.submit("a", ["four", "five", "six"])
        waiting = batcher.line.waiting()
        await batcher.drain()
        return waiting

    assert run(play()) == 3


def test_an_item_taken_back_frees_its_place() -> None:
    async def play() -> int:
        batcher = make_batcher(Model(), max_waiting=2)
        running = batcher.submit("a", ["running"])
        await asyncio.sleep(0.1)
        [taken_back, _] = batcher.submit("a", ["taken back", "kept"])
        taken_back.result.cancel()
        await asyncio.sleep(0)
        batcher.submit("a", ["in its place"])
        await running[0].result
        await batcher.drain()
        return batcher.line.waiting()

    assert run(play()) == 0


def test_an_item_that_would_be_too_late_is_not_begun() -> None:
    """Four of a batch that takes 1.4 s: the one with 1.2 s left goes, and the next one takes its place."""

    async def play() -> None:
        model = Model()
        batcher = Batcher[str, str, list[str], str](
            model,
            max_batch=MAX_BATCH.__getitem__,
            takes_s=lambda key, count: 1 + count / 10,
            max_waiting=9,
            clock=(clock := asyncio.get_running_loop().time),
        )
        tickets = [
            *batcher.submit("a", ["late"], expires_at=clock() + 1.2),
            *batcher.submit("a", ["1", "2", "3", "4"], expires_at=clock() + 1.5),
        ]
        answers = await asyncio.gather(*(ticket.result for ticket in tickets), return_exceptions=True)
        assert isinstance(answers[0], Expired)
        assert [items for *_, items in model.ran] == [["1", "2", "3", "4"]]

    run(play())


def test_draining_finishes_what_was_taken_and_takes_no_more() -> None:
    async def play() -> list[str]:
        batcher = make_batcher(Model(), max_wait_s=100)
        tickets = batcher.submit("a", ["one", "two"])
        await batcher.drain()
        with pytest.raises(Closed):
            batcher.submit("a", ["three"])
        return [ticket.result.result() for ticket in tickets]

    assert run(play()) == ["a:one", "a:two"]


def test_abandoned_items_get_the_given_failure() -> None:
    async def play() -> list[str | BaseException]:
        batcher = make_batcher(Model())
        tickets = batcher.submit("c", ["running", "waiting"])
        await asyncio.sleep(0.1)
        batcher.abandon(RuntimeError("the device is gone"))
        with pytest.raises(RuntimeError, match="gone"):
            batcher.submit("c", ["late"])
        return await asyncio.gather(*(ticket.result for ticket in tickets), return_exceptions=True)

    assert [str(answer) for answer in run(play())] == ["the device is gone"] * 2


def test_the_age_of_the_oldest_item_grows_until_it_runs() -> None:
    async def play() -> tuple[float, float]:
        batcher = make_batcher(Model())
        [_, waiting] = batcher.submit("c", ["running", "waiting"])
        await asyncio.sleep(0.4)
        age_s = batcher.line.oldest_age_s()
        await waiting.result
        return age_s, batcher.line.oldest_age_s()

    assert run(play()) == (pytest.approx(0.4), 0.0)


def test_a_full_batch_is_prepared_while_another_runs() -> None:
    async def play() -> tuple[list[list[str] | None], list[float]]:
        model = Model()
        batcher = make_batcher(model)
        tickets = batcher.submit("a", [f"item{n}" for n in range(10)])
        await asyncio.gather(*(ticket.result for ticket in tickets))
        return model.given, [begun for begun, _, _, _ in model.ran]

    given, begun = run(play())
    assert given == [None, ["item4", "item5", "item6", "item7"], None]
    assert begun == pytest.approx([0, 1.4, 2.8])  # preparing takes no time of the model's


def test_the_model_does_not_wait_for_what_is_not_prepared_yet() -> None:
    async def play() -> tuple[list[list[str] | None], list[float]]:
        model = Model()
        batcher = make_batcher(model)
        first = batcher.submit("c", ["first"])
        await asyncio.sleep(0.9)  # of 1.1 s, and preparing takes 0.5 s
        rest = batcher.submit("b", ["one", "two", "three"])
        await asyncio.gather(*(ticket.result for ticket in [*first, *rest]))
        return model.given, [begun for begun, _, _, _ in model.ran]

    assert run(play()) == ([None, None], pytest.approx([0, 1.1]))


def test_what_was_prepared_is_not_run_for_others() -> None:
    async def play() -> list[list[str]]:
        model = Model()
        batcher = make_batcher(model)
        tickets = batcher.submit("a", [f"item{n}" for n in range(8)])
        await asyncio.sleep(0.1)
        tickets[5].result.cancel()
        urgent = batcher.submit("a", ["urgent"], urgent=True)
        await asyncio.gather(*(ticket.result for ticket in [*tickets, *urgent]), return_exceptions=True)
        return [items for _, _, _, items in model.ran]

    assert run(play())[1] == ["urgent", "item4", "item6", "item7"]


def test_a_failure_to_prepare_is_left_to_the_run() -> None:
    async def play() -> list[str]:
        model = Model()

        async def fail(key: str, items: Sequence[str]) -> list[str]:
            raise MemoryError

        clock = asyncio.get_running_loop().time
        batcher = Batcher(model, prepare=fail, max_batch=lambda key: 2, max_waiting=9, clock=clock)
        tickets = batcher.submit("a", ["one", "two", "three", "four"])
        return await asyncio.gather(*(ticket.result for ticket in tickets))

    assert run(play()) == ["a:one", "a:two", "a:three", "a:four"]


def test_a_full_batch_does_not_wait_behind_one_that_fills() -> None:
    async def play() -> list[tuple[float, str]]:
        model = Model()
        batcher = make_batcher(model, max_wait_s=50)
        first = batcher.submit("a", ["alone"])
        full = batcher.submit("b", ["one", "two", "three"])
        await asyncio.gather(*(ticket.result for ticket in [*first, *full]))
        return [(begun, key) for begun, _, key, _ in model.ran]

    assert run(play()) == [(0, "b"), (50, "a")]


def test_an_urgent_item_does_not_wait_for_others() -> None:
    async def play() -> float:
        model = Model()
        [ticket] = make_batcher(model, max_wait_s=50).submit("a", ["urgent"], urgent=True)
        await ticket.result
        return model.ran[0][0]

    assert run(play()) == 0


def test_the_line_of_one_key_is_no_bound_for_another() -> None:
    async def play() -> int:
        batcher = make_batcher(Model(), max_waiting=3)
        batcher.submit("a", ["one", "two", "three"])
        batcher.submit("b", ["one", "two", "three"])
        waiting = batcher.line.waiting()
        await batcher.drain()
        return waiting

    assert run(play()) == 6


@given(arrivals, st.sampled_from([0.0, 0.5]))
def test_everything_that_was_taken_is_settled_in_the_end(arrivals: list[Arrival], max_wait_s: float) -> None:
    _, outcomes = played(arrivals, max_wait_s)
    assert all(one.ticket.result.done() for one in outcomes)
