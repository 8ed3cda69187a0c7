"""`make run`: wires the parts. Starts Redis, then the functions; stops the functions, then Redis."""

import sys
import time

from . import emulator, lock, ports, processes, redis, schedule, settings, token
from .console import Relay, die, say
from .emulator import Emulator
from .settings import DATA, Settings
from .stopping import Stopped, StopRequest


def need_ports(config: Settings, ours: set[int]) -> None:
    """Refuses to start when a port is taken, before anything is started."""
    wanted = {"LAMBDA_PORT": config.lambda_port, **{shard.port_variable: shard.port for shard in config.shards}}
    for variable, port in wanted.items():
        if port not in ours and ports.taken(port):
            who = ports.owner(port)
            die(f"port {port} is taken by {who}: stop it, or choose another port: {variable}=NUMBER make run")


def clear_leftovers() -> None:
    """Stops functions of a run that was killed before it could; they flush to their Redis, which lives on."""
    if left := processes.marked():
        say(f"stopping what an earlier run left: {', '.join(map(str, sorted(left)))}")
        processes.stop(emulator.FUNCTIONS_STOP_SECONDS)


def greet(config: Settings, seconds: float) -> None:
    base = f"http://localhost:{config.lambda_port}"
    servers = ", ".join(f"{shard.name} on 127.0.0.1:{shard.port}" for shard in config.shards)
    say(f"""
ready after {seconds:.0f} s; Ctrl-C flushes and stops

  count a visit     curl -X POST {base}/visit/home
  read the count    curl {base}/visits/home

  a page that counts itself    {base}/dashboard/demo
  in a page of yours           <script defer src="{base}/counter.js"></script>
  the dashboard                {base}/dashboard
                               {token.shown()}

  Redis             {servers or "as REDIS_ENDPOINTS says; none started here"}
  flush             each minute; at once: make flush
""")


def serve(
    config: Settings, servers: redis.Servers | redis.Compose, functions: Emulator, relay: Relay, stop: StopRequest
) -> None:
    """Runs until we are asked to stop (`Stopped`); returns only when the emulator ends by itself."""
    begin = time.monotonic()
    emulator.build(stop)
    servers.start(stop)
    functions.start(relay, stop)
    functions.wait_for_functions(schedule.event(), relay.show, stop.pause)
    greet(config, time.monotonic() - begin)
    flushes = schedule.Schedule(config.lambda_port)
    while not functions.ended():
        relay.show()
        servers.watch()
        flushes.tick()
        stop.pause(0.1)
    say("cargo lambda watch has ended by itself")


def main() -> None:
    config = settings.read()
    held = lock.take()
    token.make()
    stop = StopRequest()
    servers, functions = redis.servers(config), Emulator(config)
    clear_leftovers()
    need_ports(config, servers.ours())
    relay = Relay(DATA / "run.log")
    ended_well = False
    try:
        serve(config, servers, functions, relay, stop)
    except Stopped:
        say("\nstopping: the functions flush, then Redis saves")
        ended_well = True
    finally:
        ended_well = functions.stop() and ended_well
        relay.show()
        ended_well = servers.stop() and ended_well
    say("stopped")
    held.close()
    sys.exit(0 if ended_well else 1)


main()
