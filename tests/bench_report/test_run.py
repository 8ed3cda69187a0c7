"""The whole way, from a file of figures to the files in docs/."""

import json
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from example import bars, figures, group, lines, place
from report.__main__ import write
from report.errors import ReportError

CACHE = group(id="cache", plots=[lines()])


class Run(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source, self.docs = Path(folder.name, "figures.json"), Path(folder.name, "docs")
        self.docs.mkdir()
        (self.docs / "PERFORMANCE.md").write_text(place("machine") + place("floor") + place("cache"))

    def write(self, run: dict, partial: bool = False) -> list[str]:
        self.source.write_text(json.dumps(run))
        with redirect_stdout(StringIO()):
            return write(self.source, self.docs, partial)

    def kept(self) -> dict:
        return json.loads((self.docs / "performance/figures.json").read_text())

    def test_a_run_writes_the_document_the_plots_and_the_figures(self) -> None:
        run = figures(group(), CACHE)
        self.write(run)
        names = {file.name for file in (self.docs / "performance").iterdir()}
        self.assertEqual({"figures.json", "rate.svg", "latency.svg"}, names)
        self.assertEqual(run, self.kept())
        self.assertIn("](performance/rate.svg)", (self.docs / "PERFORMANCE.md").read_text())

    def test_a_partial_run_keeps_the_figures_of_the_other_groups(self) -> None:
        self.write(figures(group(), CACHE))
        self.write(figures(group(notes=["New."])), partial=True)
        self.assertEqual(["floor", "cache"], [group["id"] for group in self.kept()["groups"]])
        self.assertEqual(["New."], self.kept()["groups"][0]["notes"])
        self.assertIn("](performance/latency.svg)", (self.docs / "PERFORMANCE.md").read_text())

    def test_groups_from_two_machines_are_not_mixed(self) -> None:
        self.write(figures(group(), CACHE))
        with self.assertRaisesRegex(ReportError, "another machine"):
            self.write(figures(group(), cpu="Graviton"), partial=True)

    def test_nothing_is_written_when_something_does_not_fit(self) -> None:
        with self.assertRaises(ReportError):
            self.write(figures(group()))
        self.assertEqual(["PERFORMANCE.md"], [file.name for file in self.docs.iterdir()])

    def test_a_group_that_failed_says_so_and_costs_no_other(self) -> None:
        nothing = {"rows": [], "plots": [], "notes": [], "failed": "no answer\nfrom Redis"}
        no_number = group()
        no_number["rows"][0] = {**no_number["rows"][0], "ours": None}
        for broken, reason in [({**group(), **nothing}, "no answer from Redis"), (no_number, "'POST' has no figure")]:
            with self.subTest(reason):
                self.assertEqual(["floor"], self.write(figures(broken, CACHE)))
                text = (self.docs / "PERFORMANCE.md").read_text()
                self.assertIn(f"figures: floor -->\n\nNot measured, since it failed: {reason}\n", text)
                self.assertIn("](performance/latency.svg)", text)

    def test_a_plot_that_cannot_be_drawn_fails_its_group(self) -> None:
        zero = [{"name": "ours", "points": [[1.0, 0.0]]}]
        third = [{"name": "ours", "points": [[2.0, 1.0]]}]
        for plot, reason in [
            (lines(series=[]), "no points"),
            (lines(series=zero), "not on a logarithmic y axis"),
            (bars(series=third), "a bar has no name"),
            (bars(id="../rate"), "no name for a plot's file"),
        ]:
            with self.subTest(reason):
                self.assertEqual(["floor"], self.write(figures(group(plots=[plot]), CACHE)))
                self.assertIn(reason, self.kept()["groups"][0]["failed"])

    def test_two_plots_of_one_name_are_an_error(self) -> None:
        with self.assertRaisesRegex(ReportError, "two plots"):
            self.write(figures(group(plots=[lines(id="latency")]), CACHE))


if __name__ == "__main__":
    unittest.main()
