"""`make flush`: one flush at once; prints the summary."""

import http.client

from . import ports, settings
from .console import die, say
from .emulator import invoke


def main() -> None:
    port = settings.port("LAMBDA_PORT", 9000)
    if not ports.answers(port):
        die(f"nothing answers on port {port}: start it with `make run` (on another port, set LAMBDA_PORT here too)")
    try:
        # Empty: all writers, not only those that have been idle for an interval.
        status, answer = invoke(port, "flush-visits", {})
    except (OSError, http.client.HTTPException) as error:
        die(f"no answer from flush-visits on port {port}: {error}")
    if status != 200:
        die(f"flush-visits answered {status}: {answer.strip()}")
    say(answer.strip())


main()
