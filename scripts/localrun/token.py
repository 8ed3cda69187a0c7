"""The owner's token of the local run: made once, and kept with the counts."""

import os
import secrets

from .settings import DATA

FILE = DATA / "owner-token"


def make() -> None:
    """Makes the token if there is none yet, readable for us only."""
    try:
        descriptor = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secrets.token_hex(16)}\n")


def shown() -> str:
    """What the person at the terminal is told of it: it is their own, unless they have said where theirs is."""
    place = os.environ.get("VISITS_OWNER_TOKEN")
    if place is not None:
        return f"with the token where VISITS_OWNER_TOKEN says: {place.strip() or 'off'}"
    return f"with the token {FILE.read_text().strip()}"
