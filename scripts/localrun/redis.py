"""The two Redis servers: programs of this machine with their data under .data, or Docker Compose's."""

import os
import shutil
import socket
import subprocess

from . import processes
from .processes import StopRequest, wait_for
from .settings import DATA, PORTS, REDIS_SERVER, ROOT, SHARDS, die, say

# A long append-only file takes its time to load, and a slow disk to take what it has not yet.
SECONDS = 30
OPTIONS = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
OPTIONS += ["--maxmemory-policy", "noeviction"]
COMPOSE = bool(SHARDS) and not REDIS_SERVER

running: dict[str, subprocess.Popen] = {}


def compose(*words: str) -> bool:
    """Runs Docker Compose with our ports; true when that went well."""
    env = {**os.environ, **{variable: str(port) for variable, port in PORTS.items()}}
    command = ["docker", "compose", *words]
    return subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, start_new_session=True).returncode == 0


def start(stop: StopRequest) -> None:
    if COMPOSE:
        say("starting Redis with Docker Compose")
        if not compose("up", "--detach", "--wait"):
            die("Docker Compose could not start the Redis servers: see above")
        return
    for name, port in SHARDS.items():
        (DATA / name).mkdir(parents=True, exist_ok=True)
        with (DATA / name / "redis.log").open("wb") as log:
            command = [REDIS_SERVER, "--port", str(port), *OPTIONS]
            running[name] = processes.start(command, log, {}, cwd=DATA / name)
    for name in SHARDS:
        if not wait_for(lambda name=name: ready(name), SECONDS, stop.pause):
            die(f"{name} is not ready after {SECONDS} s: see {DATA / name / 'redis.log'}")


def ask(name: str, command: str) -> str:
    """Returns a server's answer as it comes over the wire, empty without one."""
    try:
        with socket.create_connection(("127.0.0.1", SHARDS[name]), timeout=2) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(4096).decode(errors="replace")
    except OSError:
        return ""


def is_ours(name: str) -> bool:
    """Tells whether one of our servers runs: by its folder, for one that an earlier run could not stop."""
    if name in running:
        return running[name].poll() is None
    return str(DATA / name) in ask(name, "CONFIG GET dir").split("\r\n")


def ready(name: str) -> bool:
    """Tells whether a server has loaded its data; ends the run when the server has ended."""
    log = DATA / name / "redis.log"
    if running[name].poll() is not None:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        die(f"{name} did not start: {''.join(last)} (all of it: {log})")
    return ask(name, "PING").startswith("+PONG")


def watch() -> None:
    """Says once that a server has ended. The functions go on without it: that is worth trying out."""
    for name, process in list(running.items()):
        if process.poll() is not None:
            say(f"{name} has ended (exit code {process.returncode}); the rest goes on")
            del running[name]


def stop() -> bool:
    """Stops the servers, those of an earlier run too, after they have written everything; true when they are gone."""
    if COMPOSE:
        return compose("stop")
    for name in SHARDS:
        if name in running:
            running[name].terminate()
        elif is_ours(name):
            ask(name, "SHUTDOWN")
    return wait_for(lambda: not any(map(is_ours, SHARDS)), SECONDS)


def delete() -> None:
    """Deletes what the servers hold; only while they are stopped."""
    if COMPOSE and not compose("down", "--volumes"):
        die("Docker Compose could not delete the volumes: see above")
    for name in SHARDS:
        shutil.rmtree(DATA / name, ignore_errors=True)
