"""One local run at a time in a checkout."""

import fcntl

from .console import die
from .settings import DATA


def take() -> object:
    """Takes the lock; it is held until the returned file is closed, at the latest by our end, however we end."""
    DATA.mkdir(exist_ok=True)
    lock = (DATA / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        die("`make run` is running in this checkout: stop it first")
    return lock
