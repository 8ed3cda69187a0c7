"""The events of events/, sent by `cargo lambda invoke` as a developer would send them."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests/rie")]

from emulator import Process, Redis, free_ports  # noqa: E402
from localrun import processes  # noqa: E402

VISITS_OF_HOME = ("visit-http-api", "visit-rest-api", "visit-load-balancer")
WAIT_SECONDS = 60
STOP_SECONDS = 10


def invoke(port: str, function: str, event: str) -> dict:
    """Returns a function's answer. The address is the one that `cargo lambda invoke` asks by itself: [::1]."""
    command = [os.environ["CARGO_LAMBDA"], "lambda", "invoke", function, "--invoke-port", port]
    command += ["--data-file", f"events/{event}.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{event} to {function}: {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"{what}: {found!r} instead of {wanted!r}")


def count(port: str) -> int:
    answer = invoke(port, "get-visits", "read")
    expect("the read's status", answer["statusCode"], 200)
    return json.loads(answer["body"])["count"]


def each_event_reaches_its_function(port: str) -> None:
    before = count(port)
    for event in (*VISITS_OF_HOME, "visit-function-url"):
        expect(f"the status of {event}", invoke(port, "record-visit", event)["statusCode"], 200)
    expect("gaps of the ordered flush", invoke(port, "record-visit", "flush-order").get("errorMessage"), None)
    report = invoke(port, "flush-visits", "schedule")
    expect("failures of the schedule's flush", (report["shards_failed"], report["invocations_failed"]), (0, 0))
    end = time.monotonic() + WAIT_SECONDS
    while (found := count(port)) != before + len(VISITS_OF_HOME) and time.monotonic() < end:
        time.sleep(0.2)  # until the count in memory is too old
    expect("visits of home", found - before, len(VISITS_OF_HOME))


def cargo_lambda_watch_alone() -> None:
    """Runs what docs/LOCAL.md says for a machine with Docker, with two servers of this machine in place of Docker's."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visits-watch-")))
        servers = {name: stack.enter_context(Redis(folder, name)) for name in ("redis_7070", "redis_7071")}
        (port,) = free_ports(1)
        settings = (ROOT / "local.env").read_text().replace("9000", str(port))
        endpoints = ",".join(f"{name}=redis://127.0.0.1:{server.port}" for name, server in servers.items())
        (folder / "local.env").write_text(f'{settings}REDIS_ENDPOINTS="{endpoints}"\n')
        command = [os.environ["CARGO_LAMBDA"], "lambda", "watch", "--env-file", str(folder / "local.env")]
        command += ["--invoke-port", str(port)]
        processes.MARK = {"VISITS_LOCAL_RUN": str(folder)}
        watch = stack.enter_context(Process(command, {**os.environ, **processes.MARK}, port, folder / "watch.log"))
        stack.callback(processes.stop, STOP_SECONDS)
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/visit/home", b"")
            urllib.request.urlopen(request, timeout=600).close()
            each_event_reaches_its_function(str(port))
        except BaseException:
            print("--- cargo lambda watch wrote:", watch.written()[-20_000:], sep="\n")
            raise
