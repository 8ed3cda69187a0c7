"""Our processes, found by a mark in their environment and stopped by id; signals, waiting, and the owner of a port."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .settings import DATA, ROOT, say

# The emulator starts each function in a further session, so that neither group nor session tells which are ours.
# The environment is inherited by all of them, and tells also what an earlier run left when it was killed.
MARK = {"VISITS_LOCAL_RUN": str(DATA)}


class StopRequest:
    """Notes SIGINT (Ctrl-C), SIGTERM and SIGHUP. They are looked at where stopping is safe: no step is half done."""

    def __init__(self) -> None:
        self.asked, self.terminal = False, select.poll()
        # A closed terminal signals its session's leader only. Where that is `make`, we hear nothing: we look ourselves.
        if sys.platform == "linux" and os.isatty(0):
            self.terminal.register(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP on purpose.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.asked = True

    def pause(self, seconds: float) -> None:
        """Waits, briefly, since no signal cuts it short; raises `KeyboardInterrupt` when we are asked to stop."""
        closed = any(event & select.POLLHUP for _, event in self.terminal.poll(0 if self.asked else seconds * 1000))
        if closed or self.asked:
            raise KeyboardInterrupt


def wait_for(condition: Callable[[], bool], seconds: float, pause: Callable[[float], None] = time.sleep) -> bool:
    """Waits for a condition, with a bound; tells whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        pause(0.02)
    return True


def start(command: list[str], log: object, env: dict[str, str], cwd: Path = ROOT) -> subprocess.Popen:
    """Starts a process that Ctrl-C in our terminal does not reach: we stop them ourselves, in order."""
    env = {**os.environ, **env}
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def marked() -> set[int]:
    """Returns the processes with our mark, of this run or of an earlier one: emulator, functions, their builds."""
    mark = "=".join(*MARK.items())
    if not Path("/proc/self/environ").exists():
        listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True).stdout
        return {int(line.split()[0]) for line in listing.splitlines() if f" {mark} " in f"{line} "}
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        # Others are not ours to read, or have ended and wait for their parent.
        with contextlib.suppress(OSError):
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found


def stop(seconds: float, keep: int = 0) -> bool:
    """Has the processes with our mark end, all but `keep`; false when some had to be killed after so many seconds."""
    asked = set()

    def none_left(number: int = signal.SIGTERM) -> bool:
        left = marked() - {keep}
        for pid in left - asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        asked.update(left)
        return not left

    if wait_for(none_left, seconds):
        return True
    say(f"killed what did not stop within {seconds} s: {sorted(marked() - {keep})}; visits may be lost")
    asked.clear()
    none_left(signal.SIGKILL)
    return False


def listens(port: int, host: str) -> bool:
    """Tells whether a server answers on a port."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def owner(port: int) -> str:
    """Names the process that listens on a port, as far as this system lets us see."""
    rows = [line.split() for path in Path("/proc/net").glob("tcp*") for line in path.read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) in sockets for link in (entry / "fd").iterdir()):
                return f"{(entry / 'comm').read_text().strip()} (process {entry.name})"
    return "another program"
