"""The drawings, without looking at them."""

import unittest
from xml.etree import ElementTree

from example import bars, lines
from report.plots import svg


def texts(plot: dict) -> list[str]:
    root = ElementTree.fromstring(svg(plot))
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


class Plots(unittest.TestCase):
    def test_the_same_figures_give_the_same_bytes(self) -> None:
        for plot in [bars(), lines()]:
            self.assertEqual(svg(plot), svg(plot))

    def test_the_date_is_not_in_the_file(self) -> None:
        self.assertNotIn(b"<dc:date>", svg(bars()))

    def test_each_bar_has_its_name_and_its_value(self) -> None:
        self.assertLessEqual({"POST", "GET", "12,300", "14,000", "requests/s", "Requests a second"}, set(texts(bars())))

    def test_a_legend_is_there_only_for_more_than_one_series(self) -> None:
        self.assertNotIn("ours", texts(bars()))
        self.assertLessEqual({"ours", "Python"}, set(texts(lines())))

    def test_a_logarithmic_axis_has_plain_numbers(self) -> None:
        self.assertLessEqual({"1", "100", "10,000"}, set(texts(lines())))

    def test_bars_of_very_different_size_are_drawn_on_a_logarithmic_axis(self) -> None:
        tall = [{"name": "ours", "points": [[0.0, 1.0], [1.0, 100000.0]]}]
        self.assertIn("0.1", texts(bars(y={"label": "", "log": True, "names": []}, series=tall)))

    def test_lines_of_zeros_can_be_drawn(self) -> None:
        nothing = [{"name": "lost", "points": [[1.0, 0.0], [2.0, 0.0]]}]
        self.assertIn(b"<svg", svg(lines(y={"label": "lost", "log": False, "names": []}, series=nothing)))


if __name__ == "__main__":
    unittest.main()
