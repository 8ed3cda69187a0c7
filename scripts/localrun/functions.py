"""The functions under `cargo lambda watch`: built, started, invoked by the schedule, and stopped."""

import contextlib
import http.client
import json
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable

from . import processes
from .processes import StopRequest, wait_for
from .settings import CARGO_LAMBDA, DATA, ENDPOINTS, LAMBDA_PORT, RELOAD, ROOT, TOKEN_FILE, die, say

FUNCTIONS = ("record-visit", "get-visits", "dashboard", "flush-visits")
# The emulator starts a function by way of Cargo, whose lock another build may hold.
START_SECONDS = 600
# The functions have 0.5 s on Lambda, so they need no more here.
STOP_SECONDS = 3
INVOKE_SECONDS = 60
SCHEDULE_SECONDS = 60
# An event of EventBridge Scheduler for a target without an input of its own.
SCHEDULED = json.loads((ROOT / "events/schedule.json").read_text())
PREFLIGHT = {"rawPath": "/", "requestContext": {"http": {"method": "OPTIONS", "path": "/"}}}
COMMAND = [CARGO_LAMBDA, "lambda", "watch", "--invoke-address", "127.0.0.1", "--invoke-port", str(LAMBDA_PORT)]
# Else it answers preflights itself, and lets every origin read: the functions do that by their settings.
COMMAND += ["--disable-cors"]
# A reload kills a function at once, with the visits that it has not flushed.
COMMAND += [] if RELOAD else ["--ignore-changes"]
# Variables that are set already win over the first, and not over the second, which say where things are.
DEFAULTS = {"VISITS_TIMER": "on", "VISITS_OWNER_TOKEN": f"file:{TOKEN_FILE}"}  # on, since nothing freezes here
DEFAULTS |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
PLACES = {"REDIS_ENDPOINTS": ENDPOINTS, "VISITS_RECORD_FUNCTION": "record-visit"}
PLACES |= {"AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{LAMBDA_PORT}"}


def build(stop: StopRequest) -> None:
    """Builds all functions now, so that no first request waits for a compiler."""
    process = subprocess.Popen(["cargo", "build", "--bins", *(f"--package={name}" for name in FUNCTIONS)], cwd=ROOT)
    try:
        while process.poll() is None:
            stop.pause(0.1)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        die("the functions do not build: see above")


class Emulator:
    """`cargo lambda watch`. It writes to a file, which never blocks it and outlives a closed terminal."""

    def __init__(self) -> None:
        self.process, self.ipv6, self.answered = None, None, []
        self.output = (DATA / "run.log").open("wb", buffering=0)
        self.shown = (DATA / "run.log").open(errors="replace")

    def show(self) -> None:
        """Shows what it has written since the last time."""
        if text := self.shown.read():
            say(text, end="")

    def start(self) -> None:
        env = {**DEFAULTS, **os.environ, **PLACES, **processes.MARK}
        self.process = processes.start(COMMAND, self.output, env)
        with contextlib.suppress(OSError):  # where there is no IPv6
            self.ipv6 = Ipv6()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait_for_functions(self, pause: Callable[[float], None]) -> None:
        """Returns when each function has answered."""
        threading.Thread(target=self.drive, daemon=True).start()
        end = time.monotonic() + START_SECONDS
        while waiting := FUNCTIONS[len(self.answered) :]:
            self.show()
            if self.ended() or time.monotonic() > end:
                die(f"no answer from {', '.join(waiting)}: see above")
            pause(0.05)

    def drive(self) -> None:
        """Has each function started, so that no later call waits for Cargo. Then invokes flush-visits each minute."""
        for name in FUNCTIONS:
            while not (answer := invoke(name, SCHEDULED if name == "flush-visits" else PREFLIGHT))[0]:
                time.sleep(0.1)
            self.answered.append(name)
        while not self.ended():
            if answer[0] != 200:
                say(f"a scheduled flush failed: {answer[0]} {answer[1].strip()}")
            time.sleep(SCHEDULE_SECONDS - time.monotonic() % SCHEDULE_SECONDS)
            answer = invoke("flush-visits", SCHEDULED)

    def stop(self) -> bool:
        """Stops the functions, which flush, then the emulator; true when none had to be killed."""
        if not self.process:
            return True
        flushed = processes.stop(STOP_SECONDS, keep=self.process.pid)
        self.process.terminate()
        return processes.stop(STOP_SECONDS) and wait_for(self.ended, STOP_SECONDS) and flushed


class Ipv6(socketserver.ThreadingTCPServer):
    """A way from [::1], which `cargo lambda invoke` asks, to 127.0.0.1: the emulator listens on one address or all."""

    address_family, allow_reuse_address, daemon_threads = socket.AF_INET6, True, True

    def __init__(self) -> None:
        super().__init__(("::1", LAMBDA_PORT), socketserver.BaseRequestHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request: socket.socket, _address: object) -> None:
        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", LAMBDA_PORT)) as emulator:
            threading.Thread(target=copy, args=(request, emulator), daemon=True).start()
            copy(emulator, request)


def invoke(function: str, event: dict) -> tuple[int, str]:
    """Invokes a function as AWS' API would; returns the status and the answer, or 0 and the reason for none."""
    connection = http.client.HTTPConnection("127.0.0.1", LAMBDA_PORT, timeout=INVOKE_SECONDS)
    path = f"/2015-03-31/functions/{function}/invocations"
    try:
        connection.request("POST", path, json.dumps(event), {"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
