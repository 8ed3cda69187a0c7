"""The figures of a run, as bench/src/figures.rs writes them: read, checked, joined with earlier ones, stored."""

import json
import re
from pathlib import Path

from .errors import ReportError


def load(file: Path) -> dict:
    """The figures in a file. A group that cannot be shown has failed, and costs no other."""
    try:
        figures = json.loads(file.read_text())
    except FileNotFoundError:
        raise ReportError(f"{file} is missing: the benchmark writes it") from None
    except json.JSONDecodeError as error:
        raise ReportError(f"{file} is no JSON: {error}") from None
    figures["groups"] = [_sound(group) for group in figures["groups"]]
    _check_names(figures)
    return figures


def merged(old: dict, new: dict) -> dict:
    """The figures of `new`, and of `old` the groups that `new` has not."""
    if old["machine"].get("cpu") != new["machine"].get("cpu"):
        raise ReportError("the groups that were not run are from another machine: run all groups")
    groups = {group["id"]: group for group in [*old["groups"], *new["groups"]]}
    joined = {"machine": new["machine"], "groups": list(groups.values())}
    _check_names(joined)
    return joined


def stored(figures: dict) -> str:
    """The text of the file that keeps figures: one line for each group, so that a change shows which one it is in."""
    machine = json.dumps(figures["machine"], ensure_ascii=False)
    groups = ",\n".join(json.dumps(group, ensure_ascii=False) for group in figures["groups"])
    return f'{{"machine": {machine},\n"groups": [\n{groups}\n]}}\n'


def _sound(group: dict) -> dict:
    try:
        for row in group["rows"]:
            # What is no number (0 / 0) has become null on the way.
            if row["ours"] is None:
                raise ReportError(f"{row['what']!r} has no figure")
        for plot in group["plots"]:
            _check_plot(plot)
    except ReportError as error:
        return {**group, "rows": [], "plots": [], "failed": str(error)}
    return group


def _check_names(figures: dict) -> None:
    plots = [plot["id"] for group in figures["groups"] for plot in group["plots"]]
    for plot in plots:
        if plots.count(plot) > 1:
            raise ReportError(f"two plots have the id {plot!r}")


def _check_plot(plot: dict) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", plot["id"]):
        raise ReportError(f"{plot['id']!r} is no name for a plot's file: write a-z, 0-9, - and _")
    points = [point for series in plot["series"] for point in series["points"]]
    if not points:
        raise ReportError(f"plot {plot['id']} has no points")
    for axis, place in (("x", 0), ("y", 1)):
        values = [point[place] for point in points]
        if None in values:
            raise ReportError(f"plot {plot['id']}: a value on its {axis} axis is no number")
        if plot[axis]["log"] and min(values) <= 0:
            raise ReportError(f"plot {plot['id']}: {min(values)} is not on a logarithmic {axis} axis")
    if plot["kind"] == "bars" and any(x not in range(len(plot["x"]["names"])) for x, _ in points):
        raise ReportError(f"plot {plot['id']}: a bar has no name")
