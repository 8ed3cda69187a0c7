"""Claims about scripts/costs."""

import re
import subprocess
import sys
import unittest
from dataclasses import replace

from stack import GIVEN, ROOT, TEMPLATE, Stack

sys.path.insert(0, str(ROOT / "scripts"))

import costing  # noqa: E402
from costing import visits_alone  # noqa: E402

MILLION = costing.SIZES["1 million"]
URLS = replace(MILLION, urls=True)


class Costs(unittest.TestCase):
    def test_a_million_visits_by_themselves_are_the_sum_done_by_hand_and_that_of_make_bench(self) -> None:
        by_hand = 1.00 + 0.20 + 1e6 * 0.002 * 0.125 * 0.0000133334
        # Waiting for Redis in a flush comes on top: less than a cent.
        self.assertAlmostEqual(visits_alone(MILLION), by_hand, delta=0.01)
        self.assertAlmostEqual(visits_alone(URLS), by_hand - 1, delta=0.01)
        performance = (ROOT / "docs/PERFORMANCE.md").read_text()
        for site, name in ((MILLION, "HTTP API"), (URLS, "function URL")):
            measured = float(re.search(rf"\| 1 M visits a month, {name}[^|]*\| *([0-9.]+)", performance)[1])
            self.assertAlmostEqual(visits_alone(site), measured, delta=0.01)

    def test_what_is_free_is_taken_off_and_never_more_than_there_is(self) -> None:
        for one in costing.SIZES.values():
            for part, amount in one.bill().items():
                self.assertTrue(0 <= one.bill(free=True)[part] <= amount, part)
        self.assertEqual(0, MILLION.bill(free=True)["schedule"])
        self.assertAlmostEqual(7 * 0.30, MILLION.bill(free=True)["metrics"])

    def test_redis_costs_by_what_is_stored_and_nodes_by_the_hour(self) -> None:
        for redis, pages, expected in [
            ("valkey-serverless", 1, 0.1 * 730 * 0.084),
            ("valkey-serverless", 1_000_000, (1e6 * costing.PAGE + 4 * costing.TOP_LISTS) / 1e9 * 730 * 0.084),
            ("valkey-nodes", 1, 4 * 730 * 0.0128),
            ("valkey-nodes-single", 1, 2 * 730 * 0.0128),
            ("given", 1, 0),
        ]:
            site = replace(MILLION, visits=0, reads=0, pages=pages, redis=redis)
            self.assertAlmostEqual(expected, site.bill()["Redis"], delta=0.02, msg=(redis, pages))

    def test_beyond_300_million_requests_the_gateway_is_cheaper(self) -> None:
        requests = replace(MILLION, visits=4e8, reads=0, scripts=0)
        self.assertAlmostEqual(300 + 100 * 0.90, requests.bill()["HTTP API"])

    def test_an_idle_site_has_a_bill_and_the_smallest_one_costs_half_a_dollar(self) -> None:
        printed = subprocess.run(
            [ROOT / "scripts/costs", "--visits", "0"], check=True, capture_output=True, text=True
        ).stdout
        self.assertIn(f"| **in all** | **{costing.dollars(costing.SIZES['no visit'].total())}** |", printed)
        self.assertTrue(6 < costing.SIZES["no visit"].total(free=True) < costing.SIZES["no visit"].total() < 16)
        smallest = replace(costing.SIZES["10 thousand"], **costing.SMALLEST)
        self.assertAlmostEqual(0.5, smallest.total(free=True), delta=0.1)

    def test_alarms_defaults_and_throttles_are_the_templates(self) -> None:
        for redis, parameters in [
            ("valkey-serverless", {}),
            ("valkey-nodes", {"Redis": "valkey-nodes"}),
            ("given", GIVEN),
        ]:
            for metrics in ("on", "off"):
                alarms = Stack(**parameters, Metrics=metrics).of_type("AWS::CloudWatch::Alarm").values()
                watched = sum(sum("MetricStat" in metric for metric in one.get("Metrics", [])) or 1 for one in alarms)
                site = replace(MILLION, redis=redis, metrics=metrics == "on")
                self.assertEqual(watched, site.alarms, (redis, metrics))
        default = {name: one["Default"] for name, one in TEMPLATE["Parameters"].items()}
        chosen = {"Redis": "valkey-serverless", "Metrics": "on", "OwnerToken": "create", "FunctionUrls": "off"}
        self.assertLessEqual({**chosen, "Encryption": "aws-keys"}.items(), default.items())
        found = (MILLION.redis, MILLION.metrics, MILLION.owner, MILLION.urls, MILLION.own_key)
        self.assertEqual(("valkey-serverless", True, True, False, False), found)
        (stage,) = Stack().of_type("AWS::ApiGatewayV2::Stage").values()
        for path, (limit, _) in costing.THROTTLED.items():
            settings = stage["RouteSettings"].get(f"ANY {path}", stage["DefaultRouteSettings"])
            self.assertEqual(limit, int(settings["ThrottlingRateLimit"]), path)
