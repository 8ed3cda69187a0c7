"""Settings of the local run, from the environment: folder, ports and programs. And how it speaks to the terminal."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Tests set LOCALRUN_DATA, so that a developer's own run is left alone.
DATA = Path(os.environ.get("LOCALRUN_DATA") or ROOT / ".data")
TOKEN_FILE = DATA / "owner-token"


def say(text: str, end: str = "\n") -> None:
    """Prints. A terminal that is gone must not keep us from stopping in order."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def die(text: str) -> None:
    sys.exit(f"error: {text}")


def port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        die(f"{variable}={text} is not a port: use a number from 1 to 65535")
    return int(text)


DEFAULTS = {"LAMBDA_PORT": 9000, "REDIS_PORT_1": 7070, "REDIS_PORT_2": 7071}
PORTS = {variable: port(variable, default) for variable, default in DEFAULTS.items()}
if len(set(PORTS.values())) < len(PORTS):
    die("the ports must differ: " + ", ".join(f"{name}={value}" for name, value in PORTS.items()))
LAMBDA_PORT = PORTS["LAMBDA_PORT"]
# Our servers. A name stays when its port changes: it decides which pages a server owns.
SHARDS = {"redis_7070": PORTS["REDIS_PORT_1"], "redis_7071": PORTS["REDIS_PORT_2"]}
ENDPOINTS = ",".join(f"{name}=redis://127.0.0.1:{port}" for name, port in SHARDS.items())
if os.environ.get("REDIS_ENDPOINTS"):
    # Those servers serve, and none is started.
    PORTS, SHARDS, ENDPOINTS = {"LAMBDA_PORT": LAMBDA_PORT}, {}, os.environ["REDIS_ENDPOINTS"]
# Empty where Docker Compose serves.
REDIS_SERVER = os.environ.get("REDIS_SERVER", "")
CARGO_LAMBDA = os.environ.get("CARGO_LAMBDA", "cargo-lambda")
RELOAD = os.environ.get("RELOAD", "") not in ("", "0")
