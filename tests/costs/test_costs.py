"""Claims about scripts/costs. Runs with the Python of .tools/check, which reads the template."""

import sys
import unittest
from dataclasses import replace
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from costing import prices, report, site  # noqa: E402
from costing.bill import bill, total, visits_alone  # noqa: E402

MILLION = site.SIZES[1][1]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())


def watched(conditions: set[str]) -> int:
    """Metrics that the template's alarms look at where these conditions hold."""
    alarms = [one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    made = [one["Properties"] for one in alarms if one.get("Condition") is None or one["Condition"] in conditions]
    return sum(sum("MetricStat" in metric for metric in one.get("Metrics", [])) or 1 for one in made)


class Costs(unittest.TestCase):
    def test_a_million_visits_by_themselves_are_the_sum_done_by_hand(self):
        by_hand = 1.00 + 0.20 + 1e6 * 0.002 * 0.125 * 0.0000133334
        # What is waited for Redis in a flush comes on top: less than a cent.
        self.assertAlmostEqual(visits_alone(MILLION), by_hand, delta=0.01)
        self.assertAlmostEqual(visits_alone(replace(MILLION, api="function-urls")), by_hand - 1, delta=0.01)

    def test_the_same_million_costs_what_make_bench_says(self):
        performance = (ROOT / "docs/PERFORMANCE.md").read_text()
        for api, name in [("http-api", "HTTP API"), ("function-urls", "function URL")]:
            line = next(line for line in performance.splitlines() if line.startswith(f"| 1 M visits a month, {name}"))
            measured = float(line.split("|")[2].split()[0])
            self.assertAlmostEqual(visits_alone(replace(MILLION, api=api)), measured, delta=0.01)

    def test_what_is_free_is_taken_off_and_never_more_than_there_is(self):
        for _, one in site.SIZES:
            without, less = bill(one), bill(one, free=True)
            for part, amount in without.items():
                self.assertGreaterEqual(amount, less[part], part)
                self.assertGreaterEqual(less[part], 0, part)
        self.assertEqual(bill(MILLION, free=True)["schedule"], 0)
        self.assertAlmostEqual(bill(MILLION, free=True)["metrics"], 7 * 0.30)

    def test_a_serverless_cache_has_a_least_price_and_grows_with_what_is_stored(self):
        small = bill(replace(MILLION, visits=0, reads=0, pages=1))["Redis"]
        self.assertAlmostEqual(small, 0.1 * 730 * 0.084, delta=0.02)
        large = bill(replace(MILLION, visits=0, reads=0, pages=1_000_000))["Redis"]
        self.assertGreater(large, 70 * small)

    def test_nodes_cost_by_the_hour_and_replicas_twice(self):
        nodes = replace(MILLION, redis="valkey-nodes")
        self.assertAlmostEqual(bill(nodes)["Redis"], 4 * 730 * prices.NODE.dollars)
        self.assertAlmostEqual(bill(replace(nodes, multi_zone=False))["Redis"], 2 * 730 * prices.NODE.dollars)

    def test_beyond_300_million_requests_the_gateway_is_cheaper(self):
        requests = replace(MILLION, visits=4e8, reads=0, scripts=0)
        self.assertAlmostEqual(bill(requests)["HTTP API"], 300 + 100 * 0.90)

    def test_the_sum_is_that_of_the_parts(self):
        self.assertAlmostEqual(total(MILLION), sum(bill(MILLION).values()))
        self.assertIn(report.dollars(total(MILLION)), report.parts(site.SIZES))

    def test_alarms_are_as_many_as_the_template_has(self):
        for redis, condition in [("valkey-serverless", "Serverless"), ("valkey-nodes", "Nodes"), ("given", "Given")]:
            for metrics in (True, False):
                conditions = {condition, *(["OwnMetrics"] if metrics else [])}
                if redis == "given" and metrics:
                    conditions.add("GivenWithMetrics")
                deployed = replace(MILLION, redis=redis, metrics=metrics)
                self.assertEqual(deployed.alarms, watched(conditions), (redis, metrics))

    def test_the_defaults_are_the_templates(self):
        default = {name: one.get("Default") for name, one in TEMPLATE["Parameters"].items()}
        chosen = (MILLION.api, MILLION.redis, MILLION.multi_zone, MILLION.shards, MILLION.metrics, MILLION.own_key)
        expected = (
            default["ApiType"],
            default["Redis"],
            default["MultiZone"] == "on",
            int(default["LogicalShards"]),
            default["Metrics"] == "on",
            default["Encryption"] == "own-key",
        )
        self.assertEqual(chosen, expected)
        self.assertEqual(TEMPLATE["Globals"]["Function"]["MemorySize"], site.MEMORY * 1024)


if __name__ == "__main__":
    unittest.main()
