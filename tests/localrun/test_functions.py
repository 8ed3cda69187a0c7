"""The local run says that it is ready only once every function has answered."""

import json
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from localrun import functions  # noqa: E402


class FakeEmulator(ThreadingHTTPServer):
    """Answers for each function only when its gate is open, as the emulator does once Cargo has started it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.gates = {name: threading.Event() for name in functions.FUNCTIONS}
        self.events: dict[str, dict] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        function = self.path.split("/")[3]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.events[function] = json.loads(body)
        self.server.gates[function].wait(30)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Ready(unittest.TestCase):
    def test_the_run_is_ready_only_when_each_function_has_answered(self) -> None:
        server = FakeEmulator()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        opened: list[str] = []

        def pause(seconds: float) -> None:
            """Opens one more gate with each turn of the waiting."""
            function = functions.FUNCTIONS[min(len(opened), len(functions.FUNCTIONS) - 1)]
            if function not in opened:
                opened.append(function)
                server.gates[function].set()
            threading.Event().wait(seconds)

        emulator = functions.Emulator.__new__(functions.Emulator)
        emulator.process, emulator.show, emulator.answered = SimpleNamespace(poll=lambda: None), lambda: None, []
        with mock.patch.object(functions, "LAMBDA_PORT", server.server_address[1]):
            emulator.wait_for_functions(pause)
        self.assertEqual(list(functions.FUNCTIONS), opened)
        self.assertEqual(set(functions.FUNCTIONS), set(server.events))
        self.assertEqual("Scheduled Event", server.events["flush-visits"]["detail-type"])
        self.assertEqual("OPTIONS", server.events["record-visit"]["requestContext"]["http"]["method"])


if __name__ == "__main__":
    unittest.main()
