"""A Ctrl-C that is answered between two steps."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STDERR = 2
NOTICE = "\nstopping after this step; once more stops at once\n"


class Interrupt:
    """While entered, a first SIGINT or SIGTERM sets `asked`, and a second one raises KeyboardInterrupt.

    Signals reach the main thread only; entered on another one, it does nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.asked = False
        self.notice = b"" if quiet else NOTICE.encode()

    def __enter__(self) -> Self:
        on_main_thread = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS if on_main_thread}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # Not print: the signal may have come in the middle of one.
        os.write(STDERR, self.notice)
