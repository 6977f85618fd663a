"""A batch on the CPU in parts that are computed side by side, each by threads of its own.

Threads that share an operation meet at its end, thousands of times in a batch, and when one of them has lost
its core to a decoder all the others wait. Threads that share a batch meet once.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

# Python issues the operations of a part in the time that a core takes to compute so many pixels, and those of
# one part at a time. A recording needs no Python.
PIXELS = 128 * 96
BALANCE = 3 / 4  # of the threads' time that parts of unlike sizes must use

_Call = tuple[Callable[[Tensor], Tensor], Tensor, "Future[Tensor]"]


def run_in_parts(run: Callable[[Tensor], Tensor], batch: Tensor, *, needs_python: bool = True) -> Tensor:
    """What `run(batch)` gives, `(n, …)` of `(n, …, height, width)`, computed in parts where that is faster.

    The threads are those of the caller, shared among the parts. `run` is called in inference mode.
    needs_python: for each of its operations.
    raises: what `run` raises, when all parts have ended.
    """
    threads = torch.get_num_threads()
    count = parts_of(batch, threads, needs_python=needs_python)
    with torch.inference_mode():
        if count == 1:
            return run(batch)
        answers = workers(count, threads // count).run(run, batch.tensor_split(count))
        with on_one_thread():
            return torch.cat(answers)


def parts_of(batch: Tensor, threads: int, *, needs_python: bool = True) -> int:
    """In how many parts a batch `(n, …, height, width)` is computed: 1 to the smaller of n and `threads`."""
    count, pixels = batch.shape[0], batch.shape[-2] * batch.shape[-1]
    most = min(count, threads)
    if needs_python:
        most = max(1, min(most, count * pixels // (threads * PIXELS)))
    return max(parts for parts in range(1, most + 1) if count > BALANCE * parts * -(-count // parts))


def use_torch_threads(count: int) -> None:
    """Tensor operations of the calling thread use so many threads, whatever other threads are told."""
    # A thread that has never asked takes over, at its first operation, what another one has set meanwhile.
    torch.get_num_threads()
    torch.set_num_threads(count)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """For what stands around parts: threads that helped with it would go on spinning, on the parts' cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Workers:
    """Threads that compute parts, each with `threads` of torch's; daemons, until the process ends."""

    def __init__(self, count: int, threads: int) -> None:
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        before, are_set = torch.get_num_threads(), threading.Barrier(count + 1)
        for number in range(count):
            arguments = (threads, are_set)
            threading.Thread(target=self._work, args=arguments, name=f"part-{number}", daemon=True).start()
        are_set.wait()
        torch.set_num_threads(before)  # for threads that have not asked yet

    def run(self, function: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
        """What the function gives of each part, in order, in inference mode."""
        answers: list[Future[Tensor]] = []
        for part in parts:
            answers.append(Future())
            self._calls.put((function, part, answers[-1]))
        wait(answers)
        return [answer.result() for answer in answers]

    def _work(self, threads: int, are_set: threading.Barrier) -> None:
        use_torch_threads(threads)
        are_set.wait()
        while True:
            _answer(*self._calls.get())


@torch.inference_mode()
def _answer(function: Callable[[Tensor], Tensor], part: Tensor, answer: "Future[Tensor]") -> None:
    try:
        result = function(part)
    except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked, and the thread goes on
        answer.set_exception(error)
    else:
        answer.set_result(result)


workers = cache(Workers)
os.register_at_fork(after_in_child=workers.cache_clear)  # threads do not survive a fork
