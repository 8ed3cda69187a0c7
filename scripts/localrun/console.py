"""Speaking to the person at the terminal, who may have closed it."""

import os
import sys
from pathlib import Path


def say(text: str, end: str = "\n") -> None:
    """Prints. A terminal that is gone must not keep us from stopping in order."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def die(text: str) -> None:
    sys.exit(f"error: {text}")


class Relay:
    """Shows what the functions write. They write to a file: a file never blocks them and outlives a closed terminal."""

    def __init__(self, path: Path) -> None:
        self.output = path.open("ab", buffering=0)
        self.output.truncate(0)
        self.input = path.open("r", errors="replace")

    def show(self) -> None:
        if text := self.input.read():
            say(text, end="")
