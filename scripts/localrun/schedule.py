"""The schedule: invokes flush-visits each minute with the event that EventBridge Scheduler sends."""

import threading
import time
import uuid
from datetime import datetime, timezone

from .console import say
from .emulator import invoke

INTERVAL_SECONDS = 60


def event() -> dict:
    """As the Scheduler sends it to a target without an input of its own; `detail` is a text there."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/flush-visits"],
        "detail": "{}",
    }


def flush(port: int) -> tuple[int, str]:
    return invoke(port, "flush-visits", event())


class Schedule:
    def __init__(self, port: int) -> None:
        self.port, self.next, self.running = port, time.monotonic() + INTERVAL_SECONDS, None

    def tick(self) -> None:
        """Starts a flush when it is time and the one before has ended."""
        if time.monotonic() < self.next or (self.running and self.running.is_alive()):
            return
        self.next = time.monotonic() + INTERVAL_SECONDS
        self.running = threading.Thread(target=self.run, daemon=True)
        self.running.start()

    def run(self) -> None:
        try:
            status, answer = flush(self.port)
        except OSError as error:
            status, answer = 0, str(error)
        if status != 200:
            say(f"the scheduled flush failed: {status} {answer}")
