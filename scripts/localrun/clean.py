"""`make clean-data`: deletes what the local run has counted."""

from . import lock, processes, redis, settings
from .console import die, say


def main() -> None:
    held = lock.take()
    servers = redis.servers(settings.read())
    if processes.marked() or servers.ours():
        die("an earlier run was killed and left servers running: `make run` and Ctrl-C stops them")
    servers.delete()
    say("the counts of the local run are deleted")
    held.close()


main()
