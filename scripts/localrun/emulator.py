"""The functions under `cargo lambda watch`: building, starting, invoking and stopping them."""

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable

from . import ports, processes, token
from .console import Relay, die, say
from .processes import MARK
from .settings import ROOT, Settings
from .stopping import Stopped, StopRequest, wait_for

FUNCTIONS = ("record-visit", "get-visits", "dashboard", "flush-visits")
START_SECONDS = 30
# The emulator starts a function by way of Cargo, whose lock another build may hold.
FUNCTIONS_START_SECONDS = 600
# The functions have 0.5 s on Lambda, so they need no more here.
FUNCTIONS_STOP_SECONDS = 3
INVOKE_SECONDS = 60


def build(stop: StopRequest) -> None:
    """Builds all functions now, so that no first request waits for a compiler."""
    packages = [f"--package={name}" for name in FUNCTIONS]
    process = subprocess.Popen(["cargo", "build", "--bins", *packages], cwd=ROOT)
    try:
        while process.poll() is None:
            stop.pause(0.1)
    except Stopped:
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        die("the functions do not build: see above")


def environment(settings: Settings) -> dict[str, str]:
    """The functions' environment. What the person has set wins, but for where things are."""
    mark, value = MARK.split("=", 1)
    defaults = {
        "VISITS_TIMER": "on",  # nothing freezes here
        "VISITS_OWNER_TOKEN": f"file:{token.FILE}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
    }
    places = {
        "REDIS_ENDPOINTS": settings.endpoints,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{settings.lambda_port}",
        "VISITS_RECORD_FUNCTION": "record-visit",
        mark: value,
    }
    return {**defaults, **os.environ, **places}


class Emulator:
    def __init__(self, settings: Settings) -> None:
        self.settings, self.process = settings, None

    def start(self, relay: Relay, stop: StopRequest) -> None:
        port = self.settings.lambda_port
        command = [self.settings.cargo_lambda, "lambda", "watch", "--invoke-address", "127.0.0.1"]
        command += ["--invoke-port", str(port)]
        # Else it answers preflights itself, and lets every origin read: the functions do that by their settings.
        command += ["--disable-cors"]
        # A reload kills a function at once, with the visits that it has not flushed.
        command += [] if self.settings.reload else ["--ignore-changes"]
        self.process = processes.start(command, relay.output, environment(self.settings))
        if not stop.until(lambda: self.ended() or ports.answers(port), START_SECONDS) or self.ended():
            relay.show()
            die("cargo lambda watch did not start: see above")

    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait_for_functions(self, flush: dict, show: Callable[[], None], pause: Callable[[float], None]) -> None:
        """Has all functions started, so that no later call waits for Cargo. `flush` is the event of flush-visits."""
        request = {"rawPath": "/", "requestContext": {"http": {"method": "OPTIONS", "path": "/"}}}
        events = {name: flush if name == "flush-visits" else request for name in FUNCTIONS}
        calls = [FirstCall(self.settings.lambda_port, name, event) for name, event in events.items()]
        end = time.monotonic() + FUNCTIONS_START_SECONDS
        while waiting := [call.function for call in calls if call.is_alive()]:
            show()
            if self.ended() or time.monotonic() > end:
                die(f"no answer from {', '.join(waiting)}: see above")
            pause(0.05)
        status, answer = calls[-1].answer
        if status != 200:
            say(f"the first flush failed: {status} {answer.strip()}")

    def stop(self) -> bool:
        """Stops the functions, which flush, then the emulator; true when none had to be killed."""
        if not self.process:
            return True
        killed = processes.stop(FUNCTIONS_STOP_SECONDS, keep=self.process.pid)
        if killed:
            say(f"killed what did not stop within {FUNCTIONS_STOP_SECONDS} s: {killed}; visits may be lost")
        self.process.terminate()
        if not wait_for(self.ended, FUNCTIONS_STOP_SECONDS):
            self.process.kill()
            self.process.wait()
        return not processes.stop(FUNCTIONS_STOP_SECONDS) and not killed


class FirstCall(threading.Thread):
    """Invokes a function until it answers, whatever it answers."""

    def __init__(self, port: int, function: str, event: dict) -> None:
        super().__init__(daemon=True)
        self.port, self.function, self.event, self.answer = port, function, event, None
        self.start()

    def run(self) -> None:
        while self.answer is None:
            try:
                self.answer = invoke(self.port, self.function, self.event)
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)


def invoke(port: int, function: str, event: dict) -> tuple[int, str]:
    """Invokes a function as AWS' API would; the status and the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=INVOKE_SECONDS)
    try:
        path = f"/2015-03-31/functions/{function}/invocations"
        connection.request("POST", path, json.dumps(event), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
