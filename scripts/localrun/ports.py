"""Is a port free, and if not, who has it?"""

import os
import socket
from pathlib import Path


def taken(port: int) -> bool:
    """True when a server has the port, on either meaning of `localhost`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return answers(port, "::1")


def answers(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def owner(port: int) -> str:
    """Names the process that listens on a port, as far as this system lets us see."""
    sockets = {f"socket:[{inode}]" for inode in listening_inodes(port)}
    for entry in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(link) in sockets for link in entry.iterdir()):
                return f"{(entry.parent / 'comm').read_text().strip()} (process {entry.parent.name})"
        except OSError:
            continue
    return "another program"


def listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            address, state, inode = fields[1], fields[3], fields[9]
            if state == "0A" and int(address.rsplit(":", 1)[1], 16) == port:
                inodes.append(inode)
    return inodes
