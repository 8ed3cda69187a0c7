"""What the environment says about the local run, and where it keeps its things."""

import os
from dataclasses import dataclass
from pathlib import Path

from .console import die

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".data"


@dataclass(frozen=True)
class Shard:
    """A Redis server of ours. Its name stays when its port changes: the name decides which pages it owns."""

    name: str
    port: int
    port_variable: str

    @property
    def data(self) -> Path:
        return DATA / self.name

    @property
    def endpoint(self) -> str:
        return f"{self.name}=redis://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Settings:
    lambda_port: int
    shards: tuple[Shard, ...]
    endpoints: str
    redis_server: str
    cargo_lambda: str
    reload: bool


def port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        die(f"{variable}={text} is not a port: use a number from 1 to 65535")
    return int(text)


def read() -> Settings:
    """Reads the settings. Where REDIS_ENDPOINTS is given, those servers serve and none is started."""
    ports = {"LAMBDA_PORT": 9000, "REDIS_PORT_1": 7070, "REDIS_PORT_2": 7071}
    ports = {variable: port(variable, default) for variable, default in ports.items()}
    if len(set(ports.values())) < len(ports):
        die("the ports must differ: " + ", ".join(f"{name}={value}" for name, value in ports.items()))
    given = os.environ.get("REDIS_ENDPOINTS", "")
    shards = (
        Shard("redis_7070", ports["REDIS_PORT_1"], "REDIS_PORT_1"),
        Shard("redis_7071", ports["REDIS_PORT_2"], "REDIS_PORT_2"),
    )
    return Settings(
        lambda_port=ports["LAMBDA_PORT"],
        shards=() if given else shards,
        endpoints=given or ",".join(shard.endpoint for shard in shards),
        redis_server=os.environ.get("REDIS_SERVER", ""),
        cargo_lambda=os.environ.get("CARGO_LAMBDA", ""),
        reload=os.environ.get("RELOAD", "") not in ("", "0"),
    )
