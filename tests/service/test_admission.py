"""Admission: expected waits, bounds, deadlines."""

import random
from collections.abc import Callable, Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.admission import Admission, Bounds, DeadlineTooNear, Overloaded, Work
from service.deadline import Deadline
from service.estimates import Line, Margin

FAR = Deadline(1e9, 600_000, clock=lambda: 0.0)
Queued = list[tuple[Hashable, bool, int]]


class Clock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def admission(
    queued: Queued | None = None,
    *,
    requests: int = 10,
    items: int = 100,
    bytes_: int = 1000,
    clock: Clock = Clock(),
    units: int = 1,
) -> Admission:
    waiting = [] if queued is None else queued
    return Admission(Bounds(requests, items, bytes_), lambda kind: 4, lambda: waiting, clock, units)


def within(seconds: float, clock: Callable[[], float] = lambda: 0.0) -> Deadline:
    return Deadline(clock() + seconds, round(seconds * 1000), clock)


def learn(subject: Admission, kind: str, each_s: float, start_s: float) -> None:
    """Batches of one item of late, and one of four long ago."""
    for n in [4] + [1] * 30:
        subject.observe(kind, n, each_s * n + start_s)


@given(
    each=st.floats(0.001, 1),
    start=st.floats(0, 1),
    sizes=st.lists(st.integers(1, 32), min_size=2, max_size=30),
)
def test_the_fit_finds_the_line_that_batches_lie_on(each: float, start: float, sizes: list[int]) -> None:
    time = Line()
    for n in sizes:
        time.observe(n, each * n + start)
    if len(set(sizes)) > 1:
        assert time.line() == (pytest.approx(each, abs=1e-4), pytest.approx(start, abs=1e-3))
    assert time.predict(sizes[0]) == pytest.approx(each * sizes[0] + start, rel=1e-2)


def test_the_fit_follows_a_machine_that_slows_down() -> None:
    time = Line()
    for seconds_each in [0.1] * 50 + [0.3] * 100:
        for n in (1, 4):
            time.observe(n, seconds_each * n)
    assert time.line()[0] == pytest.approx(0.3, rel=0.01)


def test_nothing_is_known_before_the_first_batch() -> None:
    assert admission().wait_s(Work("pose", 64)) == 0.0


def test_the_wait_counts_what_is_coming_and_what_is_queued_of_every_kind() -> None:
    subject = admission([("pose", False, 2), ("mask", True, 2)])
    learn(subject, "pose", 0.1, 0.5)
    learn(subject, "mask", 1.0, 0.0)
    with subject.places(Work("pose", 4), FAR):
        # 7 crops in two batches, and two masks.
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(0.7 + 1.0 + 2.0)


def test_what_joins_a_batch_that_is_not_full_pays_no_start() -> None:
    subject = admission([("pose", False, 2)])
    learn(subject, "pose", 0.1, 0.5)
    assert subject.wait_s(Work("pose", 1)) == pytest.approx(0.3 + 0.5)
    assert subject.wait_s(Work("pose", 4)) == pytest.approx(0.6 + 2 * 0.5)


def test_a_batch_is_expected_to_fill_up_as_the_last_ones_did() -> None:
    subject = admission()
    for _ in range(9):
        subject.observe("pose", 4, 4.5)
    assert subject.wait_s(Work("pose", 1)) == pytest.approx(4.5)


def test_a_picture_is_decoded_while_what_is_ahead_is_computed() -> None:
    subject = admission([("pose", False, 4)])
    subject.observe("pose", 1, 1.0)
    assert subject.wait_s(Work("pose", 1, before_s=3.0, after_s=0.25)) == pytest.approx(5.25)
    assert subject.wait_s(Work("pose", 1, before_s=7.0, after_s=0.25)) == pytest.approx(8.25)


@pytest.mark.parametrize("units", [1, 2])
def test_a_request_without_people_waits_for_no_batch(units: int) -> None:
    subject = admission([("pose", False, 4)], units=units)
    subject.observe("pose", 4, 1.0)
    assert subject.wait_s(Work("pose", 0, before_s=0.5, after_s=0.25)) == 0.75


def test_decoding_alone_can_take_too_long() -> None:
    with pytest.raises(DeadlineTooNear), admission().places(Work("pose", 1, before_s=2.0), within(1.0)):
        pass


def test_waits_that_take_longer_than_expected_leave_more_room_to_the_next() -> None:
    clock = Clock()
    subject = admission(clock=clock)
    subject.observe("pose", 1, 1.0)
    for _ in range(20):
        with subject.places(Work("pose", 4), within(6.0, clock)) as promise:
            pass
        clock.now_s += 5.0
        subject.learn(promise, is_done=True)
    assert subject.margin.factor == pytest.approx(1.25, abs=0.07)
    subject.observe("pose", 1, 1.0)
    with pytest.raises(DeadlineTooNear), subject.places(Work("pose", 4), within(4.7, clock)):
        pass


def test_waits_that_had_plenty_of_time_change_nothing() -> None:
    clock = Clock()
    subject = admission(clock=clock)
    subject.observe("pose", 1, 1.0)
    with subject.places(Work("pose", 4), within(60.0, clock)) as promise:
        pass
    clock.now_s += 8.0
    subject.learn(promise, is_done=True)
    assert subject.margin.factor == 1.1


@pytest.mark.parametrize("late_share", [0.0, 0.3])
def test_the_margin_settles_where_few_waits_are_longer(late_share: float) -> None:
    margin, chance = Margin(), random.Random(0)
    for _ in range(20_000):
        margin.observe(chance.uniform(1.0, 1.5) if chance.random() < late_share else 1.0)
    assert margin.factor == (1.1 if late_share == 0 else pytest.approx(1.49, abs=0.05))


def test_what_has_run_of_the_present_batch_is_not_waited_for() -> None:
    clock = Clock()
    subject = admission(clock=clock)
    subject.observe("pose", 1, 1.0)
    with subject.running("pose", 2):
        clock.now_s = 0.4
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(1.6 + 1.0)


def test_units_share_what_is_ahead_and_one_of_them_computes_the_last_batch() -> None:
    clock = Clock()
    subject = admission([("pose", False, 8)], clock=clock, units=2)
    subject.observe("pose", 1, 1.0)
    with subject.running("pose", 4), subject.running("pose", 4):
        clock.now_s = 3.0
        # Each has 1 s left and then a batch of four. What comes adds half a second to both, and half a batch:
        # one of them computes the last one alone.
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(1.0 + 4.0 + 0.5 + 2.0)


def test_a_request_of_many_boxes_is_divided_among_the_units() -> None:
    subject = admission(units=2)
    subject.observe("pose", 1, 1.0)
    assert subject.wait_s(Work("pose", 1)) == pytest.approx(1.0)
    assert subject.wait_s(Work("pose", 60)) == pytest.approx(30.0, abs=4.0)


def test_a_batch_that_takes_longer_than_ever_does_not_shorten_the_wait() -> None:
    clock = Clock()
    subject = admission([("pose", False, 20)], clock=clock)
    subject.observe("pose", 1, 1.0)
    with subject.running("pose", 4):
        clock.now_s = 1000.0
        assert subject.wait_s(Work("pose", 1)) == pytest.approx(21.0)


def test_a_batch_that_was_run_is_learned_from_and_one_that_failed_is_not() -> None:
    clock = Clock()
    subject = admission(clock=clock)

    def fail() -> None:
        with subject.running("pose", 1):
            clock.now_s = 50.0
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    with subject.running("pose", 2):
        clock.now_s = 53.0
    assert subject.wait_s(Work("pose", 2)) == pytest.approx(3.0)


def test_the_time_between_two_batches_counts_while_something_waits() -> None:
    clock, queued = Clock(), [("pose", False, 1)]
    subject = admission(queued, clock=clock)
    with subject.running("pose", 1):
        clock.now_s = 1.0
    clock.now_s = 1.5
    queued.clear()
    with subject.running("pose", 1):
        clock.now_s = 2.5
    clock.now_s = 4.0
    assert subject.times.lines["pose"].t == pytest.approx(0.95 * 1.0 + 1.5)
    with subject.running("pose", 1):
        clock.now_s = 5.0
    assert subject.times.lines["pose"].t == pytest.approx(0.95 * (0.95 * 1.0 + 1.5) + 1.0)


def test_an_urgent_request_waits_for_the_batch_that_runs_and_for_urgent_ones() -> None:
    subject = admission([("pose", False, 50), ("pose", True, 1)])
    subject.observe("pose", 1, 1.0)
    with subject.running("pose", 4):
        assert subject.wait_s(Work("pose", 1, is_urgent=True)) == pytest.approx(4.0 + 2.0)


@pytest.mark.parametrize("count", [1, 60])
def test_a_request_that_cannot_make_its_deadline_is_refused_at_once(count: int) -> None:
    subject = admission()
    subject.observe("pose", 1, 1.0)
    with pytest.raises(DeadlineTooNear) as refusal, subject.places(Work("pose", count), within(0.5)):
        pass
    assert refusal.value.retry_after_s == min(60, -(-(11 * count - 5) // 10))  # a tenth is kept in hand
    assert subject.coming.total() == 0


def test_one_batch_that_stalls_teaches_little() -> None:
    subject = admission()
    for _ in range(30):
        subject.observe("pose", 4, 0.4)
    subject.observe("pose", 4, 60.0)
    assert subject.wait_s(Work("pose", 4)) == pytest.approx(0.4, rel=0.2)


def test_a_lasting_change_is_learned_all_the_same() -> None:
    subject = admission()
    for seconds in [0.4] * 30 + [40.0] * 100:
        subject.observe("pose", 4, seconds)
    assert subject.wait_s(Work("pose", 4)) == pytest.approx(40.0, rel=0.1)


def test_after_a_while_without_work_one_request_is_taken_to_see_how_long_it_takes() -> None:
    clock = Clock()
    subject = admission(clock=clock)
    subject.observe("pose", 1, 10.0)
    with pytest.raises(DeadlineTooNear), subject.places(Work("pose", 1), within(1.0, clock)):
        pass
    clock.now_s = 2.5
    with subject.places(Work("pose", 1), within(1.0, clock)):
        assert subject.batch_s("pose", 1) == 0  # so that the batcher begins it too
        with pytest.raises(DeadlineTooNear), subject.places(Work("pose", 1), within(1.0, clock)):
            pass
    with subject.running("pose", 1):
        clock.now_s += 0.1
    assert subject.wait_s(Work("pose", 1)) < 0.3


def test_a_request_that_can_make_its_deadline_is_taken() -> None:
    subject = admission()
    subject.observe("pose", 1, 1.0)
    with subject.places(Work("pose", 3), within(3.4)):
        assert subject.coming.total() == 3
    assert subject.coming.total() == 0


def test_items_of_a_kind_are_bounded() -> None:
    subject = admission([("pose", False, 5)], items=10)
    with subject.places(Work("pose", 3), FAR):
        with pytest.raises(Overloaded), subject.places(Work("pose", 3), FAR):
            pass
        with subject.places(Work("pose", 2, is_urgent=True), FAR), subject.places(Work("mask", 10), FAR):
            pass


def test_requests_are_bounded() -> None:
    subject = admission(requests=1)
    with subject.request():
        with pytest.raises(Overloaded) as refusal, subject.request():
            pass
        assert refusal.value.retry_after_s == 1
    with subject.request():
        pass


def test_bytes_are_bounded_and_given_back() -> None:
    subject = admission(bytes_=100)
    with subject.request() as one, subject.request() as other:
        subject.keep(one, 60)
        with pytest.raises(Overloaded):
            subject.keep(other, 50)
        subject.keep(other, 40)
    assert subject.bytes == 0
