"""What stands in a table: numbers, units, goals."""

import unittest

from example import group, row
from report import human
from report.table import reached, table


class Numbers(unittest.TestCase):
    def test_a_number_has_three_significant_digits(self) -> None:
        wanted = {
            12345.6: "12,300",
            1.5: "1.50",
            0.012345: "0.0123",
            99.96: "100",
            234.5: "234",
            3: "3",
            0: "0",
            -1.5: "-1.50",
        }
        self.assertEqual(wanted, {value: human.number(value) for value in wanted})

    def test_a_time_is_shown_in_the_unit_that_keeps_it_short(self) -> None:
        cases = [(1200, "us"), (0.45, "ms"), (999.9, "us"), (35_000, "ms"), (0.5, "ns"), (0, "us")]
        shown = [human.quantity(value, unit) for value, unit in cases]
        self.assertEqual(["1.20 ms", "450 µs", "1.00 ms", "35 s", "0.500 ns", "0 µs"], shown)

    def test_bytes_are_shown_in_the_unit_that_keeps_them_short(self) -> None:
        cases = [(512, "bytes"), (52_428_800, "bytes"), (0.25, "MB"), (3000, "MB"), (1, "bytes")]
        shown = [human.quantity(value, unit) for value, unit in cases]
        self.assertEqual(["512 bytes", "52.4 MB", "250 KB", "3 GB", "1 byte"], shown)

    def test_another_unit_stays_as_it_is(self) -> None:
        cases = [(12345, "1/s"), (1, "calls"), (2.5, "calls"), (7, "")]
        self.assertEqual(["12,300/s", "1 call", "2.50 calls", "7"], [human.quantity(*case) for case in cases])


class Goals(unittest.TestCase):
    def test_a_goal_that_is_reached_says_so(self) -> None:
        self.assertEqual("yes", reached(row(goal={"at_most": 2.0})))
        self.assertEqual("yes", reached(row(goal={"at_least": 2.0})))

    def test_a_goal_that_is_missed_says_by_how_much(self) -> None:
        self.assertEqual("no, by 12 %", reached(row(ratio=1.12, goal={"at_most": 1.0})))
        self.assertEqual("no, by 25 %", reached(row(ratio=7.5, goal={"at_least": 10.0})))
        self.assertEqual("no, by 0.3 %", reached(row(ratio=1.003, goal={"at_most": 1.0})))
        self.assertEqual("no, by less than 0.1 %", reached(row(ratio=1.0001, goal={"at_most": 1.0})))

    def test_a_bound_of_zero_is_missed_by_an_amount(self) -> None:
        self.assertEqual("no, by 3 calls", reached(row(unit="calls", ours=3.0, ratio=None, goal={"at_most": 0.0})))

    def test_without_a_ratio_the_goal_is_about_our_figure(self) -> None:
        missed = row(ours=5000.0, other=None, ratio=None, goal={"at_most": 4000.0})
        self.assertIn("| 5 ms | at most 4 ms | no, by 25 % |", table(group(rows=[missed])))


class Table(unittest.TestCase):
    def test_a_row_shows_both_figures_their_ratio_and_the_goal(self) -> None:
        lines = table(group(rows=[row(goal={"at_most": 1.2})])).splitlines()
        self.assertEqual("| what | ours | bare handler | ratio | must reach | reached |", lines[0])
        self.assertEqual("| POST | 1.20 ms | 600 µs | 2 × | at most 1.2 × | no, by 67 % |", lines[2])

    def test_a_column_that_no_row_fills_is_left_out(self) -> None:
        lines = table(group(rows=[row(other=None, ratio=None)])).splitlines()
        self.assertEqual(["| what | ours |", "| --- | ---: |", "| POST | 1.20 ms |"], lines)

    def test_a_bar_in_a_name_does_not_split_its_cell(self) -> None:
        self.assertIn(r"| a\|b |", table(group(rows=[row(what="a|b")])))


if __name__ == "__main__":
    unittest.main()
