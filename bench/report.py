"""Writes the figures of a benchmark's run into docs/PERFORMANCE.md, and a plot for each group into docs/performance.

    python bench/report.py [--partial]      partial: groups that were not run keep the figures of their last run

Prints the tables, too. The exit code is 1 if a group has failed, or the document has no place for one.
"""

import json
import math
import re
import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

ROOT = Path(__file__).resolve().parents[1]
PLACE = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SCALES = (
    (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)),
    (("bytes", 1.0), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9)),
)
# Text stays text, which can be searched. Without the salt the ids in the file are random.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "visits", "font.size": 10, "figure.facecolor": "white"}


def number(value: float) -> str:
    """Three significant digits: 12,300 or 1.50 or 0.0123. A whole number below 1,000 stays as it is."""
    if value == 0 or (abs(value) < 1000 and float(value).is_integer()):
        return str(int(value))
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def quantity(value: float, unit: str) -> str:
    """A number with its unit: `1.20 ms` for 1200 `us`."""
    unit = {"us": "µs"}.get(unit, unit)
    for scale in SCALES:
        if unit in dict(scale) and value:
            value *= dict(scale)[unit]
            # Rounded first: 999.9 µs are 1.00 ms.
            unit = next((name for name, size in scale[::-1] if float(f"{abs(value):.3g}") >= size), scale[0][0])
            value /= dict(scale)[unit]
    return f"{number(value)}/s" if unit == "1/s" else f"{number(value)} {unit}".rstrip()


def judged(value: float, row: dict) -> str:
    """A value of what the goal is about: the ratio, or without one our figure."""
    return quantity(value, row["unit"]) if row["ratio"] is None else f"{value:,.4g} ×"


def cells(row: dict) -> list[str]:
    """A line of a table. A goal that is missed says by how much."""
    other = "" if row["other"] is None else quantity(row["other"], row["unit"])
    ratio = "" if row["ratio"] is None else f"{number(row['ratio'])} ×"
    goal = reached = ""
    if row["goal"]:
        ((kind, bound),) = row["goal"].items()
        value = row["ours"] if row["ratio"] is None else row["ratio"]
        over = value - bound if kind == "at_most" else bound - value
        goal = f"{kind.replace('_', ' ')} {judged(bound, row)}"
        share = f"{over / bound:.1%}".replace("%", " %") if bound else judged(over, row)
        reached = "yes" if over <= 0 else f"no, by {share}"
    return [row["what"], quantity(row["ours"], row["unit"]), other, ratio, goal, reached]


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table without the columns that no line fills."""
    kept = [column for column in range(len(head)) if any(line[column] for line in lines)]
    rule = ["---" if column in (0, 5) else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(line[column] for column in kept)} |" for line in [head, rule, *lines])


def table(group: dict) -> str:
    if group["failed"]:
        return f"Not measured, since it failed: {' '.join(group['failed'].split())}"
    head = ["what", "ours", group["compared_with"], "ratio", "must reach", "reached"]
    return markdown(head, [cells(row) for row in group["rows"]])


def plot(group: dict, file: Path) -> str:
    """Draws the ratios, with the bounds that they must reach; the Markdown that shows it, or nothing for few ratios."""
    rows = [row for row in group["rows"] if row["ratio"]][::-1]
    file.unlink(missing_ok=True)
    if len(rows) < 3:
        return ""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(9, 0.9 + 0.34 * len(rows)), layout="constrained")
        axes = figure.add_subplot(xscale="log", xlabel="ours / other")
        names = [f"{row['what']}: {number(row['ratio'])} ×" for row in rows]
        axes.barh(names, [row["ratio"] for row in rows], color="#0072B2")
        if goals := {place: list(row["goal"].values()) for place, row in enumerate(rows) if row["goal"]}:
            shape = {"marker": "|", "s": 300, "linewidth": 3, "color": "#D55E00"}
            axes.scatter(list(goals.values()), list(goals), label="must reach", **shape)
            figure.legend(loc="outside upper right", frameon=False)
        axes.axvline(1, color="#666666", linewidth=1)

        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        figure.savefig(file, format="svg", metadata={"Date": None})
    # Matplotlib leaves spaces at the ends of lines.
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
    return f"\n\n![Ratios of the table, and the bounds that they must reach](performance/{file.name})"


def write(run: dict, docs: Path, partial: bool) -> list[str]:
    """Writes the report of a run into the folder `docs`; the groups that failed, or have no place there."""
    page, kept = docs / "PERFORMANCE.md", docs / "performance/figures.json"
    for group in run["groups"]:
        for row in group["rows"]:
            # What is no number (0 / 0) has become null on the way.
            if row["ours"] is None:
                group.update(rows=[], failed=f"{row['what']} has no figure")
    wrong = [group["id"] for group in run["groups"] if group["failed"]]
    groups = {group["id"]: group for group in run["groups"]}
    if partial and kept.exists():
        before = json.loads(kept.read_text())
        if before["machine"][0] != run["machine"][0]:
            sys.exit("error: the groups that were not run are from another machine: run all groups")
        groups = {group["id"]: group for group in before["groups"]} | groups
    document = page.read_text()
    wrong += sorted(groups.keys() ^ ({match[2] for match in PLACE.finditer(document)} - {"machine"}))
    kept.parent.mkdir(exist_ok=True)
    parts = {id: table(group) + plot(group, kept.parent / f"{id}.svg") for id, group in groups.items()}
    parts["machine"] = markdown(["machine", " "], run["machine"])

    def part(match: re.Match) -> str:
        return f"{match[1]}\n{parts[match[2]]}\n\n{match[3]}" if match[2] in parts else match[0]

    page.write_text(PLACE.sub(part, document))
    lines = ",\n".join(json.dumps(group, ensure_ascii=False) for group in groups.values())
    kept.write_text(f'{{"machine": {json.dumps(run["machine"])},\n"groups": [\n{lines}\n]}}\n')
    return wrong


if __name__ == "__main__":
    run = json.loads((ROOT / "target/bench/figures.json").read_text())
    print("\n\n".join(f"{group['id']}\n\n{table(group)}" for group in run["groups"]))
    if wrong := write(run, ROOT / "docs", "--partial" in sys.argv):
        sys.exit(f"error: failed, or without a place in docs/PERFORMANCE.md or figures for it: {' '.join(wrong)}")
