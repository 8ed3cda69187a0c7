"""AWS's own Runtime Interface Emulator, as the wheel of aws-sam-cli brings it, round one of our binaries: it speaks the
Runtime API to the function and the Invoke API to us."""

import contextlib
import importlib.util
import json
import os
import platform
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 30
INVOKE_SECONDS = 60
STOP_SECONDS = 10
# What would change how a function behaves, or where it looks for AWS.
FOREIGN = ("VISITS_", "REDIS_", "AWS_", "_LAMBDA", "RUST_LOG")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def rie_program() -> Path:
    """Of this machine's processor, inside the package samcli."""
    found = importlib.util.find_spec("samcli")
    if found is None or found.origin is None:
        raise RuntimeError("samcli is not installed: run this with .tools/check/bin/python")
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    return Path(found.origin).parent / "local/rapid" / f"aws-lambda-rie-{machine}"


class Process:
    """A server on loopback, which ends with the `with` that started it."""

    def __init__(self, command: list[str], env: dict[str, str], port: int, log: Path) -> None:
        self.port, self.log = port, log
        with log.open("w") as output:
            # A group of its own: the emulator's function must not outlive it.
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def __enter__(self) -> "Process":
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_it_listens(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"{self.process.args} does not listen on {self.port}:\n{self.written()}")

    def written(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Redis(Process):
    """A real server, without a disk."""

    def __init__(self, folder: Path, name: str) -> None:
        (port,) = free_ports(1)
        command = [os.environ.get("REDIS_SERVER", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--dir", str(folder)]
        super().__init__(command, dict(os.environ), port, folder / f"{name}.log")


class Function(Process):
    """The emulator, and in it one function, which starts with the first invocation."""

    def __init__(self, command: list[str], settings: dict[str, str], log: Path) -> None:
        port, runtime = free_ports(2)
        env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | settings
        addresses = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        addresses += ["--runtime-api-address", f"127.0.0.1:{runtime}"]
        super().__init__([str(rie_program()), *addresses, *command], env, port, log)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def invoke_with(self, payload: bytes) -> str:
        """What an invocation with these bytes answers, as text."""
        url = f"{self.endpoint}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(url, payload, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=INVOKE_SECONDS) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError) as error:
            raise RuntimeError(f"{error}; the emulator wrote:\n{self.written()}") from error

    def invoke(self, event: object) -> dict:
        return json.loads(self.invoke_with(json.dumps(event).encode()))
