"""The benchmark's report: numbers, goals, tables, and the way from a file of figures to the files in docs/."""

import json
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import report  # noqa: E402

MACHINE = [["cpu", "EPYC"], ["cores", "2"]]


def row(**changed: object) -> dict:
    whole = {"what": "POST", "unit": "us", "ours": 1200.0, "other": 600.0, "ratio": 2.0, "goal": None}
    return {**whole, **changed}


def group(id: str = "floor", rows: list | None = None, failed: str | None = None) -> dict:
    rows = [row(), row(what="GET", goal={"at_most": 3.0}), row(what="start")] if rows is None else rows
    return {"id": id, "compared_with": "bare handler", "rows": rows, "failed": failed}


def place(name: str, text: str = "") -> str:
    return f"<!-- figures: {name} -->\n{text}<!-- end -->\n"


class Cells(unittest.TestCase):
    def test_a_number_has_three_significant_digits(self) -> None:
        cases = [(12345.6, "12,300"), (1.5, "1.50"), (0.012345, "0.0123"), (99.96, "100"), (234.5, "234"), (3, "3")]
        for value, wanted in [*cases, (0, "0"), (-1.5, "-1.50")]:
            self.assertEqual(wanted, report.number(value), value)

    def test_a_quantity_is_shown_in_the_unit_that_keeps_it_short(self) -> None:
        times = [(1200, "us", "1.20 ms"), (0.45, "ms", "450 µs"), (999.9, "us", "1.00 ms"), (35_000, "ms", "35 s")]
        sizes = [
            (512, "bytes", "512 bytes"),
            (52_428_800, "bytes", "52.4 MB"),
            (0, "us", "0 µs"),
            (0.5, "ns", "0.500 ns"),
        ]
        for value, unit, wanted in [
            *times,
            *sizes,
            (12345, "1/s", "12,300/s"),
            (2.5, "calls", "2.50 calls"),
            (7, "", "7"),
        ]:
            self.assertEqual(wanted, report.quantity(value, unit), (value, unit))

    def test_a_goal_is_reached_or_missed_by_how_much(self) -> None:
        alone = {"other": None, "ratio": None}
        for changed, wanted in [
            ({"goal": {"at_most": 2.0}}, "yes"),
            ({"goal": {"at_least": 2.0}}, "yes"),
            ({"ratio": 1.12, "goal": {"at_most": 1.0}}, "no, by 12.0 %"),
            ({"ratio": 7.5, "goal": {"at_least": 10.0}}, "no, by 25.0 %"),
            ({"unit": "calls", "ours": 3.0, "goal": {"at_most": 0.0}, **alone}, "no, by 3 calls"),
            ({"ours": 5000.0, "goal": {"at_most": 4000.0}, **alone}, "no, by 25.0 %"),
        ]:
            self.assertEqual(wanted, report.cells(row(**changed))[5], changed)

    def test_a_table_has_no_column_that_no_row_fills(self) -> None:
        lines = report.table(group(rows=[row(goal={"at_most": 1.2})])).splitlines()
        self.assertEqual("| what | ours | bare handler | ratio | must reach | reached |", lines[0])
        self.assertEqual("| POST | 1.20 ms | 600 µs | 2 × | at most 1.2 × | no, by 66.7 % |", lines[2])
        lines = report.table(group(rows=[row(other=None, ratio=None)])).splitlines()
        self.assertEqual(["| what | ours |", "| --- | ---: |", "| POST | 1.20 ms |"], lines)


class Run(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.docs = Path(folder.name)
        self.page = self.docs / "PERFORMANCE.md"
        self.page.write_text(
            "# Before\n\n" + place("floor", "old\n") + "\nbetween\n" + place("cache") + place("machine")
        )

    def write(self, *groups: dict, partial: bool = False, machine: list = MACHINE) -> list[str]:
        return report.write({"machine": machine, "groups": list(groups)}, self.docs, partial)

    def test_a_run_writes_tables_between_the_markers_plots_and_figures_and_twice_the_same(self) -> None:
        self.assertEqual([], self.write(group(), group("cache", [row()])))
        text = self.page.read_text()
        self.assertTrue(text.startswith("# Before\n\n<!-- figures: floor -->\n\n| what |"))
        self.assertIn("<!-- end -->\n\nbetween\n", text)
        self.assertIn("| cores | 2 |", text)
        self.assertNotIn("old", text)
        self.assertIn("](performance/floor.svg)", text)
        files = {file.name: file.read_bytes() for file in (self.docs / "performance").iterdir()}
        # One ratio needs no plot.
        self.assertEqual({"figures.json", "floor.svg"}, files.keys())
        for shown in [">GET: 2 ×<".encode(), b">must reach<"]:
            self.assertIn(shown, files["floor.svg"])
        self.write(group(), group("cache", [row()]))
        again = {file.name: file.read_bytes() for file in (self.docs / "performance").iterdir()}
        self.assertEqual((text, files), (self.page.read_text(), again))

    def test_a_partial_run_keeps_the_figures_of_the_other_groups(self) -> None:
        self.write(group(), group("cache", [row(what="kept")]))
        self.assertEqual([], self.write(group(rows=[row(what="new")]), partial=True))
        kept = json.loads((self.docs / "performance/figures.json").read_text())["groups"]
        self.assertEqual([("floor", "new"), ("cache", "kept")], [(one["id"], one["rows"][0]["what"]) for one in kept])
        self.assertIn("| kept |", self.page.read_text())
        with self.assertRaisesRegex(SystemExit, "another machine"):
            self.write(group(), partial=True, machine=[["cpu", "Graviton"]])

    def test_a_group_that_failed_says_so_and_costs_no_other(self) -> None:
        for broken, reason in [
            (group(rows=[], failed="no answer\nfrom Redis"), "no answer from Redis"),
            (group(rows=[row(ours=None)]), "POST has no figure"),
        ]:
            self.assertEqual(["floor"], self.write(broken, group("cache")), reason)
            text = self.page.read_text()
            self.assertIn(f"figures: floor -->\n\nNot measured, since it failed: {reason}\n", text)
            self.assertIn("](performance/cache.svg)", text)

    def test_a_group_without_a_place_and_a_place_without_a_group_are_told(self) -> None:
        self.assertEqual(["cache", "other"], self.write(group(), group("other")))


if __name__ == "__main__":
    unittest.main()
