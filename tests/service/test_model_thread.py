"""The thread that owns the device: its end."""

import threading

from service.model_thread import ModelThread


async def test_a_closed_thread_has_ended_after_the_calls_that_wait() -> None:
    thread = ModelThread()
    answer = thread.run(lambda: 7)
    thread.close()
    assert thread.has_ended(30)
    assert await answer == 7


async def test_a_thread_whose_call_hangs_has_not_ended() -> None:
    thread, let_go = ModelThread(), threading.Event()
    answer = thread.run(let_go.wait)
    thread.close()
    assert not thread.has_ended(0.01)
    let_go.set()
    assert thread.has_ended(30)
    await answer
