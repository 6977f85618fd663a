"""Admission: expected waits, bounds, deadlines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.admission import Admission, BatchTime, Bounds, DeadlineTooNear, Overloaded
from service.deadline import Deadline

FAR = Deadline(1e9, 600_000, clock=lambda: 0.0)


def admission(*, busy_s: float = 0.0, requests: int = 10, items: int = 100, bytes_: int = 1000) -> Admission:
    return Admission(Bounds(requests, items, bytes_), max_batch=lambda kind: 4, busy_for_s=lambda: busy_s)


def within(seconds: float) -> Deadline:
    return Deadline(seconds, round(seconds * 1000), clock=lambda: 0.0)


@given(
    each=st.floats(0.001, 1),
    start=st.floats(0, 1),
    sizes=st.lists(st.integers(1, 32), min_size=2, max_size=30),
)
def test_the_fit_finds_the_line_that_batches_lie_on(each: float, start: float, sizes: list[int]) -> None:
    time = BatchTime()
    for n in sizes:
        time.observe(n, each * n + start)
    if len(set(sizes)) > 1:
        assert time.line() == (pytest.approx(each, abs=1e-4), pytest.approx(start, abs=1e-3))
    assert time.predict(sizes[0], max_batch=32) == pytest.approx(each * sizes[0] + start, rel=1e-2)


def test_the_fit_follows_a_machine_that_slows_down() -> None:
    time = BatchTime()
    for seconds_each in [0.1] * 50 + [0.3] * 100:
        for n in (1, 4):
            time.observe(n, seconds_each * n)
    assert time.line()[0] == pytest.approx(0.3, rel=0.01)


def test_nothing_is_known_before_the_first_batch() -> None:
    assert admission().wait_s("pose", 64) == 0.0


def test_the_wait_counts_every_batch_ahead_of_every_kind() -> None:
    subject = admission()
    for n in (1, 2, 4):
        subject.observe("pose", n, 0.1 * n + 0.5)
        subject.observe("mask", n, 1.0 * n)
    with subject.work("pose", 6, FAR, urgent=False), subject.work("mask", 2, FAR, urgent=False):
        # 7 crops in two batches, and two masks.
        assert subject.wait_s("pose", 1) == pytest.approx(0.7 + 1.0 + 2.0)


def test_what_has_run_of_the_present_batch_is_not_waited_for() -> None:
    subject = admission(busy_s=0.4)
    subject.observe("pose", 1, 1.0)
    with subject.work("pose", 1, FAR, urgent=False):
        assert subject.wait_s("pose", 1) == pytest.approx(1.6)


def test_a_batch_that_hangs_does_not_shorten_the_wait() -> None:
    subject = admission(busy_s=1000.0)
    subject.observe("pose", 4, 4.0)
    with subject.work("pose", 20, FAR, urgent=False):
        assert subject.wait_s("pose", 1) == pytest.approx(21 - 4)


def test_an_urgent_request_does_not_wait_for_the_others() -> None:
    subject = admission()
    subject.observe("pose", 1, 1.0)
    with subject.work("pose", 50, FAR, urgent=False):
        assert subject.wait_s("pose", 1, urgent=True) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 60])
def test_a_request_that_cannot_make_its_deadline_is_refused_at_once(count: int) -> None:
    subject = admission()
    subject.observe("pose", 1, 1.0)
    with pytest.raises(DeadlineTooNear) as refusal, subject.work("pose", count, within(0.5), urgent=False):
        pass
    assert refusal.value.retry_after_s == max(1, min(60, count))
    assert subject.items.total() == 0


def test_a_request_that_can_make_its_deadline_is_taken() -> None:
    subject = admission()
    subject.observe("pose", 1, 1.0)
    with subject.work("pose", 3, within(3.1), urgent=False):
        assert subject.items.total() == 3
    assert subject.items.total() == 0


def test_items_are_bounded() -> None:
    subject = admission(items=10)
    with subject.work("pose", 8, FAR, urgent=False):
        with pytest.raises(Overloaded), subject.work("pose", 3, FAR, urgent=False):
            pass
        with subject.work("mask", 2, FAR, urgent=True):
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
