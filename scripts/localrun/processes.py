"""Our processes: started in a session of their own, found by a mark in their environment, stopped by id."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from .settings import ROOT
from .stopping import wait_for

# The emulator starts each function in a further session, so that neither group nor session tells which are ours.
# The environment is inherited by all of them, and tells also what an earlier run left when it was killed.
MARK = f"VISITS_LOCAL_RUN={ROOT}"


def start(command: list[str], log: object, env: dict[str, str], cwd: Path = ROOT) -> subprocess.Popen:
    """Starts a process that Ctrl-C in our terminal does not reach: we stop them ourselves, in order."""
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def marked() -> set[int]:
    """The processes of this project's local runs, whoever started them: emulator, functions, their builds."""
    found = set()
    if Path("/proc/self/environ").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and MARK in environment(entry):
                found.add(int(entry.name))
        return found - {os.getpid()}
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True).stdout
    return {int(line.split()[0]) for line in listing.splitlines() if f" {MARK} " in f"{line} "}


def environment(entry: Path) -> list[str]:
    """Empty for a process that has ended (it may still wait for its parent) or is not ours to read."""
    try:
        return (entry / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def stop(seconds: float, keep: int = 0) -> list[int]:
    """Asks our processes, all but `keep`, to stop, and waits until they have. Returns those that had to be killed."""
    asked = set()

    def none_left() -> bool:
        left = marked() - {keep}
        for pid in left - asked:
            send(pid, signal.SIGTERM)
        asked.update(left)
        return not left

    if wait_for(none_left, seconds):
        return []
    late = sorted(marked() - {keep})
    for pid in late:
        send(pid, signal.SIGKILL)
    wait_for(none_left, 1)
    return late
