#!/usr/bin/env python3
"""Tests of the whole system from outside: starts the local run in a folder and on ports of its own, then has
browsers and schemathesis at it. Ends with the exit code of what failed, or 0.

Needs CARGO_LAMBDA, REDIS_SERVER, CHROMIUM, and SCHEMATHESIS, as `scripts/test` sets them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import invoke
from emulator import free_ports

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
READY_SECONDS = 900  # the functions may have to be built first
STOP_SECONDS = 90
# How long schemathesis makes up requests, and how long it may take with all else that it does.
TRY_SECONDS = 60
BOUND_SECONDS = 180
# What would change how the functions behave, or where requests go.
FOREIGN = ("VISITS_", "REDIS_PORT", "REDIS_ENDPOINTS", "AWS_", "RELOAD")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}


class LocalRun:
    """`make run` with short intervals, so that what is counted is soon seen."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / "output.log"
        self.port, *redis = map(str, free_ports(3))
        self.base = f"http://localhost:{self.port}"
        settings = {"VISITS_FLUSH_INTERVAL": "1s", "VISITS_CACHE_TTL": "1s"}
        ports = {"LAMBDA_PORT": self.port, "REDIS_PORT_1": redis[0], "REDIS_PORT_2": redis[1]}
        command = [sys.executable, "-m", "localrun", "run"]
        with self.output.open("w") as output:
            env = {**environment(), **settings, **ports, "LOCALRUN_DATA": folder, "PYTHONPATH": ROOT / "scripts"}
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while "\nready after " not in self.output.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the local run does not start")
            time.sleep(0.2)

    def visit(self) -> None:
        """Visits by a person, so that there is something to see."""
        person = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"}
        for page in ("home", "home", "blog/caf%C3%A9", "pricing"):
            request = urllib.request.Request(f"{self.base}/visit/{page}", b"", person)
            urllib.request.urlopen(request, timeout=120).close()

    def settle(self) -> None:
        """One run of flush-visits, after which a new counter knows where its pages are."""
        body = json.dumps({}).encode()
        url = f"{self.base}/2015-03-31/functions/flush-visits/invocations"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=120) as answer:
            summary = json.load(answer)
        if not summary["ring_settled"]:
            raise RuntimeError(f"the ring is not settled: {summary}")

    @property
    def token(self) -> str:
        return (self.folder / "owner-token").read_text().strip()

    def stop(self) -> bool:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_SECONDS) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            return False


def browsers(run: LocalRun) -> int:
    """The browser tests that need no made-up figures."""
    files = [ROOT / "web/tests/e2e.test.mjs", *sorted((ROOT / "web/tests").glob("dashboard*.test.mjs"))]
    env = {**environment(), "VISITS_BASE": run.base, "VISITS_TOKEN": run.token}
    return subprocess.run(["node", "--test", *files], cwd=ROOT, env=env).returncode


def schemathesis(run: LocalRun) -> int:
    """Every route as its description has it, and as it has it not."""
    command = [os.environ["SCHEMATHESIS"], "--config-file", "schemathesis.toml", "run", f"{run.base}/openapi.json"]
    command += ["--url", run.base, "--max-time", str(TRY_SECONDS)]
    env = {**environment(), "VISITS_TOKEN": run.token}
    return subprocess.run(command, cwd=HERE, env=env, timeout=BOUND_SECONDS).returncode


def invocations(run: LocalRun) -> int:
    """`cargo lambda invoke`, as plainly as that, with the local run and with `cargo lambda watch` alone."""
    invoke.each_event_reaches_its_function(run.port)
    invoke.cargo_lambda_watch_alone()
    return 0


PARTS = {"invocations": invocations, "browsers": browsers, "schemathesis": schemathesis}


def main() -> int:
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        sys.exit(f"error: no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="visits-system-") as folder:
        run = LocalRun(Path(folder))
        code = 1
        try:
            run.wait_until_ready()
            run.visit()
            run.settle()
            code = max(PARTS[name](run) for name in names)
        finally:
            stopped = run.stop()
            if code or not stopped:
                print("--- the local run wrote:", run.output.read_text(errors="replace")[-20_000:], sep="\n")
        return code or (0 if stopped else 1)


if __name__ == "__main__":
    sys.exit(main())
