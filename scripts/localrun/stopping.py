"""Signals: noted when they come, looked at where stopping is safe. So no step is ever half done."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable


class Stopped(Exception):
    """We were asked to stop."""


class StopRequest:
    """Notes SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal)."""

    def __init__(self) -> None:
        self.asked = False
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.poll = select.poll()
        self.poll.register(wake_read, select.POLLIN)
        # A closed terminal signals its session's leader only. Where that is `make`, it tells nobody: we look ourselves.
        if sys.platform == "linux" and os.isatty(0):
            self.poll.register(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP on purpose.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.asked = True

    def pause(self, seconds: float) -> None:
        """Waits; raises `Stopped` as soon as we are asked to stop."""
        if not self.asked:
            events = self.poll.poll(seconds * 1000)
            self.asked = self.asked or any(fd == 0 and event & select.POLLHUP for fd, event in events)
        if self.asked:
            raise Stopped

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits for a condition, with a bound; tells whether it came true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= end:
                return False
            self.pause(0.05)
        return True


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """The same while stopping, when nothing interrupts us any more."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True
