"""The local run: two Redis servers, the four functions under `cargo lambda watch`, and the schedule.

Its commands are `run`, `flush` and `clean`, for `make run`, `make flush` and `make clean-data`.
"""

import contextlib
import fcntl
import os
import secrets
import sys
import time

from . import functions, processes, redis
from .functions import Emulator
from .processes import StopRequest
from .settings import DATA, LAMBDA_PORT, PORTS, SHARDS, TOKEN_FILE, die, say


def lock() -> object:
    """Takes the lock of this checkout; it is held until the returned file is closed, at the latest by our end."""
    DATA.mkdir(exist_ok=True)
    file = (DATA / "run.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        die("`make run` is running in this checkout: stop it first")
    return file


def make_token() -> None:
    """Makes the owner's token if there is none yet, readable for us only. It is kept with the counts."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(TOKEN_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(16)}\n")


def clear_leftovers() -> None:
    """Stops what a run left that was killed before it could: the functions flush to their Redis, which then saves."""
    if left := processes.marked():
        say(f"stopping what an earlier run left: {', '.join(map(str, sorted(left)))}")
        processes.stop(functions.STOP_SECONDS)
    redis.stop()


def need_ports() -> None:
    """Refuses to start when a port is taken, on either meaning of `localhost`."""
    for variable, port in PORTS.items():
        if processes.listens(port, "127.0.0.1") or processes.listens(port, "::1"):
            owner = processes.owner(port)
            die(f"port {port} is taken by {owner}: stop it, or choose another port: {variable}=NUMBER make run")


def greet(seconds: float, ipv6: bool) -> None:
    base = f"http://localhost:{LAMBDA_PORT}"
    invoke = "cargo lambda invoke record-visit --data-file events/visit-http-api.json"
    invoke += "" if LAMBDA_PORT == 9000 else f" --invoke-port {LAMBDA_PORT}"
    # It asks [::1] unless it is told otherwise.
    invoke += "" if ipv6 else " --invoke-address 127.0.0.1  (there is no IPv6 on this machine)"
    # The token is the person's own, unless they have said where theirs is.
    place = os.environ.get("VISITS_OWNER_TOKEN")
    token = TOKEN_FILE.read_text() if place is None else f"where VISITS_OWNER_TOKEN says: {place.strip() or 'off'}"
    servers = ", ".join(f"{name} on 127.0.0.1:{port}" for name, port in SHARDS.items())
    say(f"""
ready after {seconds:.0f} s; Ctrl-C flushes and stops

  count a visit     curl -X POST {base}/visit/home
  read the count    curl {base}/visits/home
  invoke            {invoke}

  a page that counts itself    {base}/dashboard/demo
  in a page of yours           <script defer src="{base}/counter.js"></script>
  the dashboard                {base}/dashboard
                               with the token {token.strip()}

  Redis             {servers or "as REDIS_ENDPOINTS says; none started here"}
  flush             each minute; at once: make flush
""")


def serve(emulator: Emulator, stop: StopRequest) -> None:
    """Runs until we are asked to stop (`KeyboardInterrupt`); returns only when the emulator ends by itself."""
    begin = time.monotonic()
    functions.build(stop)
    redis.start(stop)
    emulator.start()
    emulator.wait_for_functions(stop.pause)
    greet(time.monotonic() - begin, emulator.ipv6 is not None)
    while not emulator.ended():
        emulator.show()
        redis.watch()
        stop.pause(0.1)
    say("cargo lambda watch has ended by itself")


def run() -> None:
    stop = StopRequest()
    make_token()
    clear_leftovers()
    need_ports()
    emulator = Emulator()
    ended_well = False
    try:
        serve(emulator, stop)
    except KeyboardInterrupt:
        say("\nstopping: the functions flush, then Redis saves")
        ended_well = True
    finally:
        ended_well = emulator.stop() and ended_well
        emulator.show()
        ended_well = redis.stop() and ended_well
    say("stopped")
    sys.exit(0 if ended_well else 1)


def flush() -> None:
    """Runs one flush at once, as the schedule does, and prints the summary."""
    # Empty: all writers, not only those that have been idle for an interval.
    status, answer = functions.invoke("flush-visits", {})
    if status == 0:
        die(f"no answer on port {LAMBDA_PORT} ({answer}): start `make run`; on another port, set LAMBDA_PORT here too")
    if status != 200:
        die(f"flush-visits answered {status}: {answer.strip()}")
    say(answer.strip())


def clean() -> None:
    """Deletes what the local run has counted."""
    if processes.marked() or any(map(redis.is_ours, SHARDS)):
        die("an earlier run was killed and left servers running: `make run` and Ctrl-C stops them")
    redis.delete()
    say("the counts of the local run are deleted")


command = {"run": run, "flush": flush, "clean": clean}[sys.argv[1]]
held = None if command is flush else lock()
command()
