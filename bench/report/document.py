"""The generated parts of the document, between `<!-- figures: GROUP -->` and `<!-- end -->`."""

import re
from textwrap import fill

from . import human
from .errors import ReportError
from .table import markdown, table

BEGIN = "<!-- figures:"
PART = re.compile(rf"({BEGIN} (\S+) -->\n)(?:(?!{BEGIN}).)*?(<!-- end -->)", re.DOTALL)
MACHINE = "machine"


def written(document: str, figures: dict, partial: bool) -> str:
    """The document with the figures in place. `partial`: groups that were never run keep the text that they have."""
    parts = {group["id"]: _part(group) for group in figures["groups"]}
    parts[MACHINE] = _machine(figures["machine"])
    markers = [match[2] for match in PART.finditer(document)]
    _check(document, markers, parts, partial)

    def replaced(match: re.Match) -> str:
        return f"{match[1]}\n{parts[match[2]]}\n\n{match[3]}" if match[2] in parts else match[0]

    return PART.sub(replaced, document)


def _check(document: str, markers: list[str], parts: dict[str, str], partial: bool) -> None:
    if document.count(BEGIN) != len(markers):
        raise ReportError(
            f"a marker is not complete: write '{BEGIN} GROUP -->' and after it '<!-- end -->', on lines of their own"
        )
    for group in parts:
        if group not in markers and group != MACHINE:
            raise ReportError(
                f"group {group} has no place in the document: add '{BEGIN} {group} -->' and '<!-- end -->'"
            )
    for marker in markers:
        if marker not in parts and not partial:
            raise ReportError(f"the document has a place for {marker}, but no such group was run")


def tables(figures: dict) -> str:
    """The tables of all groups, for a terminal."""
    return "\n".join(f"{group['id']}\n\n{_table(group)}\n" for group in figures["groups"])


def _table(group: dict) -> str:
    if group.get("failed"):
        return f"Not measured, since it failed: {' '.join(group['failed'].split())}"
    return table(group) if group["rows"] else ""


def _part(group: dict) -> str:
    images = [f"![{_alternative(plot)}](performance/{plot['id']}.svg)" for plot in group["plots"]]
    notes = " ".join(note if note.endswith((".", ":", "!", "?")) else f"{note}." for note in group["notes"])
    paragraph = fill(notes, width=120, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join(part for part in [_table(group), *images, paragraph] if part)


def _alternative(plot: dict) -> str:
    """What the plot shows, for whoever does not see it."""
    if plot["kind"] == "bars":
        shown = "; ".join(_bars(plot, series) for series in plot["series"])
    else:
        shown = f"{plot['y']['label']} against {plot['x']['label']}"
        if len(plot["series"]) > 1:
            shown += f", for {', '.join(series['name'] for series in plot['series'])}"
    return re.sub(r"[\[\]\s]+", " ", f"{plot['title']}: {shown}")


def _bars(plot: dict, series: dict) -> str:
    label = series["name"] if len(plot["series"]) > 1 else plot["y"]["label"]
    values = (f"{plot['x']['names'][int(x)]} {human.number(y)}" for x, y in series["points"])
    return f"{label}: {', '.join(values)}" if label else ", ".join(values)


def _machine(machine: dict) -> str:
    return markdown(["", ""], ["---", "---"], [[key, _described(key, value)] for key, value in machine.items()])


def _described(key: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_described(name, part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    if key == "memory" and isinstance(value, int):
        return human.quantity(value, "bytes")
    return str(value)
