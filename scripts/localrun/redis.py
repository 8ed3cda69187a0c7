"""The two Redis servers: programs of this machine with their data under .data, or Docker Compose's."""

import os
import shutil
import socket
import subprocess

from .console import die, say
from .processes import start
from .settings import ROOT, Settings, Shard
from .stopping import StopRequest, wait_for

START_SECONDS = 30  # a long append-only file takes its time to load
STOP_SECONDS = 30  # and so does writing what a slow disk has not taken yet


def ask(port: int, *words: str) -> str:
    """One Redis command, its answer as it came over the wire; empty when nobody answers."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request.encode())
            return connection.recv(4096).decode(errors="replace")
    except OSError:
        return ""


class Server:
    """One server of ours, in a session of its own."""

    def __init__(self, shard: Shard, program: str) -> None:
        self.shard, self.program, self.process, self.ended = shard, program, None, False

    def is_ours(self) -> bool:
        """True when the server on our port works in our folder: one that an earlier run could not stop."""
        return str(self.shard.data) in ask(self.shard.port, "CONFIG", "GET", "dir").split("\r\n")

    def start(self) -> None:
        if self.is_ours():
            say(f"{self.shard.name} still runs on port {self.shard.port} from an earlier run: using it")
            return
        self.shard.data.mkdir(parents=True, exist_ok=True)
        options = {
            "--port": str(self.shard.port),
            "--bind": "127.0.0.1",
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
        }
        command = [self.program, *(word for option in options.items() for word in option)]
        with self.log.open("wb") as log:
            self.process = start(command, log, dict(os.environ), cwd=self.shard.data)

    @property
    def log(self):
        return self.shard.data / "redis.log"

    def ready(self) -> bool:
        if self.process and self.process.poll() is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            die(f"{self.shard.name} did not start: {''.join(last)} (all of it: {self.log})")
        return ask(self.shard.port, "PING").startswith("+PONG")

    def report_end(self) -> None:
        """Says once that a server ended. The functions go on without it: that is worth trying out."""
        if self.process and not self.ended and self.process.poll() is not None:
            self.ended = True
            say(f"{self.shard.name} has ended (exit code {self.process.returncode}); the rest goes on")

    def stop(self) -> bool:
        """Stops the server after it has written everything; true when it is gone."""
        if self.process:
            # The same as the command SHUTDOWN, and it also reaches a server that takes no connection.
            self.process.terminate()
            return wait_for(lambda: self.process.poll() is not None, STOP_SECONDS)
        if self.is_ours():
            ask(self.shard.port, "SHUTDOWN")
        return wait_for(lambda: not self.is_ours(), STOP_SECONDS)


class Servers:
    def __init__(self, settings: Settings) -> None:
        self.servers = [Server(shard, settings.redis_server) for shard in settings.shards]
        self.started: list[Server] = []

    def ours(self) -> set[int]:
        """The ports that need not be free."""
        return {server.shard.port for server in self.servers if server.is_ours()}

    def start(self, stop: StopRequest) -> None:
        for server in self.servers:
            self.started.append(server)
            server.start()
        for server in self.servers:
            if not stop.until(server.ready, START_SECONDS):
                die(f"{server.shard.name} is not ready after {START_SECONDS} s: see {server.log}")

    def watch(self) -> None:
        for server in self.servers:
            server.report_end()

    def stop(self) -> bool:
        return all([server.stop() for server in self.started])

    def delete(self) -> None:
        """Deletes what they hold; only while they are stopped."""
        for server in self.servers:
            shutil.rmtree(server.shard.data, ignore_errors=True)


class Compose:
    """The same by docker-compose.yml, where this machine has no server program."""

    def __init__(self, settings: Settings) -> None:
        ports = {shard.port_variable: str(shard.port) for shard in settings.shards}
        self.ports, self.env, self.started = {shard.port for shard in settings.shards}, {**os.environ, **ports}, False

    def compose(self, *words: str) -> subprocess.CompletedProcess:
        command = ["docker", "compose", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, stdout=subprocess.PIPE, start_new_session=True)

    def ours(self) -> set[int]:
        running = self.compose("ps", "--quiet", "--status", "running").stdout.strip()
        return self.ports if running else set()

    def start(self, stop: StopRequest) -> None:
        self.started = True
        say("starting Redis with Docker Compose")
        if self.compose("up", "--detach", "--wait").returncode != 0:
            die("Docker Compose could not start the Redis servers: see above")
        stop.pause(0)

    def watch(self) -> None:
        """Docker keeps an eye on its containers itself."""

    def stop(self) -> bool:
        return not self.started or self.compose("stop").returncode == 0

    def delete(self) -> None:
        if self.compose("down", "--volumes").returncode != 0:
            die("Docker Compose could not delete the volumes: see above")


def servers(settings: Settings) -> Servers | Compose:
    return Servers(settings) if settings.redis_server or not settings.shards else Compose(settings)
