"""The release binaries under AWS's Runtime Interface Emulator, with AWS's sample events and two real Redis servers.

The release build must be there (`scripts/test` makes it). `make package` runs the same tests on what it has packed:
VISITS_PACKAGES names the folder of FUNCTION/bootstrap, VISITS_RUN_WITH what runs another processor's programs.
"""

import json
import os
import shlex
import tempfile
import time
import unittest
from contextlib import ExitStack
from pathlib import Path

from emulator import Function, Redis
from samples import function_url, http_api, sample

ROOT = Path(__file__).resolve().parents[2]
IDLE_SECONDS = 20
SCHEDULED = json.loads((ROOT / "events/schedule.json").read_text())
STATUS_OF_SUCCESS = {"status": "success", "message": "Visit recorded for page home"}


def command(name: str) -> list[str]:
    packages = os.environ.get("VISITS_PACKAGES")
    binary = Path(packages) / name / "bootstrap" if packages else ROOT / "target/release" / name
    return [*shlex.split(os.environ.get("VISITS_RUN_WITH", "")), str(binary.resolve(strict=True))]


def body(answer: dict) -> dict:
    return json.loads(answer["body"])


class Functions(unittest.TestCase):
    """Each class of tests begins with empty servers and cold functions."""

    @classmethod
    def setUpClass(cls) -> None:
        stack = ExitStack()
        cls.addClassCleanup(stack.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="visits-rie-")))
        redis = [stack.enter_context(Redis(folder, name)) for name in ("redis_7070", "redis_7071")]
        endpoints = ",".join(f"{r.log.stem}=redis://127.0.0.1:{r.port}" for r in redis)
        settings = {"REDIS_ENDPOINTS": endpoints, "VISITS_CACHE_TTL": "0", "VISITS_FLUSH_INTERVAL": "100ms"}

        def start(name: str, **more: str) -> Function:
            return stack.enter_context(Function(command(name), settings | more, folder / f"{name}.log"))

        cls.record, cls.get = start("record-visit"), start("get-visits")
        cls.dashboard = start("dashboard")
        # The schedule's function calls Lambda's Invoke API: here, the emulator that holds record-visit.
        aws = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "us-east-1"}
        invoke = {"AWS_ENDPOINT_URL_LAMBDA": cls.record.endpoint, "VISITS_RECORD_FUNCTION": "function"}
        cls.flush = start("flush-visits", **aws, **invoke)

    def write(self) -> None:
        """Has record-visit write what it holds, as a sweep does: within an interval a second visit waits in memory."""
        report = self.record.invoke({"flush": {}})
        self.assertNotIn("errorMessage", report)

    def assert_count(self, page: str, count: int) -> dict:
        answer = self.get.invoke(http_api("GET", f"/visits/{page}"))
        self.assertEqual((answer["statusCode"], body(answer)["count"]), (200, count), answer)
        return body(answer)


class Requests(Functions):
    def test_a_visit_through_an_http_api_is_counted_and_read_back(self) -> None:
        answer = self.record.invoke(http_api("POST", "/visit/home"))
        self.assertEqual((answer["statusCode"], body(answer)), (200, STATUS_OF_SUCCESS))
        self.assertEqual(answer["headers"]["content-type"], "application/json")
        self.assertFalse(answer["isBase64Encoded"])
        self.write()
        self.assertIn(self.assert_count("home", 1)["served_via"], ("redis_7070", "redis_7071"))

    def test_the_same_page_comes_decoded_through_an_http_api_and_encoded_through_a_function_url(self) -> None:
        for event in (http_api("POST", "/visit/café"), function_url("POST", "/visit/caf%C3%A9")):
            self.assertIn("café", body(self.record.invoke(event))["message"])
        self.write()
        self.assert_count("café", 2)
        # Nothing is decoded twice: behind an HTTP API these are three characters of the page's id.
        self.assert_count("caf%C3%A9", 0)

    def test_a_list_of_visits_is_counted(self) -> None:
        answer = self.record.invoke(http_api("POST", "/visits", json.dumps(["listed", "listed/too"])))
        self.assertEqual((answer["statusCode"], body(answer)["recorded"]), (200, 2), answer)
        self.write()
        self.assert_count("listed/too", 1)

    def test_a_path_that_is_encoded_badly_is_refused_with_a_problem(self) -> None:
        for path in ("/visit/caf%C3", "/visit/%zz"):
            answer = self.record.invoke(function_url("POST", path))
            self.assertEqual(answer["statusCode"], 400, answer)
            self.assertEqual(answer["headers"]["content-type"], "application/problem+json")
            self.assertEqual(body(answer)["type"], "urn:visits:problem:invalid-page-id")

    def test_a_visit_through_a_rest_api_or_a_load_balancer_is_counted_and_answered_in_its_shape(self) -> None:
        for service, name, mark in (
            ("apigateway", "aws-proxy", "multiValueHeaders"),
            ("alb", "request", "statusDescription"),
        ):
            event = json.loads(sample(service, name))
            event.update(httpMethod="POST", path="/visit/th%C3%A9", body=None, isBase64Encoded=False)
            answer = self.record.invoke(event)
            self.assertEqual((answer["statusCode"], mark in answer), (200, True), answer)
            self.assertIn("thé", body(answer)["message"])
        self.write()
        self.assert_count("thé", 2)

    def test_an_event_that_is_not_json_is_an_error_and_the_next_one_is_served(self) -> None:
        answer = json.loads(self.get.invoke_with(b'{"rawPath": "/visits/ho'))
        self.assertIn("EOF while parsing a string", answer.get("errorMessage", ""), answer)
        self.assert_count("unknown", 0)

    def test_an_event_that_is_neither_a_request_nor_an_order_is_an_error_that_says_what_is_accepted(self) -> None:
        answer = self.record.invoke(SCHEDULED)
        self.assertIn(
            '{"flush":{"hold_until":<milliseconds since 1970>}} is accepted', answer.get("errorMessage", ""), answer
        )

    def test_the_dashboard_serves_the_description_of_the_api(self) -> None:
        answer = self.dashboard.invoke(http_api("GET", "/openapi.json"))
        self.assertEqual((answer["statusCode"], body(answer)["openapi"][:3]), (200, "3.1"), answer)

    def test_the_dashboard_without_a_token_has_no_owner(self) -> None:
        answer = self.dashboard.invoke(http_api("GET", "/summary"))
        self.assertEqual(answer["statusCode"], 403, answer)
        self.assertEqual(body(answer)["type"], "urn:visits:problem:owner-token-missing")


class Schedule(Functions):
    def test_the_schedule_has_an_idle_record_visit_write_what_it_holds(self) -> None:
        # The first visit is written behind its response; the second, within the interval, waits in memory.
        for _ in range(2):
            self.record.invoke(http_api("POST", "/visit/swept"))
        report = self.flush.invoke(SCHEDULED)
        end = time.monotonic() + IDLE_SECONDS
        # Not idle before an interval is over: then the next run finds it so.
        while report["writers_answered"] == 0 and time.monotonic() < end:
            report = self.flush.invoke(SCHEDULED)
        self.assertEqual((report["writers_known"], report["writers_answered"]), (1, 1), report)
        self.assertEqual((report["invocations_failed"], report["shards_failed"]), (0, 0), report)
        self.assert_count("swept", 2)

    def test_a_request_to_the_schedule_s_function_is_refused_with_what_it_takes(self) -> None:
        answer = self.flush.invoke(http_api("POST", "/visit/home"))
        self.assertIn("flush-visits takes the event of an EventBridge schedule", answer.get("errorMessage", ""), answer)


if __name__ == "__main__":
    unittest.main()
