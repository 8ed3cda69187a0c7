"""What is put where in the document, and what does not fit."""

import unittest

from example import bars, figures, group, lines, place
from report.document import written
from report.errors import ReportError


def write(document: str, *groups: dict, partial: bool = False) -> str:
    return written(document, figures(*groups), partial)


class Places(unittest.TestCase):
    def test_only_what_stands_between_the_markers_is_replaced(self) -> None:
        text = write("# Before\n\n" + place("floor", "old\n") + "\nafter\n", group())
        self.assertTrue(text.startswith("# Before\n\n<!-- figures: floor -->\n\n| what |"))
        self.assertTrue(text.endswith("\n\n<!-- end -->\n\nafter\n"))
        self.assertNotIn("old", text)

    def test_a_second_run_changes_nothing(self) -> None:
        once = write(place("floor") + place("machine"), group())
        self.assertEqual(once, write(once, group()))

    def test_an_unknown_marker_is_an_error(self) -> None:
        with self.assertRaisesRegex(ReportError, "a place for other, but no such group was run"):
            write(place("floor") + place("other"), group())

    def test_a_group_without_a_marker_is_an_error(self) -> None:
        with self.assertRaisesRegex(ReportError, "add '<!-- figures: cache -->'"):
            write(place("floor"), group(), group(id="cache"))

    def test_a_marker_without_an_end_is_an_error(self) -> None:
        for document in ["<!-- figures: floor -->\n", f"<!-- figures: floor -->\n{place('cache')}"]:
            with self.assertRaisesRegex(ReportError, "not complete"):
                write(document, group(), group(id="cache"))

    def test_a_partial_run_leaves_the_other_places_as_they_are(self) -> None:
        text = write(place("floor") + place("other", "kept\n"), group(), partial=True)
        self.assertIn(place("other", "kept\n"), text)


class Parts(unittest.TestCase):
    def test_notes_are_sentences_of_one_paragraph(self) -> None:
        self.assertIn("\n\nOne processor each. Medians of five runs.\n\n", write(place("floor"), group()))

    def test_the_image_of_a_bar_chart_tells_its_values(self) -> None:
        image = "![Requests a second: requests/s: POST 12,300, GET 14,000](performance/rate.svg)"
        self.assertIn(image, write(place("floor"), group()))

    def test_the_image_of_two_series_names_them(self) -> None:
        two = [{"name": name, "points": [[0.0, 1.0]]} for name in ("ours", "Python")]
        self.assertIn("ours: POST 1; Python: POST 1]", write(place("floor"), group(plots=[bars(series=two)])))
        image = "![Latency by load: µs against pages, for ours, Python](performance/latency.svg)"
        self.assertIn(image, write(place("floor"), group(plots=[lines()])))

    def test_the_machine_is_described_in_a_table_of_its_own(self) -> None:
        text = write(place("machine") + place("floor"), group())
        for line in ["| cpu | EPYC |", "| cores | 2 |", "| memory | 16 GB |"]:
            self.assertIn(line, text)


if __name__ == "__main__":
    unittest.main()
